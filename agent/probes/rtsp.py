"""RTSP: what a media server says to OPTIONS and DESCRIBE, without a login (RFC 2326)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent import http_wire
from agent.drawn import NONCE
from agent.paths import path_of
from agent.redaction import redacted
from agent.wire import Ask, Probe, Target
from fingerprints.model import MAX_TEXT, Fact

__all__ = ["RTSP"]

_METHODS: Final = (
    b"OPTIONS",
    b"DESCRIBE",
    b"ANNOUNCE",
    b"SETUP",
    b"PLAY",
    b"PAUSE",
    b"TEARDOWN",
    b"GET_PARAMETER",
    b"SET_PARAMETER",
    b"RECORD",
)
_ANSWER: Final = re.compile(rb"RTSP/\d\.\d +(\d{3})")
_REQUEST: Final = re.compile(
    rb"(" + rb"|".join(_METHODS) + rb") +(rtsps?://[^\s]{1,2000}|\*|/[^\s]{0,2000}) +RTSP/\d\.\d\r?\n"
)
_MAX_MESSAGES: Final = 16


def _mine(payload: bytes) -> bool:
    return payload.startswith(b"RTSP/") or _REQUEST.match(payload) is not None


def _hello(target: Target) -> tuple[Ask, ...]:
    return (_ask("OPTIONS", target.ip, target.port, 1),)


def _follow(ask: Ask, reply: bytes) -> tuple[Ask, ...]:
    """After an answered OPTIONS, one DESCRIBE of the root: the refusal carries the realm."""
    found = _ANSWER.match(reply)
    url = re.match(rb"OPTIONS (rtsp://\S+) ", ask.payload)
    if not found or not url:
        return ()
    return (_request("DESCRIBE", url.group(1).decode("ascii", "replace"), 2),)


def _ask(method: str, ip: str, port: int, number: int) -> Ask:
    host = f"[{ip.partition('%')[0]}]" if ":" in ip else ip
    return _request(method, f"rtsp://{host}:{port}/", number)


def _request(method: str, url: str, number: int) -> Ask:
    lines = [f"{method} {url} RTSP/1.0", f"CSeq: {number}", "User-Agent: camcensus"]
    if method == "DESCRIBE":
        lines.append("Accept: application/sdp")
    return Ask("\r\n".join([*lines, "", ""]).encode("ascii", "replace"), f"RTSP {method}", _whole)


def _whole(received: bytes) -> bool:
    head = http_wire.split_head(received)
    if head.end is None:
        return False
    length = head.first("content-length")
    wanted = int(length) if length.isascii() and length.isdecimal() and len(length) < 9 else 0
    return len(received) - head.end >= wanted


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """Every answer or request in a stream's beginning, one after another."""
    at = 0
    for _ in range(_MAX_MESSAGES):
        if not _mine(payload[at : at + 2_200]):
            return
        head = http_wire.split_head(payload, at)
        if payload.startswith(b"RTSP/", at):
            yield from _answer(head, payload)
        else:
            yield from _request_facts(head)
        if head.end is None:
            return
        length = head.first("content-length")
        at = head.end + (int(length) if length.isascii() and length.isdecimal() and len(length) < 6 else 0)


def _answer(head: http_wire.Head, payload: bytes) -> Iterator[Fact]:
    for name, field in (
        ("server", "rtsp.server"),
        ("public", "rtsp.public"),
        ("www-authenticate", "rtsp.www-authenticate"),
    ):
        for value in head.values(name):
            yield Fact(field, value)
    if head.end is None or "sdp" not in head.first("content-type").lower():
        return
    body = payload[head.end : head.end + MAX_TEXT]
    length = head.first("content-length")
    whole = length.isascii() and length.isdecimal() and len(length) < 6 and len(body) >= int(length)
    if whole:
        body = body[: int(length)]
    text = body.decode("utf-8", "replace").replace("\0", "")
    if not whole:
        # Only lines whose end was seen are certain.
        text = text[: text.rfind("\n") + 1]
    if text.strip():
        yield Fact("rtsp.sdp", redacted(text.strip().replace("\r\n", "\n")))


def _request_facts(head: http_wire.Head) -> Iterator[Fact]:
    words = head.start.split(" ")
    if len(words) == 3:
        path = path_of(words[1])
        if path not in {"", "*", "/"}:
            yield Fact("rtsp.path", path, "listener")
    for agent in head.values("user-agent"):
        yield Fact("rtsp.user-agent", agent)


RTSP: Final = Probe(
    name="rtsp",
    transport="tcp",
    ports=(554, 8554, 10554, 5554, 7070),
    fields=(
        "rtsp.server",
        "rtsp.public",
        "rtsp.www-authenticate",
        "rtsp.sdp",
        "rtsp.path",
        "rtsp.user-agent",
    ),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    follow=_follow,
    prefixes=(b"RTSP/1.", *(method + b" rtsp" for method in _METHODS)),
    order=3,
    source="RFC 2326; recorded answers",
    says="server, methods, realm and session description",
    fresh=NONCE,
)

"""DNS questions: the names a device asks for, such as its maker's cloud (RFC 1035).

Over TCP each message stands behind its length (section 4.2.2). No first byte of it is fixed, so a
capture tells it by a connection whose beginning it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent import dns_wire
from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["DNS", "DNS_TCP"]

_NAME: Final = re.compile(r"[a-z0-9_.-]{1,253}")
# A, AAAA, HTTPS: NetBIOS (RFC 1002) has the same form and asks for other types.
_KINDS: Final = frozenset({1, 28, 65})
_MAX_MESSAGES: Final = 16


def _mine(payload: bytes) -> bool:
    message = dns_wire.read(payload)
    return (
        message is not None
        and not message.is_answer
        and message.opcode == 0
        and 1 <= message.counts[0] <= 4
        and message.counts[1] == 0
        and message.counts[2] == 0
        and message.counts[3] <= 2
    )


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    message = dns_wire.read(payload)
    if message is None or not _mine(payload):
        return
    for question in message.questions():
        # Some resolvers mix the case of a name to tell forged answers from real ones.
        name = ".".join(question.name).lower()
        if question.kind in _KINDS and _NAME.fullmatch(name) and not name.endswith((".local", ".arpa")):
            yield Fact("dns.query", name)


def _framed(payload: bytes, at: int) -> bytes:
    """The message behind its length at `at`; empty where it is cut."""
    message = payload[at + 2 : at + 2 + int.from_bytes(payload[at : at + 2])]
    return message if len(message) == int.from_bytes(payload[at : at + 2]) else b""


def _mine_in_stream(payload: bytes) -> bool:
    first = _framed(payload, 0)
    message = dns_wire.read(first)
    if message is None or not _mine(first):
        return False
    try:
        # Nothing marks a message: it is one only where it reads as one to its last question.
        return len(list(message.questions())) == message.counts[0]
    except Malformed:
        return False


def _dissect_stream(payload: bytes, asked: bytes) -> Iterator[Fact]:
    at = 0
    for _ in range(_MAX_MESSAGES):
        if not _mine_in_stream(payload[at:]):
            return
        yield from _dissect(_framed(payload, at), asked)
        at += 2 + int.from_bytes(payload[at : at + 2])


DNS: Final = Probe(
    name="dns",
    transport="udp",
    ports=(53,),
    fields=("dns.query",),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="RFC 1035",
    says="the names a device asks for",
)

DNS_TCP: Final = Probe(
    name="dns-tcp",
    transport="tcp",
    ports=(53,),
    fields=DNS.fields,
    mine=_mine_in_stream,
    dissect=_dissect_stream,
    unicast=False,
    source="RFC 1035 section 4.2.2",
    says="the names a device asks for over TCP",
)

"""DNS: the names a device asks for, such as its maker's cloud, with the addresses it is told (RFC 1035).

Over TCP each message stands behind its length (section 4.2.2). No first byte of it is fixed, so a
capture tells it by a connection whose beginning it holds.
"""

from __future__ import annotations

import ipaddress
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
_ADDRESSES: Final = {dns_wire.A: 4, dns_wire.AAAA: 16}
_MAX_ADDRESSES: Final = 16
_ERROR: Final = 0x0F


def _mine(payload: bytes) -> bool:
    return _asks(payload) or _answers(payload)


def _answers(payload: bytes) -> bool:
    message = dns_wire.read(payload)
    return (
        message is not None
        and message.is_answer
        and message.opcode == 0
        and message.counts[0] == 1
        and message.counts[1] > 0
        and not payload[3] & _ERROR
    )


def _asks(payload: bytes) -> bool:
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
    names = list(_names(message))
    if not message.is_answer:
        yield from (Fact("dns.query", name) for name in names)
    elif names:
        yield from _told(message, names[0])


def _names(message: dns_wire.Message) -> Iterator[str]:
    """Names of the world that are asked for."""
    for question in message.questions():
        # Some resolvers mix the case of a name to tell forged answers from real ones.
        name = ".".join(question.name).lower()
        if question.kind in _KINDS and _NAME.fullmatch(name) and not name.endswith((".local", ".arpa")):
            yield name


def _told(message: dns_wire.Message, name: str) -> Iterator[Fact]:
    """Where a name leads, perhaps by way of others: every address of the answer is told of it."""
    told = 0
    for number, record in enumerate(message.records()):
        if number >= message.counts[1] or told >= _MAX_ADDRESSES:
            return
        if len(record.data) == _ADDRESSES.get(record.kind):
            told += 1
            yield Fact("dns.answer", f"{name} {ipaddress.ip_address(record.data)}", "listener")


def _framed(payload: bytes, at: int) -> bytes:
    """The message behind its length at `at`; empty where it is cut."""
    message = payload[at + 2 : at + 2 + int.from_bytes(payload[at : at + 2])]
    return message if len(message) == int.from_bytes(payload[at : at + 2]) else b""


def _mine_in_stream(payload: bytes) -> bool:
    first = _framed(payload, 0)
    message = dns_wire.read(first)
    if message is None or not _asks(first):
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
    fields=("dns.query", "dns.answer"),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="RFC 1035",
    says="the names a device asks for, with their addresses",
    # The number of a question.
    fresh=re.compile(rb"(?s)\A.."),
)

DNS_TCP: Final = Probe(
    name="dns-tcp",
    transport="tcp",
    ports=(53,),
    fields=("dns.query",),
    mine=_mine_in_stream,
    dissect=_dissect_stream,
    unicast=False,
    source="RFC 1035 section 4.2.2",
    says="the names a device asks for over TCP",
)

"""DNS questions: the names a device asks for, such as its maker's cloud (RFC 1035)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent import dns_wire
from agent.wire import Probe
from fingerprints.model import Fact

__all__ = ["DNS"]

_NAME: Final = re.compile(r"[a-z0-9_.-]{1,253}")
# A, AAAA, HTTPS: NetBIOS (RFC 1002) has the same form and asks for other types.
_KINDS: Final = frozenset({1, 28, 65})


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

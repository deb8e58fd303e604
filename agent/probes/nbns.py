"""NetBIOS names: what a host registers as its own.

Packets after RFC 1002 section 4.2: a registration (opcode 5) carries the name in its question,
coded in half bytes (RFC 1001 section 14.1). Questions about others say nothing of who asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent import dns_wire
from agent.wire import Probe
from fingerprints.model import Fact

__all__ = ["NBNS"]

_REGISTRATION: Final = 5
_NB: Final = 32
_CODED: Final = 32
_WORKSTATION: Final = 0
_FILE_SERVER: Final = 0x20
_GROUP: Final = 0x80
_RECORD: Final = 6


def _mine(payload: bytes) -> bool:
    message = dns_wire.read(payload)
    return (
        message is not None
        and not message.is_answer
        and message.opcode == _REGISTRATION
        and message.counts == (1, 0, 0, 1)
    )


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    message = dns_wire.read(payload)
    if message is None or not _mine(payload):
        return
    names = [question.name for question in message.questions() if question.kind == _NB]
    for record in message.records():
        # A group's name (the workgroup) is not the host's own.
        if names and record.kind == _NB and len(record.data) == _RECORD and not record.data[0] & _GROUP:
            yield from _name(names[0])


def _name(labels: tuple[str, ...]) -> Iterator[Fact]:
    coded = labels[0].encode("utf-8") if labels else b""
    if len(coded) != _CODED or any(not 0x41 <= byte <= 0x50 for byte in coded):
        return
    raw = bytes((coded[at] - 0x41) << 4 | (coded[at + 1] - 0x41) for at in range(0, _CODED, 2))
    text = raw[:15].decode("utf-8", "replace").replace("\0", "").strip()
    if raw[15] in {_WORKSTATION, _FILE_SERVER} and text:
        yield Fact("nbns.name", text)


NBNS: Final = Probe(
    name="nbns",
    transport="udp",
    ports=(137,),
    fields=("nbns.name",),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="RFC 1001, RFC 1002; no registration is recorded",
    status="experimental",
    says="the NetBIOS name that a host registers",
)

"""NetBIOS names: what a host registers as its own, or answers to.

Packets after RFC 1002 section 4.2. A registration (opcode 5) carries the name in its question, coded
in half bytes (RFC 1001 section 14.1). Whoever is asked for a name answers for his own; a name server,
which answers for others, says that it is one. A status answer lists a host's names with its MAC
(section 4.2.18). Questions about others say nothing of who asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent import dns_wire
from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["NBNS"]

_REGISTRATION: Final = 5
_NB: Final = 32
_STATUS: Final = 33
_CODED: Final = 32
_WORKSTATION: Final = 0
_FILE_SERVER: Final = 0x20
_GROUP: Final = 0x80
_RECORD: Final = 6
_STATUS_NAME: Final = 18
_REFUSED_OR_SERVER: Final = 0x008F
"""Result code, with the bit by which a name server tells that it is one."""


def _mine(payload: bytes) -> bool:
    message = dns_wire.read(payload)
    if message is None:
        return False
    if message.is_answer:
        return message.opcode == 0 and message.counts == (0, 1, 0, 0)
    return message.opcode == _REGISTRATION and message.counts == (1, 0, 0, 1)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    message = dns_wire.read(payload)
    if message is None or not _mine(payload):
        return
    if message.is_answer and int.from_bytes(payload[2:4]) & _REFUSED_OR_SERVER:
        return
    names = [question.name for question in message.questions() if question.kind == _NB]
    for record in message.records():
        if message.is_answer and record.kind == _STATUS:
            yield from _status(record.data, record.offset)
        elif record.kind == _NB and len(record.data) == _RECORD and not record.data[0] & _GROUP:
            # A group's name (the workgroup) is not the host's own.
            yield from _name(record.name if message.is_answer else (names or [()])[0])


def _status(data: bytes, offset: int) -> Iterator[Fact]:
    """Names that are a host's own, then the MAC of its adapter; Samba gives none."""
    count = data[0] if data else 0
    end = 1 + count * _STATUS_NAME
    if end > len(data):
        raise Malformed("a NetBIOS status shorter than its names", offset)
    for at in range(1, end, _STATUS_NAME):
        if not data[at + 16] & _GROUP:
            yield from _own(data[at : at + 16])
    mac = data[end : end + 6]
    if len(mac) == 6 and any(mac) and not mac[0] & 1:
        yield Fact("nbns.mac", mac.hex(":"))


def _name(labels: tuple[str, ...]) -> Iterator[Fact]:
    coded = labels[0].encode("utf-8") if labels else b""
    if len(coded) != _CODED or any(not 0x41 <= byte <= 0x50 for byte in coded):
        return
    raw = bytes((coded[at] - 0x41) << 4 | (coded[at + 1] - 0x41) for at in range(0, _CODED, 2))
    yield from _own(raw)


def _own(raw: bytes) -> Iterator[Fact]:
    """A host's own name: 15 bytes, filled up with blanks, before the number of the service."""
    text = raw[:15].decode("utf-8", "replace").replace("\0", "").strip()
    if raw[15] in {_WORKSTATION, _FILE_SERVER} and text:
        yield Fact("nbns.name", text)


NBNS: Final = Probe(
    name="nbns",
    transport="udp",
    ports=(137,),
    fields=("nbns.name", "nbns.mac"),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="RFC 1001, RFC 1002; recorded answers, no registration is recorded",
    says="the NetBIOS names of a host, with its MAC where it states it",
)

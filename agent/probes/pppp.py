"""PPPP: the identity that a P2P camera calls into its network.

Found in recordings on UDP 32108 (search on the local network) and 32100 (servers): 0xf1, a
message type, the length of what follows. A camera registers with servers in types 0x10 and 0x14,
and is found on its network by type 0x31, which begin with its id as three parts: the prefix of 8
bytes, a number of 32 bits, a check code of 8 bytes. In type 0x12 the prefix is encrypted. An app
asks for a camera's id in other types, so it is never taken for one. Many makers use this library:
an id alone names none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent.wire import Probe
from fingerprints.model import Fact

__all__ = ["PPPP"]

_MAGIC: Final = 0xF1
_REGISTRATIONS: Final = frozenset({0x10, 0x12, 0x14})
_IDENTITIES: Final = frozenset({0x10, 0x14, 0x31})
_SEARCH_ANSWER: Final = 0x31
_LENGTH: Final = 20
_PART: Final = re.compile(rb"([A-Z]{3,8})\0*")


def _mine(payload: bytes) -> bool:
    return len(payload) >= 4 and payload[0] == _MAGIC and int.from_bytes(payload[2:4]) + 4 <= len(payload)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    kind, length = payload[1], int.from_bytes(payload[2:4])
    if length < _LENGTH or (kind == _SEARCH_ANSWER and length != _LENGTH):
        return
    if kind in _REGISTRATIONS:
        yield Fact("pppp.registration", "device")
    if kind not in _IDENTITIES:
        return
    prefix, check = _PART.fullmatch(payload[4:12]), _PART.fullmatch(payload[16:24])
    if prefix and check:
        number = int.from_bytes(payload[12:16])
        yield Fact("pppp.id", f"{prefix[1].decode('ascii')}-{number:06d}-{check[1].decode('ascii')}")


PPPP: Final = Probe(
    name="pppp",
    transport="udp",
    ports=(32100, 32108),
    fields=("pppp.id", "pppp.registration"),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="recorded Yi, HiChip and Imilab cameras (NEU-SNS/intl-iot, denisgolyanov/mudproject)",
    status="experimental",
    says="the id by which a P2P camera is called, and that it registers with its servers",
)

"""PPPP: the identity that a P2P camera calls into its network.

Found in recordings on UDP 32108 (search on the local network) and 32100 (servers): 0xf1, a
message type, the length of what follows. Type 0x31 carries the sender's id as three parts, the
prefix of 8 bytes, a number of 32 bits, a check code of 8 bytes, as recorded Yi cameras say it.
Many makers use this library: an id alone names none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent.wire import Probe
from fingerprints.model import Fact

__all__ = ["PPPP"]

_MAGIC: Final = 0xF1
_IDENTITY: Final = 0x31
_LENGTH: Final = 20
_PART: Final = re.compile(rb"([A-Z]{3,8})\0*")


def _mine(payload: bytes) -> bool:
    return len(payload) >= 4 and payload[0] == _MAGIC and int.from_bytes(payload[2:4]) + 4 <= len(payload)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload) or payload[1] != _IDENTITY or int.from_bytes(payload[2:4]) != _LENGTH:
        return
    prefix, check = _PART.fullmatch(payload[4:12]), _PART.fullmatch(payload[16:24])
    if prefix and check:
        number = int.from_bytes(payload[12:16])
        yield Fact("pppp.id", f"{prefix[1].decode('ascii')}-{number:06d}-{check[1].decode('ascii')}")


PPPP: Final = Probe(
    name="pppp",
    transport="udp",
    ports=(32100, 32108),
    fields=("pppp.id",),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="recorded Yi cameras (NEU-SNS/intl-iot, denisgolyanov/mudproject)",
    status="experimental",
    says="the id by which a P2P camera is called",
)

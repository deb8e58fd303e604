"""Hikvision's SDK protocol, TCP 8000: that a device answers in it.

A message begins with its length (32 bits, big-endian). A client opens with 32 bytes, the fifth of
them 0x63, all others noughts; a device answers with 16 bytes: length, result code, and more that is
not known (headers in the NESCA scanner's HikvisionLogin.h). To what makes no sense it answers with
the result 30 twice (nmap-service-probes, "Hikvision IPCam control port"). What comes after is a
login, which nobody here takes part in. Passive: the opening is the first half of a login.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.wire import Probe
from fingerprints.model import Fact

__all__ = ["HIKVISION_SDK"]

_OPENING: Final = b"\0\0\0\x20\x63" + bytes(27)
_ANSWER: Final = b"\0\0\0\x10"
_LENGTH: Final = 16
_NOT_UNDERSTOOD: Final = _ANSWER + b"\0\0\0\x1e" * 2 + bytes(4)


def _mine(payload: bytes) -> bool:
    return payload.startswith(_ANSWER) and len(payload) >= _LENGTH


def _dissect(payload: bytes, asked: bytes) -> Iterator[Fact]:
    if payload.startswith(_NOT_UNDERSTOOD) or (_mine(payload) and asked.startswith(_OPENING)):
        yield Fact("discovery.hikvision-sdk.answer", str(int.from_bytes(payload[4:8])))


HIKVISION_SDK: Final = Probe(
    name="hikvision-sdk",
    transport="tcp",
    ports=(8000,),
    fields=("discovery.hikvision-sdk.answer",),
    mine=_mine,
    dissect=_dissect,
    prefixes=(_NOT_UNDERSTOOD[:8],),
    unicast=False,
    source="nmap-service-probes; NESCA's HikvisionLogin.h; not recorded",
    status="experimental",
    says="that a device answers in the protocol of Hikvision's SDK",
)

"""Advantech's discovery of industrial devices: messages that begin with ``MADA``, over UDP 5048.

In a header of 56 bytes the MAC stands at 13, a mark of the answer (0x80) at 0x34, the kind of
what is asked at 0x35: 0x20 for the product, which the answer names 50 bytes behind the header.
From UniversalScanner (julienblitte/UniversalScanner, Advantech.cs) with its recorded answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.binary import mac_text, placed_text
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["ADVANTECH"]

_MAGIC: Final = b"MADA\0\0\0\x83"
_MARK_AT: Final = 0x34
_ANSWER: Final = 0x80
_PRODUCT: Final = 0x20
_MODEL_AT: Final = 0x38 + 0x32
_MODEL: Final = 128
_QUESTION: Final = (_MAGIC + b"\1\0\x50").ljust(_MARK_AT, b"\0") + bytes([0, _PRODUCT]) + bytes(6)


def _mine(payload: bytes) -> bool:
    return payload.startswith(_MAGIC) and payload[_MARK_AT : _MARK_AT + 2] == bytes([_ANSWER, _PRODUCT])


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_QUESTION, "Advantech product query"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    if mac := mac_text(payload[0x0D:0x13]):
        yield Fact("discovery.advantech.mac", mac)
    if text := placed_text(payload, _MODEL_AT, _MODEL):
        yield Fact("discovery.advantech.model", text)


ADVANTECH: Final = Probe(
    name="advantech",
    transport="udp",
    ports=(5048,),
    fields=("discovery.advantech.mac", "discovery.advantech.model"),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    unicast=False,
    prefixes=(_MAGIC,),
    order=7,
    source="julienblitte/UniversalScanner Advantech.cs with its recorded answer",
    says="Advantech industrial devices: model, MAC",
)

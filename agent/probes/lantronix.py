"""Lantronix' discovery of serial device servers, and of what others build on them: UDP 30718.

Four bytes ask (kind 0xf6); 30 answer (kind 0xf7), the MAC at 0x18. The third byte is 0 in
Lantronix' own answer; Vauban's access controllers put 0x13 or 0x15 there, and with 0x15 their
model in two bytes at 12. From UniversalScanner (julienblitte/UniversalScanner, Lantronix.cs)
with a recorded answer of both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.binary import mac_text
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["LANTRONIX"]

_SEARCH: Final = bytes.fromhex("000000f6")
_FOUND: Final = 0xF7
_SIZE: Final = 30
_VARIANTS: Final = frozenset({0x00, 0x13, 0x15})
_WITH_MODEL: Final = 0x15


def _mine(payload: bytes) -> bool:
    return (
        len(payload) >= _SIZE and payload[:2] == b"\0\0" and payload[2] in _VARIANTS and payload[3] == _FOUND
    )


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_SEARCH, "Lantronix query"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    if mac := mac_text(payload[0x18:_SIZE]):
        yield Fact("discovery.lantronix.mac", mac)
    yield Fact("discovery.lantronix.variant", f"{payload[2]:02x}")
    if payload[2] == _WITH_MODEL:
        yield Fact("discovery.lantronix.model-code", payload[12:14].hex())


LANTRONIX: Final = Probe(
    name="lantronix",
    transport="udp",
    ports=(30718,),
    fields=("discovery.lantronix.mac", "discovery.lantronix.variant", "discovery.lantronix.model-code"),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    unicast=False,
    aliases=("vauban",),
    order=7,
    source="julienblitte/UniversalScanner Lantronix.cs with its recorded answers",
    says="serial device servers, and Vauban access controllers: MAC, model",
)

"""NiceVision's discovery: messages that begin with ``NICE``, over UDP 2007.

The question names the port for the answer, which goes to everybody: kind 0x0108 asks, kind 1
answers. MAC at 10, IPv4 address at 0x10, name at 0x4a (16 bytes). From UniversalScanner
(julienblitte/UniversalScanner, NiceVision.cs) with its recorded answer; the length of the
question is read off a structure there, and no recording confirms it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.binary import address_text, mac_text, placed_text
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["NICEVISION"]

_MAGIC: Final = b"NICE"
_PORT: Final = 2007
_SEARCH: Final = (0x0108).to_bytes(2)
_FOUND: Final = (1).to_bytes(2)
_KIND_AT: Final = 6
_QUESTION: Final = _MAGIC + b"\0\1" + _SEARCH + bytes(4) + _PORT.to_bytes(2) + bytes(2)


def _mine(payload: bytes) -> bool:
    return payload.startswith(_MAGIC) and payload[_KIND_AT : _KIND_AT + 2] == _FOUND


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_QUESTION, "NiceVision device search"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    if mac := mac_text(payload[0x0A:0x10]):
        yield Fact("discovery.nicevision.mac", mac)
    if address := address_text(payload[0x10:0x14]):
        yield Fact("discovery.nicevision.ipv4-address", address)
    if text := placed_text(payload, 0x4A, 16):
        yield Fact("discovery.nicevision.name", text)


NICEVISION: Final = Probe(
    name="nicevision",
    transport="udp",
    ports=(_PORT,),
    fields=("discovery.nicevision.mac", "discovery.nicevision.ipv4-address", "discovery.nicevision.name"),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    reply_port=_PORT,
    prefixes=(_MAGIC,),
    order=6,
    source="julienblitte/UniversalScanner NiceVision.cs with its recorded answer",
    status="experimental",
    says="NiceVision recorders and encoders: name, MAC, address",
)

"""VStarcam's discovery: fixed places in a message over UDP 8600.

44 48 01 01 asks; an answer begins with 44 48 01 08. Texts that NULs fill up: IPv4 address at 4
(16 bytes), serial at 0x5c, name at 0x7c, firmware at 0xcc (32 each); the MAC stands at 0x54, the
port behind it (little-endian). From UniversalScanner (julienblitte/UniversalScanner, Vstarcam.cs)
with its recorded answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.binary import mac_text, placed_text
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["VSTARCAM"]

_SEARCH: Final = bytes.fromhex("44480101")
_FOUND: Final = bytes.fromhex("44480108")
_PORT_AT: Final = 0x5A
_PLACES: Final = (
    (0x04, 16, "discovery.vstarcam.ipv4-address"),
    (0x5C, 32, "discovery.vstarcam.serial"),
    (0x7C, 32, "discovery.vstarcam.name"),
    (0xCC, 32, "discovery.vstarcam.firmware"),
)


def _mine(payload: bytes) -> bool:
    return payload.startswith(_FOUND)


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_SEARCH, "VStarcam device search"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    if mac := mac_text(payload[0x54:_PORT_AT]):
        yield Fact("discovery.vstarcam.mac", mac)
    for start, size, field in _PLACES:
        if text := placed_text(payload, start, size):
            yield Fact(field, text)
    if len(port := payload[_PORT_AT : _PORT_AT + 2]) == 2:
        yield Fact("discovery.vstarcam.http-port", str(int.from_bytes(port, "little")))


VSTARCAM: Final = Probe(
    name="vstarcam",
    transport="udp",
    ports=(8600,),
    fields=(
        "discovery.vstarcam.mac",
        *(field for _, _, field in _PLACES),
        "discovery.vstarcam.http-port",
    ),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    prefixes=(_FOUND,),
    order=6,
    source="julienblitte/UniversalScanner Vstarcam.cs with its recorded answer",
    says="VStarcam and like-built cameras: serial, name, firmware, MAC, address",
)

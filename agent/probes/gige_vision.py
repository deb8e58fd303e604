"""GigE Vision's discovery of machine vision cameras: command 2 over UDP 3956.

The acknowledgement (number 3) has 248 bytes behind its header of 8: MAC at 0x12, IPv4 address
at 0x2c, then texts that NULs fill up: maker at 0x50, model at 0x70, version at 0x90 (32 each),
serial at 0xe0, the user's name at 0xf0 (16 each). From UniversalScanner
(julienblitte/UniversalScanner, GigEVision.cs) with its recorded answer; the standard is AIA's
GigE Vision 1.2. Commands that write registers are never built here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.binary import address_text, mac_text, placed_text
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["GIGE_VISION"]

# Key, flags "acknowledge, to everybody if need be", command, no payload, number of the question.
_DISCOVERY: Final = bytes.fromhex("42 11 0002 0000 0001")
_ACKNOWLEDGEMENT: Final = bytes.fromhex("0000 0003 00f8")
_VERSIONS: Final = (b"\0\1", b"\0\2")
_PLACES: Final = (
    (0x50, 32, "discovery.gigevision.manufacturer"),
    (0x70, 32, "discovery.gigevision.model"),
    (0x90, 32, "discovery.gigevision.version"),
    (0xE0, 16, "discovery.gigevision.serial"),
    (0xF0, 16, "discovery.gigevision.name"),
)


def _mine(payload: bytes) -> bool:
    return payload.startswith(_ACKNOWLEDGEMENT) and payload[8:10] in _VERSIONS


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_DISCOVERY, "GigE Vision discovery command"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    if mac := mac_text(payload[0x12:0x18]):
        yield Fact("discovery.gigevision.mac", mac)
    if address := address_text(payload[0x2C:0x30]):
        yield Fact("discovery.gigevision.ipv4-address", address)
    for start, size, field in _PLACES:
        if text := placed_text(payload, start, size):
            yield Fact(field, text)


GIGE_VISION: Final = Probe(
    name="gigevision",
    transport="udp",
    ports=(3956,),
    fields=(
        "discovery.gigevision.mac",
        "discovery.gigevision.ipv4-address",
        *(field for _, _, field in _PLACES),
    ),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    prefixes=(_ACKNOWLEDGEMENT,),
    aliases=("gige-vision", "gvcp"),
    order=6,
    source="julienblitte/UniversalScanner GigEVision.cs with its recorded answer; AIA GigE Vision 1.2",
    says="machine vision cameras: maker, model, version, serial, MAC, address",
)

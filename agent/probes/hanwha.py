"""Hanwha's (Samsung Techwin's, Wisenet's) discovery: 262 bytes over UDP 7701, answered to 7711.

Kind 1 asks, kind 11 answers. Texts stand in fixed places that NULs fill up: MAC at 0x13 (18
bytes), IPv4 address at 0x25 (16), model at 0x6d (10), address of the web page at 0x85 (39).
From UniversalScanner (julienblitte/UniversalScanner, Hanwha.cs) with its recorded answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent.binary import placed_text
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["HANWHA"]

_SIZE: Final = 262
_SEARCH: Final = 0x01
_FOUND: Final = 0x0B
_MAC_AT: Final = 0x13
_MAC: Final = re.compile(rb"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\0")
_PLACES: Final = (
    (_MAC_AT, 18, "discovery.hanwha.mac"),
    (0x25, 16, "discovery.hanwha.ipv4-address"),
    (0x6D, 10, "discovery.hanwha.model"),
    (0x85, 39, "discovery.hanwha.url"),
)


def _mine(payload: bytes) -> bool:
    return payload[:1] == bytes([_FOUND]) and _MAC.match(payload, _MAC_AT) is not None


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(bytes([_SEARCH]).ljust(_SIZE, b"\0"), "Hanwha device search"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    for start, size, field in _PLACES:
        if text := placed_text(payload, start, size):
            yield Fact(field, text)


HANWHA: Final = Probe(
    name="hanwha",
    transport="udp",
    ports=(7701, 7711),
    fields=tuple(field for _, _, field in _PLACES),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    reply_port=7711,
    order=6,
    source="julienblitte/UniversalScanner Hanwha.cs with its recorded answer",
    says="Hanwha (Samsung, Wisenet) cameras and recorders: model, MAC, address",
)

"""Panasonic's (i-PRO's) discovery: tagged values over UDP 10670, answered to everybody on 10669.

A header of 48 bytes holds the operation at 4 (13 asks, 14 answers), the sender's MAC at 6 of an
answer, the length of the values at 2. Tags with lengths, both of two bytes, follow; 0xffff and a
checksum end the message. Layout from UniversalScanner (julienblitte/UniversalScanner,
Panasonic.cs with its recorded answer), whose question this is; the tags of firmware and serial,
and the port of the answer, as in Rickardjd/Easy_IP (Wireshark/responses.txt, a recorded camera).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from agent.binary import address_text, mac_text, plain_text, tagged
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["PANASONIC"]

_HEADER: Final = 48
_SEARCH: Final = 13
_FOUND: Final = 14
_VERSION: Final = b"\0\1"
_MAC_AT: Final = 6
_HEAD: Final = struct.Struct(">HH")
_TAGS: Final[Mapping[int, tuple[str, Callable[[bytes], str]]]] = {
    0x20: ("discovery.panasonic.ipv4-address", address_text),
    0x40: ("discovery.panasonic.ipv6-address", address_text),
    0xA7: ("discovery.panasonic.model", plain_text),
    0xA8: ("discovery.panasonic.name", plain_text),
    0xA9: ("discovery.panasonic.firmware", plain_text),
    0xD1: ("discovery.panasonic.serial", plain_text),
}
_QUESTION: Final = (
    _VERSION
    + bytes(2)
    + _SEARCH.to_bytes(2)
    + bytes(6)
    # Whoever asks may leave its MAC and address open: the answer goes to everybody.
    + b"\xff" * 10
    + bytes.fromhex("0001 2011 1e11231f 1e191300 00020000")
    + bytes(10)
    + b"\xff\xff"
    + bytes(2)
)


def _mine(payload: bytes) -> bool:
    return payload[:2] == _VERSION and payload[4:6] == _FOUND.to_bytes(2) and len(payload) > _HEADER


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_QUESTION, "Panasonic device search"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    if mac := mac_text(payload[_MAC_AT : _MAC_AT + 6]):
        yield Fact("discovery.panasonic.mac", mac)
    end = _HEADER + int.from_bytes(payload[2:4])
    for _, tag, value in tagged(payload[:end], _HEADER, _HEAD):
        field, read = _TAGS.get(tag, ("", plain_text))
        if field and (text := read(value)):
            yield Fact(field, text)


PANASONIC: Final = Probe(
    name="panasonic",
    transport="udp",
    ports=(10670, 10669),
    fields=("discovery.panasonic.mac", *(field for field, _ in _TAGS.values())),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    reply_port=10669,
    order=6,
    source="julienblitte/UniversalScanner Panasonic.cs with its recorded answer; Rickardjd/Easy_IP",
    says="Panasonic and i-PRO cameras and recorders: model, firmware, serial, MAC, addresses",
)

"""Ubiquiti's discovery: tagged values over UDP 10001, asked by broadcast, multicast or alone.

A header has version, command and length of the values (two bytes, big-endian); each value has
a tag of one byte with a length of two. Commands 0 of version 1, then 6, 9 and 11 of version 2
are answers or announcements. Tags as in UniversalScanner (julienblitte/UniversalScanner,
Ubiquiti.cs, with a recorded answer), nmap's ubiquiti-discovery script and Wireshark's
packet-ubdp.c; that a camera (AirCam) answers alone, too, as in headlesszeke/ubiquiti-probing.
Access points and switches answer alike: the model tells.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from agent.binary import address_text, mac_text, plain_text, tagged
from agent.wire import Ask, Malformed, Probe, Target
from fingerprints.model import Fact

__all__ = ["UBIQUITI"]

_HEADER: Final = struct.Struct(">BBH")
_ANSWERS: Final = frozenset({(1, 0), (2, 6), (2, 9), (2, 11)})
_HEAD: Final = struct.Struct(">BH")
_MAC_AND_ADDRESS: Final = 2
_TAGS: Final[Mapping[int, tuple[str, Callable[[bytes], str]]]] = {
    0x01: ("discovery.ubiquiti.mac", mac_text),
    0x03: ("discovery.ubiquiti.firmware-string", plain_text),
    0x0B: ("discovery.ubiquiti.name", plain_text),
    0x0C: ("discovery.ubiquiti.platform", plain_text),
    0x13: ("discovery.ubiquiti.mac", mac_text),
    0x14: ("discovery.ubiquiti.model", plain_text),
    0x15: ("discovery.ubiquiti.model", plain_text),
    0x16: ("discovery.ubiquiti.firmware", plain_text),
}


def _mine(payload: bytes) -> bool:
    if len(payload) <= _HEADER.size:
        return False
    version, command, size = _HEADER.unpack_from(payload)
    # The first value of every known answer is one of these.
    return (version, command) in _ANSWERS and size > 0 and payload[_HEADER.size] in {1, 2, 3, *_TAGS}


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (
        Ask(bytes.fromhex("01000000"), "Ubiquiti discovery, version 1"),
        Ask(bytes.fromhex("02080000"), "Ubiquiti discovery, version 2"),
    )


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    end = _HEADER.size + int.from_bytes(payload[2:4])
    said: set[Fact] = set()
    for at, tag, value in tagged(payload[:end], _HEADER.size, _HEAD):
        for fact in _facts(tag, value, at):
            if fact not in said:
                said.add(fact)
                yield fact


def _facts(tag: int, value: bytes, at: int) -> Iterator[Fact]:
    if tag == _MAC_AND_ADDRESS:
        if len(value) != 10:
            raise Malformed(f"Ubiquiti MAC with address of {len(value)} bytes", at)
        if mac := mac_text(value[:6]):
            yield Fact("discovery.ubiquiti.mac", mac)
        if address := address_text(value[6:]):
            yield Fact("discovery.ubiquiti.ipv4-address", address)
        return
    field, read = _TAGS.get(tag, ("", plain_text))
    if field and (text := read(value)):
        yield Fact(field, text)


UBIQUITI: Final = Probe(
    name="ubiquiti",
    transport="udp",
    ports=(10001,),
    fields=("discovery.ubiquiti.ipv4-address", *dict.fromkeys(field for field, _ in _TAGS.values())),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255", "233.89.188.1"),
    reply_port=10001,
    order=6,
    source="julienblitte/UniversalScanner Ubiquiti.cs with its recorded answer; nmap; Wireshark packet-ubdp.c",
    says="Ubiquiti cameras, access points and switches: model, firmware, MAC, address",
)

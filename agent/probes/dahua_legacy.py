"""Dahua's older discovery protocol: a 32-byte question over UDP 5050.

Layout of the answer (little-endian), from UniversalScanner (julienblitte/UniversalScanner,
Dahua1.cs) with the answer recorded in its self-test: byte 0 is 0xb3, byte 2 the length of
section 2, u32 at 4 is 0x58, u32 at 0x10 is 2, u16 at 0x14 the length of section 3. A device
type of 16 bytes stands at 0x28, the IPv4 address at 0x38. Section 2, from 0x78, is the MAC
as 17 characters with the whole type behind it; section 3 is text, one ``Key:value`` a line.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Iterator
from typing import Final

from agent.wire import Ask, Malformed, Probe, Target
from fingerprints.model import Fact

__all__ = ["DAHUA_LEGACY"]

_QUESTION: Final = b"\xa3\x01\x00\x01" + bytes(12) + b"\x02" + bytes(15)
_HEADER: Final = struct.Struct("<BxBxI8xIH")
_SECTION_2: Final = 0x78
_ANSWER: Final = (0xB3, 0x58, 2)
_MAC: Final = re.compile(rb"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}")
_LINES: Final = {
    b"Name": "dahua-legacy.name",
    b"Device": "dahua-legacy.device-type",
    b"IPv6Addr": "dahua-legacy.ipv6-address",
    b"SerialNo": "dahua-legacy.serial-no",
}


def _mine(payload: bytes) -> bool:
    if len(payload) < _HEADER.size:
        return False
    mark, _, kind, version, _ = _HEADER.unpack_from(payload)
    return (mark, kind, version) == _ANSWER


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_QUESTION, "Dahua device search"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """Facts of an answer, or of its text lines alone."""
    if not _mine(payload):
        if payload.startswith(tuple(key + b":" for key in _LINES)):
            yield from _text_lines(payload)
        return
    _, second_length, _, _, third_length = _HEADER.unpack_from(payload)
    third = _SECTION_2 + second_length
    yield from _first_section(payload[:_SECTION_2])
    yield from _second_section(payload[_SECTION_2:third], cut=len(payload) < third)
    yield from _text_lines(payload[third : third + third_length])


def _first_section(payload: bytes) -> Iterator[Fact]:
    name, end, _ = payload[0x28:0x38].partition(b"\0")
    # A name that fills its 16 bytes may have been cut to fit.
    if end and (text := _text(name)):
        yield Fact("dahua-legacy.device-type", text)
    address = payload[0x38:0x3C]
    if len(address) == 4 and any(address):
        yield Fact("dahua-legacy.ipv4-address", str(ipaddress.IPv4Address(address)))


def _second_section(section: bytes, *, cut: bool) -> Iterator[Fact]:
    if len(section) < 17:
        return
    found = _MAC.match(section)
    if not found:
        raise Malformed("no MAC where a Dahua answer has it", _SECTION_2)
    yield Fact("dahua-legacy.mac", found.group().decode("ascii"))
    if not cut and (text := _text(section[17:])):
        yield Fact("dahua-legacy.device-type", text)


def _text_lines(section: bytes) -> Iterator[Fact]:
    *lines, _ = section.split(b"\n")
    for line in lines[:64]:
        key, _, value = line.partition(b":")
        field = _LINES.get(key.strip())
        # IPv6Addr has the gateway behind a semicolon.
        text = _text(value.partition(b";")[0])
        if field and text:
            yield Fact(field, text)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").replace("\0", "").strip()


DAHUA_LEGACY: Final = Probe(
    name="dahua-legacy",
    transport="udp",
    ports=(5050,),
    fields=("dahua-legacy.ipv4-address", "dahua-legacy.mac", *_LINES.values()),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    reply_port=5050,
    order=1,
    aliases=("dahua1",),
    source="julienblitte/UniversalScanner Dahua1.cs with its recorded answer",
    says="older Dahua discovery: model, name, serial, addresses",
)

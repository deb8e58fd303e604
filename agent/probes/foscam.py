"""Foscam's discovery: ``MO_I`` messages over UDP 10000, in clear or obfuscated.

A header of 23 bytes holds the kind (0 asks, 1 answers), a flag whether the rest was combined
with the key of 8 bytes behind it by exclusive or, the size. The answer: serial (13 bytes), name
(21), IPv4 address at 0x39, firmware at 0x4d, version of the web pages, port. Many cameras of
the years 2010 to 2013 are built like Foscam's: the answer proves the design rather than the badge.
The serial is the MAC (OpenIPC/python-dvr, DeviceManager.py).
From UniversalScanner (julienblitte/UniversalScanner, Foscam.cs) with both recorded forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle
from typing import Final

from agent.binary import address_text, placed_text
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["FOSCAM"]

_MAGIC: Final = b"MO_I"
_SEARCH: Final = 0
_FOUND: Final = 1
_HEADER: Final = 0x17
_MAC: Final = re.compile("([0-9A-Fa-f]{2})" * 6)
_ANSWER: Final = 0x57
_QUESTION: Final = _MAGIC + _SEARCH.to_bytes(2, "little") + bytes(9) + b"\4" + bytes(7) + (1).to_bytes(4)


def _mine(payload: bytes) -> bool:
    return payload.startswith(_MAGIC + _FOUND.to_bytes(2, "little"))


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_QUESTION, "Foscam device search"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload) or len(payload) < _ANSWER:
        return
    answer = _clear(payload[:_ANSWER])
    if text := placed_text(answer, 0x17, 13):
        yield Fact("discovery.foscam.serial", text)
        if mac := _MAC.fullmatch(text):
            yield Fact("discovery.foscam.mac", ":".join(mac.groups()))
    if text := placed_text(answer, 0x24, 21):
        yield Fact("discovery.foscam.name", text)
    if text := address_text(answer[0x39:0x3D]):
        yield Fact("discovery.foscam.ipv4-address", text)
    if text := address_text(answer[0x4D:0x51]):
        # Four bytes with dots between them, as in an address.
        yield Fact("discovery.foscam.firmware", text)
    yield Fact("discovery.foscam.http-port", str(int.from_bytes(answer[0x55:0x57])))


def _clear(payload: bytes) -> bytes:
    """The message with its obfuscation taken off, where it has one."""
    if not payload[6]:
        return payload
    body = bytes(byte ^ key for byte, key in zip(payload[_HEADER:], cycle(payload[7:15]), strict=False))
    return payload[:_HEADER] + body


FOSCAM: Final = Probe(
    name="foscam",
    transport="udp",
    ports=(10000,),
    fields=(
        "discovery.foscam.serial",
        "discovery.foscam.mac",
        "discovery.foscam.name",
        "discovery.foscam.ipv4-address",
        "discovery.foscam.firmware",
        "discovery.foscam.http-port",
    ),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    reply_port=10000,
    prefixes=(_MAGIC,),
    aliases=("foscam-cipher", "foscam_cipher"),
    order=6,
    source="julienblitte/UniversalScanner Foscam.cs with its recorded answers, plain and obfuscated",
    says="Foscam and like-built cameras: serial, name, firmware, address",
)

"""Baichuan: what a Reolink device answers on TCP 9000.

Little-endian header: magic f0debc0a, message, length, channel with stream and number (u32), status
(u16), class (u16), and for two of the classes the place of the payload (u32). Up to the agreement
on a key the body is XML, hidden by a fixed pattern of eight bytes; behind it it is encrypted, and
only the headers speak (thirtythreeforty/neolink, crates/core/src/bc; a recorded login). Passive:
a device answers only those who log in. The settings are also read from JSON, as clients write them
into their logs (thirtythreeforty/neolink#250).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from agent import json, xml
from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["BAICHUAN"]

_MAGIC: Final = b"\xf0\xde\xbc\x0a"
_HEADER: Final = struct.Struct("<4sIIIHH")
_LONG: Final = 24
_MAX_MESSAGES: Final = 16
_PATTERN: Final = bytes.fromhex("1f2d3c4b5a6978ff")

_AGREEMENT: Final = 0x6614
_ANSWER: Final = 0x0000
_LONG_HEADED: Final = frozenset({0x6414, 0x0000})
_CLASSES: Final = frozenset({0x6414, 0x6514, 0x6614, 0x0000})
_AGREED: Final = 0xDD
"""Upper byte of the status with which a device agrees to a kind of encryption."""
_STATUSES: Final = range(100, 600)

_FIELDS: Final = {
    "name": "discovery.reolink.name",
    "serialNumber": "discovery.reolink.serial",
    "hardwareVersion": "discovery.reolink.hardware-version",
    "cfgVersion": "discovery.reolink.config-version",
    "firmwareVersion": "discovery.reolink.firmware-version",
}
_ABOUT: Final = "VersionInfo"
_LOGGED: Final = {
    "Hardware Ver": "discovery.reolink.hardware-version",
    "Config Ver": "discovery.reolink.config-version",
    "Firmware Ver": "discovery.reolink.firmware-version",
}


def _mine(payload: bytes) -> bool:
    return _is_message(payload) or _is_log(payload)


def _is_log(payload: bytes) -> bool:
    return payload[:1] == b"{" and b'"Firmware Ver"' in payload[:1024]


def _is_message(payload: bytes) -> bool:
    return (
        len(payload) >= _HEADER.size
        and payload.startswith(_MAGIC)
        and int.from_bytes(payload[18:20], "little") in _CLASSES
    )


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """A device's answers; what a client says, its hidden login among it, is nobody's business."""
    if _is_log(payload):
        for path, text in json.leaves(payload):
            field = _LOGGED.get(path[0]) if len(path) == 1 else None
            if field is not None and text:
                yield Fact(field, text)
        return
    at = 0
    told = False
    for _ in range(_MAX_MESSAGES):
        if not _is_message(payload[at : at + _LONG]):
            return
        _, _, length, place, status, kind = _HEADER.unpack_from(payload, at)
        start = at + (_LONG if kind in _LONG_HEADED else _HEADER.size)
        body = payload[start : start + length]
        if (kind == _AGREEMENT and status >> 8 == _AGREED) or (kind == _ANSWER and status in _STATUSES):
            if not told:
                told = True
                yield Fact("discovery.reolink.answer", "Baichuan")
            if len(body) == length and body:
                yield from _settings(body, place & 0xFF, start)
        at = start + length


def _settings(body: bytes, shift: int, offset: int) -> Iterator[Fact]:
    """What a device tells of itself where nothing but the fixed pattern hides it."""
    plain = bytes(byte ^ _PATTERN[(shift + at) % 8] ^ shift for at, byte in enumerate(body))
    text = next((text for text in (body, plain) if text.startswith(b"<?xml")), b"")
    if _ABOUT.encode() not in text:
        return
    document = xml.read(text)
    for leaf in document.leaves:
        field = _FIELDS.get(leaf.name)
        if field is not None and leaf.path[-2:-1] == (_ABOUT,):
            yield Fact(field, leaf.text)
    try:
        document.finish()
    except Malformed as error:
        raise Malformed(error.what, offset + error.offset) from None


BAICHUAN: Final = Probe(
    name="baichuan",
    transport="tcp",
    ports=(9000,),
    fields=("discovery.reolink.answer", *_FIELDS.values()),
    mine=_mine,
    dissect=_dissect,
    prefixes=(_MAGIC,),
    aliases=("reolink-baichuan",),
    unicast=False,
    source="thirtythreeforty/neolink crates/core/src/bc; a recorded login",
    says="that a device speaks Reolink's protocol; its versions where they are not encrypted",
)

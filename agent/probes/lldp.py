"""LLDP: what a device says of itself to whatever its cable leads to.

TLVs after IEEE 802.1AB-2016 section 8 (7 bits of type, 9 of length); those of LLDP-MED after
ANSI/TIA-1057 section 10.2 (organisation 00-12-BB, subtypes 6 firmware, 8 serial, 9 manufacturer,
10 model). Most cameras speak through lldpd; the fields are then the operating system's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["LLDP"]

_MAX_TLVS: Final = 128
_CHASSIS: Final = 1
_PORT: Final = 2
_TIME_TO_LIVE: Final = 3
_CAPABILITIES: Final = 7
_MANAGEMENT: Final = 8
_ORGANISATION: Final = 127
_TEXTS: Final = {4: "lldp.port-description", 5: "lldp.system-name", 6: "lldp.system-description"}
_MED: Final = b"\x00\x12\xbb"
_MED_TEXTS: Final = {6: "lldp.firmware", 8: "lldp.serial", 9: "lldp.manufacturer", 10: "lldp.model"}
_CAPABLE: Final = (
    "other",
    "repeater",
    "bridge",
    "access-point",
    "router",
    "telephone",
    "docsis",
    "station",
)
_MAC_OF_CHASSIS: Final = 4
_MAC_OF_PORT: Final = 3


def _mine(payload: bytes) -> bool:
    # The chassis comes first, with a subtype and a value.
    return payload[:1] == b"\x02" and len(payload) > 3 and payload[1] >= 2 and 1 <= payload[2] <= 7


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    at = 0
    for _ in range(_MAX_TLVS):
        if at + 2 > len(payload):
            return
        head = int.from_bytes(payload[at : at + 2])
        kind, length = head >> 9, head & 0x1FF
        value = payload[at + 2 : at + 2 + length]
        if kind == 0 or len(value) < length:
            return
        yield from _facts(kind, value, at)
        at += 2 + length
    raise Malformed("more LLDP TLVs than any device sends", at)


def _facts(kind: int, value: bytes, at: int) -> Iterator[Fact]:
    if kind in _TEXTS:
        yield from _text(_TEXTS[kind], value)
    elif kind in {_CHASSIS, _PORT} and len(value) >= 2:
        own_mac = _MAC_OF_CHASSIS if kind == _CHASSIS else _MAC_OF_PORT
        field = "lldp.chassis-id" if kind == _CHASSIS else "lldp.port-id"
        if value[0] == own_mac and len(value) == 7:
            yield Fact(field, value[1:].hex(":"))
        elif value[0] != own_mac:
            yield from _identifier(field, value, address=5 if kind == _CHASSIS else 4)
    elif kind == _TIME_TO_LIVE and len(value) < 2:
        raise Malformed("an LLDP time to live that is too short", at)
    elif kind == _CAPABILITIES and len(value) == 4:
        enabled = int.from_bytes(value[2:])
        names = [name for bit, name in enumerate(_CAPABLE) if enabled >> bit & 1]
        if names:
            yield Fact("lldp.capabilities", ",".join(names))
    elif kind == _MANAGEMENT and value and value[0] < len(value):
        address = _address(value[1 : 1 + value[0]])
        if address:
            yield Fact("lldp.management-address", address)
    elif kind == _ORGANISATION and len(value) >= 4:
        yield Fact("lldp.organisation", f"{value[:3].hex(':')} {value[3]}")
        if value[:3] == _MED and value[3] in _MED_TEXTS:
            yield from _text(_MED_TEXTS[value[3]], value[4:])


def _identifier(field: str, value: bytes, address: int) -> Iterator[Fact]:
    if value[0] == address:
        text = _address(value[1:])
        if text:
            yield Fact(field, text)
    else:
        yield from _text(field, value[1:])


def _address(value: bytes) -> str:
    """An address behind its family number (1 IPv4, 2 IPv6, 6 a MAC); else empty."""
    family, rest = value[:1], value[1:]
    if (family, len(rest)) in {(b"\1", 4), (b"\2", 16)} and any(rest):
        return str(ipaddress.ip_address(rest))
    return rest.hex(":") if family == b"\6" and len(rest) == 6 else ""


def _text(field: str, value: bytes) -> Iterator[Fact]:
    text = value.decode("utf-8", "replace").replace("\0", "").strip()
    if text:
        yield Fact(field, text)


LLDP: Final = Probe(
    name="lldp",
    transport="ethernet",
    ports=(),
    fields=(
        "lldp.chassis-id",
        "lldp.port-id",
        "lldp.capabilities",
        "lldp.management-address",
        "lldp.organisation",
        *_TEXTS.values(),
        *_MED_TEXTS.values(),
    ),
    mine=_mine,
    dissect=_dissect,
    ethertypes=frozenset({0x88CC}),
    unicast=False,
    source="IEEE 802.1AB-2016, ANSI/TIA-1057",
    says="name, description, maker and model of a device, told to its switch",
)

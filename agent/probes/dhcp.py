"""DHCP: what a client says of itself when it asks for an address.

Messages after RFC 2131, options after RFC 2132 (12 host name, 50 requested address, 55
parameter list, 60 vendor class, 61 client identifier), overload of file and server name
after section 9.3. Only clients are heard: a server speaks about others.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["DHCP"]

_COOKIE: Final = b"\x63\x82\x53\x63"
_FIXED: Final = 236
_OPTIONS: Final = _FIXED + 4
_MAX_OPTIONS: Final = 256
_REQUEST: Final = 1


def _mine(payload: bytes) -> bool:
    return len(payload) > _OPTIONS and payload[_FIXED:_OPTIONS] == _COOKIE and payload[0] in {1, 2}


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload) or payload[0] != _REQUEST or payload[1:3] != b"\x01\x06":
        return
    hardware = payload[28:34]
    if not any(hardware) or hardware[0] & 1:
        return
    mac = hardware.hex(":")
    yield Fact("mac", mac, mac)
    address = ipaddress.IPv4Address(payload[12:16])
    if not (address.is_unspecified or address.is_multicast or address.is_reserved or address.is_loopback):
        yield Fact("ip.address", str(address), mac)
    overload = 0
    for code, value in _options(payload, _OPTIONS, len(payload)):
        if code == 52 and len(value) == 1:
            overload = value[0]
        else:
            yield from _fact(code, value, mac)
    for bit, start, end in ((1, 108, _FIXED), (2, 44, 108)):
        if overload & bit:
            for code, value in _options(payload, start, end):
                yield from _fact(code, value, mac)


def _options(payload: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Options until the end mark; one that is cut by the end of the capture is left out."""
    for _ in range(_MAX_OPTIONS):
        if at >= end or payload[at] == 255:
            return
        if payload[at] == 0:
            at += 1
            continue
        if at + 1 >= end:
            return
        code, length = payload[at], payload[at + 1]
        if at + 2 + length > end:
            return
        yield code, payload[at + 2 : at + 2 + length]
        at += 2 + length
    raise Malformed("more DHCP options than any client sends", at)


def _fact(code: int, value: bytes, mac: str) -> Iterator[Fact]:
    if code == 12:
        yield from _text("dhcp.hostname", value, mac)
    elif code == 60:
        yield from _text("dhcp.vendor-class", value, mac)
    elif code == 55 and value:
        yield Fact("dhcp.parameters", ",".join(str(byte) for byte in value), mac)
    elif code == 61 and value:
        yield Fact("dhcp.client-id", value.hex(), mac)
    elif code == 50 and len(value) == 4:
        yield Fact("dhcp.requested-address", str(ipaddress.IPv4Address(value)), mac)


def _text(field: str, value: bytes, mac: str) -> Iterator[Fact]:
    text = value.decode("utf-8", "replace").replace("\0", "").strip()
    if text:
        yield Fact(field, text, mac)


DHCP: Final = Probe(
    name="dhcp",
    transport="udp",
    ports=(67, 68),
    fields=(
        "mac",
        "ip.address",
        "dhcp.hostname",
        "dhcp.vendor-class",
        "dhcp.parameters",
        "dhcp.client-id",
        "dhcp.requested-address",
    ),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="RFC 2131, RFC 2132",
    says="host name, vendor class and parameter list of a client",
)

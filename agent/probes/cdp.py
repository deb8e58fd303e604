"""CDP: what a Cisco device, or one that speaks like it, says of itself to its neighbours.

A version, a time to live and a checksum, then TLVs with 16 bits of type and of length, the
length including both (Cisco's published description of the frame format; recorded frames).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["CDP"]

_HEADER: Final = 4
_MAX_TLVS: Final = 128
_MAX_ADDRESSES: Final = 16
_TEXTS: Final = {1: "cdp.device-id", 3: "cdp.port-id", 5: "cdp.version", 6: "cdp.platform"}
_ADDRESSES: Final = 2
_CAPABILITIES: Final = 4
_MANAGEMENT: Final = 22
_CAPABLE: Final = (
    "router",
    "transparent-bridge",
    "source-route-bridge",
    "switch",
    "host",
    "igmp",
    "repeater",
    "phone",
    "remotely-managed",
)
_IPV4: Final = b"\x01\x01\xcc\x00\x04"
_IPV6: Final = b"\x02\x08\xaa\xaa\x03\x00\x00\x00\x86\xdd\x00\x10"


def _mine(payload: bytes) -> bool:
    return payload[:1] in {b"\1", b"\2"} and len(payload) >= _HEADER + 4 and payload[4] == 0


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    at = _HEADER
    for _ in range(_MAX_TLVS):
        if at + 4 > len(payload):
            return
        kind, length = int.from_bytes(payload[at : at + 2]), int.from_bytes(payload[at + 2 : at + 4])
        if kind == 0 == length:
            # Padding of a short frame.
            return
        if length < 4:
            raise Malformed("a CDP value shorter than its own header", at)
        if at + length > len(payload):
            return
        yield from _facts(kind, payload[at + 4 : at + length])
        at += length
    raise Malformed("more CDP values than any device sends", at)


def _facts(kind: int, value: bytes) -> Iterator[Fact]:
    if kind in _TEXTS:
        text = value.decode("utf-8", "replace").replace("\0", "").strip()
        if text:
            yield Fact(_TEXTS[kind], text)
    elif kind in {_ADDRESSES, _MANAGEMENT}:
        for address in _addresses(value):
            yield Fact("cdp.address", address)
    elif kind == _CAPABILITIES and len(value) == 4:
        bits = int.from_bytes(value)
        names = [name for bit, name in enumerate(_CAPABLE) if bits >> bit & 1]
        if names:
            yield Fact("cdp.capabilities", ",".join(names))


def _addresses(value: bytes) -> Iterator[str]:
    """IPv4 and IPv6 addresses of a list; another kind of address ends the reading."""
    at = 4
    for _ in range(min(int.from_bytes(value[:4]), _MAX_ADDRESSES)):
        size = 4 if value.startswith(_IPV4, at) else 16 if value.startswith(_IPV6, at) else 0
        at += len(_IPV4) if size == 4 else len(_IPV6)
        raw = value[at : at + size]
        if not size or len(raw) < size:
            return
        if any(raw):
            yield str(ipaddress.ip_address(raw))
        at += size


CDP: Final = Probe(
    name="cdp",
    transport="ethernet",
    ports=(),
    fields=(*_TEXTS.values(), "cdp.address", "cdp.capabilities"),
    mine=_mine,
    dissect=_dissect,
    ethertypes=frozenset({0x00000C2000}),
    unicast=False,
    source="Cisco's description of the CDP frame format; recorded frames of two switches",
    says="name, platform, software and addresses of a device, told to its neighbours",
)

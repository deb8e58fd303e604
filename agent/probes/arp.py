"""ARP: which MAC has which address on this link (RFC 826)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from agent.wire import Probe
from fingerprints.model import Fact

__all__ = ["ARP"]

_ETHERNET_IPV4: Final = b"\x00\x01\x08\x00\x06\x04"
_LENGTH: Final = 28


def _mine(payload: bytes) -> bool:
    return payload.startswith(_ETHERNET_IPV4)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """The sender's pair; a probe for a free address (RFC 5227) carries none of its own."""
    if len(payload) < _LENGTH or not _mine(payload) or payload[6:8] not in {b"\0\1", b"\0\2"}:
        return
    mac = payload[8:14]
    if mac[0] & 1 or not any(mac):
        return
    text = mac.hex(":")
    yield Fact("mac", text, text)
    if any(payload[14:18]):
        yield Fact("ip.address", str(ipaddress.IPv4Address(payload[14:18])), text)


ARP: Final = Probe(
    name="arp",
    transport="ethernet",
    ports=(),
    fields=("mac", "ip.address"),
    mine=_mine,
    dissect=_dissect,
    ethertypes=frozenset({0x0806}),
    unicast=False,
    source="RFC 826, RFC 5227",
    says="which MAC has which address",
)

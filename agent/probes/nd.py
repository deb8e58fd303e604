"""IPv6 neighbour discovery: which MAC a host gives for itself.

Messages after RFC 4861 section 4: router solicitation 133 and advertisement 134, neighbour
solicitation 135 and advertisement 136. A solicitation names its sender's MAC in option 1, an
advertisement the MAC of the address it is about in option 2.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["ND"]

_OPTIONS: Final = {133: 8, 134: 16, 135: 24, 136: 24}
"""Where the options begin, by message type."""
_SOURCE: Final = 1
_TARGET: Final = 2
_ADVERTISEMENT: Final = 136
_MAX_OPTIONS: Final = 64


def _mine(payload: bytes) -> bool:
    return len(payload) >= 8 and payload[0] in _OPTIONS and payload[1] == 0


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    kind = payload[0]
    wanted = _TARGET if kind == _ADVERTISEMENT else _SOURCE
    at = _OPTIONS[kind]
    for _ in range(_MAX_OPTIONS):
        if at + 2 > len(payload):
            return
        size = 8 * payload[at + 1]
        if size == 0:
            raise Malformed("a neighbour discovery option without length", at)
        value = payload[at + 2 : at + size]
        if at + size > len(payload):
            return
        if payload[at] == wanted and size == 8 and any(value) and not value[0] & 1:
            mac = value.hex(":")
            yield Fact("mac", mac, mac)
            if kind == _ADVERTISEMENT:
                yield from _address(payload[8:24], mac)
            return
        at += size
    raise Malformed("more neighbour discovery options than any host sends", at)


def _address(raw: bytes, mac: str) -> Iterator[Fact]:
    address = ipaddress.IPv6Address(raw)
    if not (address.is_multicast or address.is_unspecified or address.is_loopback):
        yield Fact("ip.address", str(address), mac)


ND: Final = Probe(
    name="nd",
    transport="icmp6",
    ports=(),
    fields=("mac", "ip.address"),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="RFC 4861",
    says="which MAC has which IPv6 address",
)

"""DHCPv6: what a client says of itself when it asks for addresses or settings.

Messages and options after RFC 8415 (sections 7.3, 8, 11, 21): 1 client identifier, 6 option request,
16 vendor class; 39 domain name after RFC 4704. A relay passes a client's message on with the
client's MAC, if it knows it (option 79, RFC 6939). A MAC in an identifier is the client's word: it
may be that of another of its interfaces, or of the device whose image was copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent import dns_wire
from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["DHCPV6"]

_ASKING: Final = frozenset({1, 3, 4, 5, 6, 8, 9, 11})
"""Solicit, request, confirm, renew, rebind, release, decline, information request: a client's messages."""
_RELAYED: Final = 12
_HEADER: Final = 4
_RELAY_HEADER: Final = 34
_MAX_OPTIONS: Final = 128
_MAX_RELAYS: Final = 8
"""Most relays behind one another (RFC 8415 section 7.6: HOP_COUNT_LIMIT)."""

_CLIENT_ID: Final = 1
_REQUESTED: Final = 6
_MESSAGE: Final = 9
_VENDOR_CLASS: Final = 16
_DOMAIN_NAME: Final = 39
_LINK_LAYER: Final = 79
_ETHERNET: Final = b"\0\1"
_MAC_AT: Final = {b"\0\1": 8, b"\0\3": 4}
"""Where the MAC begins in identifiers that are made of one (section 11.2, 11.4)."""
_LONGEST_ID: Final = 130


def _mine(payload: bytes) -> bool:
    if payload[:1] == bytes([_RELAYED]):
        return len(payload) > _RELAY_HEADER and payload[1] <= _MAX_RELAYS
    return len(payload) >= _HEADER + 4 and payload[0] in _ASKING and payload[_HEADER] == 0


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    about = "speaker"
    start, end = 0, len(payload)
    for _ in range(_MAX_RELAYS + 1):
        if not _mine(payload[start:end]):
            return
        if payload[start] != _RELAYED:
            break
        about, inner = "", None
        for code, at, length in _options(payload, start + _RELAY_HEADER, end):
            value = payload[at : at + length]
            if code == _LINK_LAYER and length == 8 and value[:2] == _ETHERNET:
                about = _mac(value[2:])
            elif code == _MESSAGE:
                inner = at, at + length
        if inner is None:
            return
        start, end = inner
    if about:
        # A client whom the relay does not tell apart is nobody who can be named.
        for code, at, length in _options(payload, start + _HEADER, end):
            yield from _facts(code, payload[at : at + length], at, about)


def _options(payload: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Code, place and length of each option that is whole."""
    for _ in range(_MAX_OPTIONS):
        if at + 4 > end:
            return
        code, length = int.from_bytes(payload[at : at + 2]), int.from_bytes(payload[at + 2 : at + 4])
        if at + 4 + length > end:
            return
        yield code, at + 4, length
        at += 4 + length
    raise Malformed("more DHCPv6 options than any client sends", at)


def _facts(code: int, value: bytes, at: int, about: str) -> Iterator[Fact]:
    if code == _CLIENT_ID and 3 <= len(value) <= _LONGEST_ID:
        yield Fact("dhcpv6.duid", value.hex(), about)
        start = _MAC_AT.get(value[:2])
        mac = _mac(value[start:]) if start is not None and value[2:4] == _ETHERNET else ""
        if mac:
            yield Fact("dhcpv6.mac", mac, about)
    elif code == _REQUESTED and value and len(value) % 2 == 0:
        codes = (int.from_bytes(value[place : place + 2]) for place in range(0, len(value), 2))
        yield Fact("dhcpv6.parameters", ",".join(map(str, codes)), about)
    elif code == _VENDOR_CLASS and len(value) >= 4:
        yield Fact("dhcpv6.enterprise", str(int.from_bytes(value[:4])), about)
        for text in _texts(value, at):
            yield Fact("dhcpv6.vendor-class", text, about)
    elif code == _DOMAIN_NAME and len(value) > 1:
        name = ".".join(_labels(value[1:], at + 1)).replace("\0", "").strip()
        if name:
            yield Fact("dhcpv6.hostname", name, about)


def _texts(value: bytes, at: int) -> Iterator[str]:
    """The texts of a vendor class, each behind its length."""
    place = 4
    while place + 2 <= len(value):
        length = int.from_bytes(value[place : place + 2])
        if place + 2 + length > len(value):
            raise Malformed("a DHCPv6 vendor class longer than its option", at + place)
        text = value[place + 2 : place + 2 + length].decode("utf-8", "replace").replace("\0", "").strip()
        if text:
            yield text
        place += 2 + length


def _labels(value: bytes, at: int) -> tuple[str, ...]:
    """A name as in DNS; one that is not ended is only a host's own part of it (RFC 4704 section 4.2)."""
    try:
        found = dns_wire.read_name(value, 0) or dns_wire.read_name(value + b"\0", 0)
    except Malformed as error:
        raise Malformed(error.what, at + error.offset) from None
    return found[0] if found else ()


def _mac(raw: bytes) -> str:
    """A host's own MAC as text; empty for what is none."""
    return raw.hex(":") if len(raw) == 6 and any(raw) and not raw[0] & 1 else ""


DHCPV6: Final = Probe(
    name="dhcpv6",
    transport="udp",
    ports=(546, 547),
    fields=(
        "dhcpv6.duid",
        "dhcpv6.mac",
        "dhcpv6.parameters",
        "dhcpv6.enterprise",
        "dhcpv6.vendor-class",
        "dhcpv6.hostname",
    ),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="RFC 8415, RFC 4704, RFC 6939; a recorded client",
    says="identifier, vendor class and name of an IPv6 client",
)

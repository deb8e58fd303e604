"""Takes a frame apart: link layer, VLAN tags, tunnels, IP, and the bytes UDP or TCP carry.

Link types by their registered numbers (tcpdump.org/linktypes). What is not read is named, so
that the report can say so. Nesting is bounded; a frame cut by its capture gives what is whole.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = [
    "TUNNEL_PORTS",
    "Fragment",
    "NonIp",
    "Packet",
    "Unread",
    "address_text",
    "decode",
    "decode_ip",
    "link_type_name",
]

_MAX_LAYERS: Final = 12
_VLAN: Final = frozenset({0x8100, 0x88A8, 0x9100, 0x9200})
_IPV4, _IPV6 = 0x0800, 0x86DD
_MPLS: Final = frozenset({0x8847, 0x8848})
_PPPOE: Final = 0x8864
_TEB: Final = 0x6558
_ERSPAN2, _ERSPAN3 = 0x88BE, 0x22EB
_CISCO_HDLC: Final = frozenset({0x0F, 0x8F})
"""First byte of Cisco HDLC: to one station, or to all."""
_UDP, _TCP, _GRE, _ICMP6 = 17, 6, 47, 58
_NEIGHBOUR_DISCOVERY: Final = range(133, 138)
_PADDED: Final = 0x20
"""Flag of radiotap: the 802.11 header is filled up to a multiple of four bytes."""
_AGGREGATED: Final = 0x80
"""Bit of the QoS field of 802.11: several frames in one (A-MSDU)."""
_EXTENSIONS: Final = frozenset({0, 43, 60, 135, 139, 140})
_V6_FRAGMENT: Final = 44
_VXLAN: Final = frozenset({4789, 8472})
_GENEVE: Final = 6081
_TZSP: Final = 37008

TUNNEL_PORTS: Final = frozenset({*_VXLAN, _GENEVE, _TZSP})
_DOT1Q: Final = 0x8100
_ETHERNET: Final = struct.Struct("!6s6sHH")
_PLAIN_IPV4: Final = struct.Struct("!2xH2xHxB2x4s4sHH")
_PLAIN_TCP: Final = struct.Struct("!IIBB")

_NAMES: Final = {
    0: "BSD loopback",
    1: "Ethernet",
    9: "PPP",
    12: "raw IP",
    14: "raw IP",
    50: "PPP with HDLC framing",
    101: "raw IP",
    104: "Cisco HDLC",
    105: "802.11",
    107: "frame relay",
    108: "OpenBSD loopback",
    113: "Linux cooked",
    127: "802.11 with radiotap",
    228: "raw IPv4",
    229: "raw IPv6",
    276: "Linux cooked v2",
}


def link_type_name(number: int) -> str:
    """The name of a link type, for people."""
    return _NAMES.get(number, f"link type {number}")


class Packet(NamedTuple):
    """One UDP datagram, TCP segment or ICMPv6 message with where it stood.

    `mac` and `to_mac` are None where the link has none; `flags`, `sequence` and `acknowledged` are
    TCP's, ports are 0 in ICMPv6. `missing` is how many bytes of the payload the capture left out;
    `tunnel` names what it was unwrapped from.
    """

    protocol: int
    source: str
    target: str
    source_port: int
    target_port: int
    payload: bytes
    mac: str | None = None
    to_mac: str | None = None
    vlan: tuple[int, ...] = ()
    flags: int = 0
    sequence: int = 0
    acknowledged: int = 0
    missing: int = 0
    tunnel: str = ""


@dataclass(frozen=True, slots=True)
class Fragment:
    """One fragment of an IP packet: `key` is shared by all of them, `offset` in bytes."""

    key: tuple[object, ...]
    offset: int
    more: bool
    protocol: int
    data: bytes
    link: _Link
    addresses: tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class NonIp:
    """What stands behind the link header where that is not IP, with the frame's own sender.

    `kind` is the ethertype or, where an organisation has its own numbers, the SNAP id of 40 bits.
    """

    kind: int
    payload: bytes
    mac: str | None
    vlan: tuple[int, ...]

    @property
    def name(self) -> str:
        """What it is called where nothing reads it."""
        return f"ethertype 0x{self.kind:04x}" if self.kind < 0x10000 else f"SNAP 0x{self.kind:010x}"


@dataclass(frozen=True, slots=True)
class Unread:
    """A frame that is not read, with the name of what it was."""

    name: str
    mac: str | None = None
    vlan: tuple[int, ...] = ()


class _Link(NamedTuple):
    mac: str | None = None
    to_mac: str | None = None
    vlan: tuple[int, ...] = ()
    tunnel: str = ""
    layers: int = 0


Decoded = Packet | Fragment | NonIp | Unread | None


def decode(data: bytes, link_type: int) -> Decoded:
    """What a frame holds; None for one too short to say, or with nothing to read in it."""
    if link_type == 1:
        return _plain(data) or _ethernet(data, _Link())
    if link_type in {12, 14, 101, 228, 229}:
        return decode_ip(data, _Link())
    if link_type == 113:
        return _cooked(data, 14, 6, 4, 16)
    if link_type == 276:
        return _cooked(data, 0, 12, 11, 20)
    if link_type in {0, 108}:
        return decode_ip(data[4:], _Link())
    if link_type in {9, 104} and len(data) >= 4 and data[0] in _CISCO_HDLC and not data[1]:
        # Captures of PPP links have Cisco's framing in them, too.
        return _typed(struct.unpack_from("!H", data, 2)[0], data[4:], _Link())
    if link_type == 9:
        return _ppp(data[2:] if data[:2] == b"\xff\x03" else data, _Link())
    if link_type == 50:
        return _ppp(data[2:], _Link()) if data[:1] == b"\xff" else Unread("PPP control")
    if link_type == 127:
        return _radiotap(data)
    if link_type == 105:
        return _wireless(data)
    return Unread(link_type_name(link_type))


def _plain(data: bytes) -> Packet | None:
    """A segment or datagram in IPv4 without options, untagged or with one tag: nearly every frame is one.

    None for all else, which takes the longer way; both ways give the same.
    """
    if len(data) < 46:
        return None
    to_mac, mac, kind, tag = _ETHERNET.unpack_from(data)
    vlan: tuple[int, ...] = ()
    at = 14
    if kind == _DOT1Q:
        kind = data[16] << 8 | data[17]
        vlan = (tag & 0x0FFF,) if tag & 0x0FFF else ()
        at = 18
    if kind != _IPV4 or data[at] != 0x45:
        return None
    total, fragment, protocol, source, target, source_port, target_port = _PLAIN_IPV4.unpack_from(data, at)
    end = at + total
    if fragment & 0x3FFF or end > len(data):
        return None
    if protocol == _TCP and total >= 40:
        sequence, acknowledged, header, flags = _PLAIN_TCP.unpack_from(data, at + 24)
        start = at + 20 + (header >> 4) * 4
        if header < 0x50 or start > end:
            return None
        return Packet(
            _TCP,
            address_text(source),
            address_text(target),
            source_port,
            target_port,
            data[start:end],
            mac.hex(":"),
            to_mac.hex(":"),
            vlan,
            flags,
            sequence,
            acknowledged,
        )
    length = data[at + 24] << 8 | data[at + 25]
    if protocol != _UDP or length < 8 or length + 20 > total or target_port in TUNNEL_PORTS:
        return None
    return Packet(
        _UDP,
        address_text(source),
        address_text(target),
        source_port,
        target_port,
        data[at + 28 : at + 20 + length],
        mac.hex(":"),
        to_mac.hex(":"),
        vlan,
    )


def _cooked(data: bytes, type_at: int, address_at: int, length_at: int, header: int) -> Decoded:
    """Linux cooked capture, versions 1 and 2: a sender's address and an ethertype."""
    if len(data) < header:
        return None
    kind = struct.unpack_from("!H", data, type_at)[0]
    size = data[length_at + 1] if header == 16 else data[length_at]
    mac = data[address_at : address_at + 6].hex(":") if size == 6 else None
    return _typed(kind, data[header:], _Link(mac))


def _ethernet(data: bytes, link: _Link) -> Decoded:
    if len(data) < 14:
        return None
    link = link._replace(mac=data[6:12].hex(":"), to_mac=data[:6].hex(":"))
    kind = struct.unpack_from("!H", data, 12)[0]
    return _typed(kind, data[14:], link)


def _typed(kind: int, data: bytes, link: _Link) -> Decoded:
    """What an ethertype announces; VLAN tags and MPLS labels are passed in a loop."""
    for _ in range(_MAX_LAYERS):
        if kind in _VLAN and len(data) >= 4:
            tag, kind = struct.unpack_from("!HH", data)
            # Number 0 is a priority without a VLAN (IEEE 802.1Q, table 9-2).
            if tag & 0x0FFF:
                link = link._replace(vlan=(*link.vlan, tag & 0x0FFF))
            data = data[4:]
        elif kind in _MPLS and len(data) >= 4:
            bottom = data[2] & 1
            data = data[4:]
            if bottom:
                return _after_mpls(data, link)
        else:
            break
    if link.layers > _MAX_LAYERS or kind in _VLAN or kind in _MPLS:
        return Unread("too many layers", link.mac, link.vlan)
    if kind in {_IPV4, _IPV6}:
        return decode_ip(data, link)
    if kind == _PPPOE and len(data) >= 6:
        return _ppp(data[6:], link)
    if kind < 0x0600:
        return _llc(data, link)
    return NonIp(kind, data, link.mac, link.vlan)


def _after_mpls(data: bytes, link: _Link) -> Decoded:
    if data[:1] and data[0] >> 4 in {4, 6}:
        return decode_ip(data, link)
    return _ethernet(data[4:], link._replace(layers=link.layers + 1)) if data[:1] == b"\0" else None


def _llc(data: bytes, link: _Link) -> Decoded:
    """802.2 LLC: SNAP carries an ethertype; the rest (spanning tree and the like) is named."""
    if data[:3] == b"\xaa\xaa\x03" and len(data) >= 8:
        if data[3:6] in {b"\0\0\0", b"\0\0\xf8"}:
            # What SNAP announces may be SNAP again: that is a layer, too.
            deeper = link._replace(layers=link.layers + 1)
            return _typed(struct.unpack_from("!H", data, 6)[0], data[8:], deeper)
        return NonIp(int.from_bytes(data[3:8]), data[8:], link.mac, link.vlan)
    return Unread("802.2", link.mac, link.vlan)


def _ppp(data: bytes, link: _Link) -> Decoded:
    if not data:
        return None
    if data[0] & 1:
        kind, data = data[0], data[1:]
    elif len(data) >= 2:
        kind, data = struct.unpack_from("!H", data)[0], data[2:]
    else:
        return None
    return decode_ip(data, link) if kind in {0x21, 0x57} else Unread("PPP control", link.mac, link.vlan)


def _radiotap(data: bytes) -> Decoded:
    """802.11 behind a radiotap header (radiotap.org), which may say that there is padding in the frame."""
    if len(data) < 8:
        return None
    length, present = struct.unpack_from("<H", data, 2)[0], data[4]
    if not 8 <= length <= len(data):
        return None
    at = 8
    for word in range(4, length - 3, 4):
        # The last of the words that say what is present has its highest bit clear.
        at = word + 4
        if not data[word + 3] & 0x80:
            break
    if present & 1:
        # The time stamp has eight bytes, and stands where eight divides its place.
        at += -at % 8 + 8
    padded = bool(present & 2 and at < length and data[at] & _PADDED)
    return _wireless(data[length:], padded=padded)


def _wireless(data: bytes, *, padded: bool = False) -> Decoded:
    """802.11 data frames in the clear: addresses by the direction bits, then LLC."""
    if len(data) < 24:
        return None
    kind, subtype = (data[0] >> 2) & 3, data[0] >> 4
    if kind != 2 or data[1] & 0x40 or subtype & 4:
        return Unread("802.11 management or encrypted")
    to_ds, from_ds = data[1] & 1, data[1] & 2
    header = 24 + (6 if to_ds and from_ds else 0) + (2 if subtype & 8 else 0)
    source = data[16:22] if from_ds and not to_ds else data[24:30] if from_ds else data[10:16]
    target = data[16:22] if to_ds else data[4:10]
    aggregated = subtype & 8 and data[header - 2] & _AGGREGATED
    header += -header % 4 if padded else 0
    if aggregated:
        # Frames in a frame: each has addresses and a length of its own; the first is read.
        source, target, header = data[header + 6 : header + 12], data[header : header + 6], header + 14
    return _llc(data[header:], _Link(source.hex(":"), target.hex(":")))


def decode_ip(data: bytes, link: _Link | None = None) -> Decoded:
    """An IPv4 or IPv6 packet."""
    link = link or _Link()
    version = data[0] >> 4 if data else 0
    if link.layers > _MAX_LAYERS:
        return Unread("too many layers", link.mac, link.vlan)
    if version == 4:
        return _ipv4(data, link)
    if version == 6:
        return _ipv6(data, link)
    return None


def _ipv4(data: bytes, link: _Link) -> Decoded:
    if len(data) < 20:
        return None
    header = (data[0] & 0x0F) * 4
    total, identity, fragment = struct.unpack_from("!HHH", data, 2)
    if header < 20 or len(data) < header:
        return None
    # Offloading cards leave the length zero: the frame then ends the packet.
    end = min(total, len(data)) if total >= header else len(data)
    missing = max(0, total - len(data))
    protocol, source, target = data[9], data[12:16], data[16:20]
    body = data[header:end]
    if fragment & 0x3FFF:
        key = (link.vlan, source, target, protocol, identity)
        more = bool(fragment & 0x2000)
        return Fragment(key, (fragment & 0x1FFF) * 8, more, protocol, body, link, (source, target))
    return _transport(protocol, body, source, target, link, missing)


def _ipv6(data: bytes, link: _Link) -> Decoded:
    if len(data) < 40:
        return None
    length, protocol = struct.unpack_from("!HB", data, 4)
    source, target = data[8:24], data[24:40]
    body = data[40 : 40 + length] if length else data[40:]
    missing = max(0, length + 40 - len(data))
    for _ in range(_MAX_LAYERS):
        if protocol in _EXTENSIONS:
            if len(body) < 8:
                return None
            protocol, body = body[0], body[(body[1] + 1) * 8 :]
        elif protocol == _V6_FRAGMENT:
            if len(body) < 8:
                return None
            after, offset = body[0], struct.unpack_from("!H", body, 2)[0]
            if offset & 0xFFF9 == 0:
                protocol, body = after, body[8:]
                continue
            key = (link.vlan, source, target, after, body[4:8])
            return Fragment(key, offset & 0xFFF8, bool(offset & 1), after, body[8:], link, (source, target))
        else:
            break
    if protocol == _ICMP6 and body and body[0] in _NEIGHBOUR_DISCOVERY and data[7] != 255:
        # Only what no router passed on may speak of the link (RFC 4861, 6.1 and 7.1).
        return Unread("neighbour discovery from afar", link.mac, link.vlan)
    return _transport(protocol, body, source, target, link, missing)


def transport_of(whole: bytes, fragment: Fragment) -> Decoded:
    """The packet that its fragments make together."""
    return _transport(fragment.protocol, whole, *fragment.addresses, fragment.link, 0)


def _transport(
    protocol: int, body: bytes, source: bytes, target: bytes, link: _Link, missing: int
) -> Decoded:
    if protocol == _UDP:
        return _udp(body, source, target, link, missing)
    if protocol == _TCP:
        return _tcp(body, source, target, link, missing)
    if protocol == _ICMP6:
        return Packet(
            _ICMP6,
            address_text(source),
            address_text(target),
            0,
            0,
            body,
            link.mac,
            link.to_mac,
            link.vlan,
            missing=missing,
            tunnel=link.tunnel,
        )
    if protocol == _GRE:
        return _gre(body, link._replace(layers=link.layers + 1))
    if protocol in {4, 41}:
        return decode_ip(
            body, link._replace(mac=None, to_mac=None, tunnel="IP in IP", layers=link.layers + 1)
        )
    return Unread(f"IP protocol {protocol}", link.mac, link.vlan)


def _udp(body: bytes, source: bytes, target: bytes, link: _Link, missing: int) -> Decoded:
    if len(body) < 8:
        return None
    source_port, target_port, length = struct.unpack_from("!HHH", body)
    payload = body[8:length] if length >= 8 else body[8:]
    inner = _tunnel(target_port, payload, link)
    if inner is not None:
        return inner
    return Packet(
        _UDP,
        address_text(source),
        address_text(target),
        source_port,
        target_port,
        payload,
        link.mac,
        link.to_mac,
        link.vlan,
        missing=max(missing, length - len(body)),
        tunnel=link.tunnel,
    )


def _tcp(body: bytes, source: bytes, target: bytes, link: _Link, missing: int) -> Decoded:
    if len(body) < 20:
        return None
    source_port, target_port, sequence, acknowledged = struct.unpack_from("!HHII", body)
    header = (body[12] >> 4) * 4
    if header < 20 or len(body) < header:
        return None
    return Packet(
        _TCP,
        address_text(source),
        address_text(target),
        source_port,
        target_port,
        body[header:],
        link.mac,
        link.to_mac,
        link.vlan,
        body[13],
        sequence,
        acknowledged,
        missing,
        tunnel=link.tunnel,
    )


def _tunnel(port: int, payload: bytes, link: _Link) -> Decoded:
    """What a UDP tunnel carries, or None where this is no tunnel."""
    inner = _Link(layers=link.layers + 1)
    if port in _VXLAN and len(payload) > 22 and payload[0] & 0x08:
        number = int.from_bytes(payload[4:7])
        return _ethernet(payload[8:], inner._replace(tunnel=f"VXLAN {number}"))
    if port == _GENEVE and len(payload) > 22 and payload[0] >> 6 == 0:
        kind = struct.unpack_from("!H", payload, 2)[0]
        rest = payload[8 + (payload[0] & 0x3F) * 4 :]
        inner = inner._replace(tunnel=f"GENEVE {int.from_bytes(payload[4:7])}")
        return _ethernet(rest, inner) if kind == _TEB else _typed(kind, rest, inner)
    if port == _TZSP and len(payload) > 5 and payload[:1] == b"\1":
        return _tzsp(payload, inner._replace(tunnel="TZSP"))
    return None


def _tzsp(payload: bytes, link: _Link) -> Decoded:
    kind = struct.unpack_from("!H", payload, 2)[0]
    at = 4
    for _ in range(_MAX_LAYERS * 4):
        tag = payload[at : at + 1]
        if tag == b"\1" or not tag:
            break
        at += 1 if tag == b"\0" else 2 + (payload[at + 1] if at + 1 < len(payload) else 0)
    return _ethernet(payload[at + 1 :], link) if kind == 1 else Unread("TZSP of another link")


def _gre(data: bytes, link: _Link) -> Decoded:
    """GRE (RFC 2784, 2890), with the mirrors of ERSPAN types I to III in it."""
    if len(data) < 4:
        return None
    flags, kind = struct.unpack_from("!HH", data)
    at = 4 + (4 if flags & 0x8000 else 0) + (4 if flags & 0x2000 else 0) + (4 if flags & 0x1000 else 0)
    bare = link._replace(mac=None, to_mac=None, vlan=())
    if flags & 7 == 1:
        at = 8 + (4 if flags & 0x1000 else 0) + (4 if flags & 0x0080 else 0)
        return _ppp(data[at:], bare._replace(tunnel="PPTP"))
    if kind == _ERSPAN2:
        # Type I has no header of its own, and no sequence number in front of it.
        skip = 8 if flags & 0x1000 else 0
        return _ethernet(data[at + skip :], bare._replace(tunnel="ERSPAN"))
    if kind == _ERSPAN3 and len(data) >= at + 12:
        skip = 12 + (8 if data[at + 11] & 1 else 0)
        return _ethernet(data[at + skip :], bare._replace(tunnel="ERSPAN III"))
    if kind == _TEB:
        return _ethernet(data[at:], bare._replace(tunnel="GRE"))
    return _typed(kind, data[at:], bare._replace(tunnel="GRE"))


@lru_cache(maxsize=16_384)
def address_text(address: bytes) -> str:
    """The canonical text of an address (RFC 5952 for IPv6)."""
    if len(address) == 4:
        return f"{address[0]}.{address[1]}.{address[2]}.{address[3]}"
    import ipaddress  # noqa: PLC0415 - IPv4 captures never need it

    return str(ipaddress.IPv6Address(address))

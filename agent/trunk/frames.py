"""Writes the tagged frames that are sent into a VLAN: ARP and UDP over IPv4.

IEEE 802.1Q tags (priority nought), ARP after RFC 826 with probes after RFC 5227, IPv4 after RFC 791,
UDP after RFC 768, Ethernet addresses of groups after RFC 1112.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass
from typing import Final

__all__ = ["BROADCAST", "Heard", "Sender", "group_mac", "read"]

BROADCAST: Final = b"\xff" * 6
_TAG: Final = 0x8100
_ARP: Final = 0x0806
_IPV4: Final = 0x0800
_UDP: Final = 17
_LEAST: Final = 64
_MOST_IN_FRAME: Final = 1_472
_ARP_HEAD: Final = b"\x00\x01\x08\x00\x06\x04"
_REQUEST, _ANSWER = 1, 2


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asks in one VLAN: our MAC, and the address that is ours there (None: none yet)."""

    vlan: int
    mac: bytes
    ip: ipaddress.IPv4Address | None = None

    def who_has(self, target: str) -> bytes:
        """Ask everybody for the MAC of `target`; without an address of our own it claims none (RFC 5227)."""
        own = self.ip.packed if self.ip is not None else bytes(4)
        return self._arp(BROADCAST, _REQUEST, own, bytes(6), socket.inet_aton(target))

    def here(self, mac: bytes, ip: bytes) -> bytes:
        """Answer a host (`mac`, `ip` packed) that asks for our address."""
        own = self.ip.packed if self.ip is not None else bytes(4)
        return self._arp(mac, _ANSWER, own, mac, ip)

    def datagram(self, mac: bytes, ip: str, ports: tuple[int, int], payload: bytes) -> bytes | None:
        """One UDP datagram from our port to theirs, one hop far; None where a frame cannot hold it."""
        if self.ip is None or len(payload) > _MOST_IN_FRAME:
            return None
        target = socket.inet_aton(ip)
        length = 8 + len(payload)
        udp = struct.pack("!HHHH", *ports, length, 0) + payload
        pseudo = self.ip.packed + target + struct.pack("!BBH", 0, _UDP, length)
        # Nought would mean that there is none (RFC 768).
        total = _checksum(pseudo + udp) or 0xFFFF
        udp = udp[:6] + struct.pack("!H", total) + udp[8:]
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 1, _UDP, 0) + self.ip.packed + target
        head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
        return self._frame(mac, _IPV4, head + udp)

    def _arp(self, to: bytes, kind: int, own: bytes, mac: bytes, target: bytes) -> bytes:
        body = _ARP_HEAD + struct.pack("!H", kind) + self.mac + own + mac + target
        return self._frame(to, _ARP, body)

    def _frame(self, to: bytes, kind: int, body: bytes) -> bytes:
        return (to + self.mac + struct.pack("!HHH", _TAG, self.vlan, kind) + body).ljust(_LEAST, b"\0")


@dataclass(frozen=True, slots=True)
class Heard:
    """What a frame without its tag tells of its sender: MAC, address; `asks` is whom an ARP request is for."""

    mac: bytes
    ip: ipaddress.IPv4Address
    asks: ipaddress.IPv4Address | None = None


def read(frame: bytes) -> Heard | None:
    """The sender of an ARP frame, or of an IPv4 packet to a group; None for anything else.

    A packet to a group comes from this very link, whatever a router carries elsewhere.
    """
    if len(frame) < 34 or frame[6] & 1:
        return None
    mac, kind = frame[6:12], int.from_bytes(frame[12:14])
    if kind == _ARP and len(frame) >= 42 and frame[14:20] == _ARP_HEAD:
        request = int.from_bytes(frame[20:22]) == _REQUEST
        asks = ipaddress.IPv4Address(frame[38:42]) if request else None
        return Heard(mac, ipaddress.IPv4Address(frame[28:32]), asks)
    if kind == _IPV4 and frame[0] & 1:
        return Heard(mac, ipaddress.IPv4Address(frame[26:30]))
    return None


def group_mac(group: str) -> bytes:
    """The Ethernet address of an IPv4 group, or of everybody."""
    packed = socket.inet_aton(group)
    if packed == BROADCAST[:4]:
        return BROADCAST
    return b"\x01\x00\x5e" + bytes([packed[1] & 0x7F]) + packed[2:]


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF

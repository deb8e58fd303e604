"""The kernel's table of neighbours, IPv4 as IPv6, read over netlink without root (Linux).

The kernel resolves the MAC of every on-link host that anything was sent to, and remembers
whoever resolved ours. Message layout after rtnetlink(7) and ``linux/neighbour.h``.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Neighbour", "Neighbours", "read_neighbours"]

_RTM_NEWNEIGH: Final = 28
_RTM_GETNEIGH: Final = 30
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_NLM_F_DUMP_REQUEST: Final = 0x301
_NDA_DST: Final = 1
_NDA_LLADDR: Final = 2
_NUD_REACHABLE: Final = 0x02
_NUD_KNOWN: Final = 0x02 | 0x04 | 0x08 | 0x10 | 0x80
_HEADER: Final = struct.Struct("=IHHII")
_NEIGHBOUR: Final = struct.Struct("=BxxxiHBB")
_ATTRIBUTE: Final = struct.Struct("=HH")
_RECEIVE: Final = 65_536
_TIMEOUT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One on-link host: `ip` has its zone where it is link-local.

    `reachable` says that it answered within the last half minute or so.
    """

    ip: str
    mac: str
    reachable: bool


def read_neighbours() -> tuple[Neighbour, ...]:
    """Every neighbour whose MAC the kernel knows; empty where the kernel does not tell."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
            sock.settimeout(_TIMEOUT_SECONDS)
            sock.bind((0, 0))
            request = _NEIGHBOUR.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
            head = _HEADER.pack(_HEADER.size + len(request), _RTM_GETNEIGH, _NLM_F_DUMP_REQUEST, 1, 0)
            sock.send(head + request)
            names = dict(socket.if_nameindex())
            return tuple(_dump(sock, names))
    except (OSError, AttributeError):
        # No netlink in this sandbox, or another system: nothing is known then.
        return ()


def _dump(sock: socket.socket, names: Mapping[int, str]) -> Iterator[Neighbour]:
    while True:
        data = sock.recv(_RECEIVE)
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, at)
            if kind in {_NLMSG_DONE, _NLMSG_ERROR} or length < _HEADER.size:
                return
            if kind == _RTM_NEWNEIGH:
                found = _neighbour(data[at + _HEADER.size : at + length], names)
                if found is not None:
                    yield found
            at += (length + 3) & ~3


def _neighbour(entry: bytes, names: Mapping[int, str]) -> Neighbour | None:
    _, index, state, _, _ = _NEIGHBOUR.unpack_from(entry)
    attributes = dict(_attributes(entry[_NEIGHBOUR.size :]))
    address, mac = attributes.get(_NDA_DST, b""), attributes.get(_NDA_LLADDR, b"")
    if len(address) not in {4, 16} or len(mac) != 6 or not any(mac) or not state & _NUD_KNOWN:
        return None
    ip = ipaddress.ip_address(address)
    zone = f"%{names[index]}" if ip.version == 6 and ip.is_link_local and index in names else ""
    return Neighbour(f"{ip}{zone}", mac.hex(":"), reachable=bool(state & _NUD_REACHABLE))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


class Neighbours:
    """The table, read again when what is looked up is missing, but not more often than it may change."""

    def __init__(
        self,
        *,
        read: Callable[[], tuple[Neighbour, ...]] = read_neighbours,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = 0.3,
    ) -> None:
        self._read = read
        self._clock = clock
        self._seconds = seconds
        self._table: dict[str, Neighbour] = {}
        self._due = clock()

    def get(self, ip: str) -> Neighbour | None:
        """What the kernel knows of `ip` (with its zone where it is link-local)."""
        found = self._table.get(ip)
        if found is None and self._clock() >= self._due:
            found = self.fresh().get(ip)
        return found

    def mac(self, ip: str) -> str | None:
        """The MAC of `ip`, if it is on-link and known."""
        found = self.get(ip)
        return found.mac if found else None

    def fresh(self) -> Mapping[str, Neighbour]:
        """The table as it is now, by address."""
        self._table = {neighbour.ip: neighbour for neighbour in self._read()}
        self._due = self._clock() + self._seconds
        return self._table

"""Tells what an address or a MAC can stand for: one host, a group, this site, nobody."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

__all__ = [
    "eui64_mac",
    "host_address",
    "host_mac",
    "is_invented",
    "is_link_local",
    "is_private",
    "sort_key",
]

_CACHE: Final = 16_384

_INVENTED: Final = frozenset(
    {"00:11:22:33:44:55", "00:01:02:03:04:05", "11:22:33:44:55:66", "12:34:56:78:9a:bc", "aa:bb:cc:dd:ee:ff"}
)
"""Rows of digits that nobody was assigned as a device's MAC, and that cheap firmware carries."""


@lru_cache(_CACHE)
def host_address(text: str | None) -> str | None:
    """A single host's address in canonical text; None for none, unspecified, multicast or broadcast."""
    if not text:
        return None
    try:
        address = ip_address(text.split("%", 1)[0])
    except ValueError:
        return None
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        return None
    return str(address)


@lru_cache(_CACHE)
def host_mac(mac: str | None) -> str | None:
    """A MAC that can be one interface's; None for none, nought and groups."""
    if not mac or mac == "00:00:00:00:00:00" or int(mac[:2], 16) & 1:
        return None
    return mac


@lru_cache(_CACHE)
def is_private(ip: str) -> bool:
    """Whether an address belongs to a site rather than to the internet."""
    address = ip_address(ip)
    return address.is_private or address.is_link_local


@lru_cache(_CACHE)
def is_link_local(ip: str) -> bool:
    """Whether an address means something on its own link only."""
    return ip_address(ip).is_link_local


@lru_cache(_CACHE)
def sort_key(ip: str) -> tuple[int, int]:
    """Addresses in the order of their numbers, IPv4 first."""
    address = ip_address(ip)
    return address.version, int(address)


def is_invented(mac: str) -> bool:
    """Whether a MAC is a filler that many devices may carry: it tells no two of them apart."""
    return mac in _INVENTED or len(set(mac.split(":"))) <= 2


def eui64_mac(ip: str) -> str | None:
    """The MAC from which an IPv6 interface identifier was built (RFC 4291 appendix A)."""
    address = ip_address(ip)
    if not isinstance(address, IPv6Address):
        return None
    low = address.packed[8:]
    if low[3:5] != b"\xff\xfe":
        return None
    return host_mac(bytes((low[0] ^ 2, *low[1:3], *low[5:])).hex(":"))

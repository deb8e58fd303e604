"""The network interfaces of the machine it runs on, read without root (Linux).

Names and addresses come from ``ifaddr``, flags and MACs from the kernel's interface ioctls
(netdevice(7)), which need no privilege and see the network namespace of the calling thread.
"""

from __future__ import annotations

import fcntl
import ipaddress
import re
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.scope import ScopeError

__all__ = [
    "Interface",
    "choose",
    "interfaces",
    "on_link",
    "own_addresses",
    "private_subnets",
]

_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFHWADDR: Final = 0x8927
_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_IFF_POINTOPOINT: Final = 0x10
_IFF_NOARP: Final = 0x80
_IFF_MULTICAST: Final = 0x1000
_ARPHRD_ETHER: Final = 1

# Bridges and cable ends that container engines, hypervisors and cluster networks make.
_VIRTUAL: Final = re.compile(
    r"(?:docker|br-|veth|virbr|vnet|cni|flannel|cali|cilium|lxc|lxd|podman|kube|weave|vmnet|vboxnet)"
)


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface: its addresses as text with prefix (``192.0.2.7/24``, ``fe80::7/64``).

    `mac` is None where the link has none. `multicast` says whether groups can be asked on
    it, `ethernet` whether ARP is spoken there.
    """

    name: str
    index: int
    addresses: tuple[str, ...]
    mac: str | None = None
    up: bool = True
    loopback: bool = False
    multicast: bool = True
    ethernet: bool = True

    @property
    def virtual(self) -> bool:
        """Whether its name is one that container engines and hypervisors give."""
        return _VIRTUAL.match(self.name) is not None

    def source(self, version: int) -> str | None:
        """Its first address of this IP version, for what is sent from here; link-local first in IPv6."""
        own = [ipaddress.ip_interface(text).ip for text in self.addresses]
        own = [ip for ip in own if ip.version == version]
        own.sort(key=lambda ip: version == 6 and not ip.is_link_local)
        return str(own[0]) if own else None

    def on_link(self, ip: str) -> bool:
        """Whether `ip` is in one of the networks that are on this link; a zone must be its name."""
        text, percent, zone = ip.partition("%")
        if percent:
            return zone == self.name
        address = ipaddress.ip_address(text)
        return any(address in ipaddress.ip_interface(own).network for own in self.addresses)


def interfaces() -> tuple[Interface, ...]:
    """Every interface that has a name, in the order of the kernel's numbers."""
    import ifaddr  # noqa: PLC0415 - 0.04 s, only when something is scanned

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for adapter in ifaddr.get_adapters(include_unconfigured=True):
            flags = _flags(sock, adapter.name)
            if flags is None or adapter.index is None:
                continue
            kind, mac = _hardware(sock, adapter.name)
            addresses = tuple(
                f"{ip.ip if isinstance(ip.ip, str) else ip.ip[0]}/{ip.network_prefix}" for ip in adapter.ips
            )
            found.append(
                Interface(
                    adapter.name,
                    adapter.index,
                    addresses,
                    mac,
                    up=bool(flags & _IFF_UP),
                    loopback=bool(flags & _IFF_LOOPBACK),
                    multicast=bool(flags & _IFF_MULTICAST) and not flags & _IFF_LOOPBACK,
                    ethernet=kind == _ARPHRD_ETHER and not flags & (_IFF_NOARP | _IFF_POINTOPOINT),
                )
            )
    return tuple(sorted(found, key=lambda face: face.index))


def choose(
    every: Sequence[Interface], named: Iterable[str] = ()
) -> tuple[tuple[Interface, ...], tuple[tuple[str, str], ...]]:
    """The interfaces to use, with (name, reason) of each that is left out.

    Without names: all that are up and have an address, less loopback and the bridges of
    containers and virtual machines. With names: exactly these; raises ScopeError for one
    that does not exist or has no address.
    """
    wanted = tuple(dict.fromkeys(named))
    if not wanted:
        left = [(face.name, why) for face in every if (why := _unfit(face) or _unwanted(face))]
        names = {name for name, _ in left}
        return tuple(face for face in every if face.name not in names), tuple(left)
    known = {face.name: face for face in every}
    for name in wanted:
        if name not in known:
            raise ScopeError(f"{name!r}: no such interface; there are {', '.join(known) or 'none'}")
        if why := _unfit(known[name]):
            raise ScopeError(f"{name!r}: {why}")
    rest = tuple((face.name, "not chosen") for face in every if face.name not in wanted)
    return tuple(known[name] for name in wanted), rest


def on_link(ip: str, among: Iterable[Interface]) -> Interface | None:
    """The interface on whose own link `ip` is, if it is on any."""
    return next((face for face in among if face.on_link(ip)), None)


def own_addresses(every: Iterable[Interface]) -> tuple[str, ...]:
    """Every address of this machine with its prefix, for `Scope.parse(own=...)`."""
    return tuple(dict.fromkeys(text for face in every for text in face.addresses))


def private_subnets(among: Iterable[Interface]) -> tuple[str, ...]:
    """The private IPv4 networks of these interfaces, as CIDRs: what a scan without targets asks."""
    nets = (
        ipaddress.ip_interface(text).network for face in among if not face.loopback for text in face.addresses
    )
    return tuple(
        dict.fromkeys(str(net) for net in nets if net.version == 4 and net.is_private and net.prefixlen < 32)
    )


def _unfit(face: Interface) -> str | None:
    if not face.up:
        return "it is down"
    return None if face.addresses else "it has no address"


def _unwanted(face: Interface) -> str | None:
    if face.loopback:
        return "loopback"
    return "made by containers or virtual machines; name it to use it" if face.virtual else None


def _flags(sock: socket.socket, name: str) -> int | None:
    try:
        answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("16s24x", name.encode()))
    except OSError:
        # It went away since it was listed.
        return None
    return int(struct.unpack_from("=H", answer, 16)[0])


def _hardware(sock: socket.socket, name: str) -> tuple[int, str | None]:
    """ARP hardware type of a link, with its MAC where it has one."""
    try:
        answer = fcntl.ioctl(sock, _SIOCGIFHWADDR, struct.pack("16s24x", name.encode()))
    except OSError:
        return -1, None
    kind = int(struct.unpack_from("=H", answer, 16)[0])
    raw = answer[18:24]
    return kind, raw.hex(":") if kind == _ARPHRD_ETHER and any(raw) else None

"""The UDP sockets of a scan: for each IP version and link, and for each port that answers come to.

A link's sockets ask the groups there and hear what is answered to them; more, for each IP
version, ask single hosts. A protocol whose answers come to a port of its own has a socket of its
own; the others share one, and are told apart by what an answer looks like, then by its port.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import resource
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent.dial import socket_address
from agent.interfaces import Interface
from agent.wire import MAX_PAYLOAD, Ask, Probe, Target
from fingerprints.model import Problem

__all__ = ["BROADCAST", "Datagrams", "GroupAsk", "Received"]

BROADCAST: Final = "255.255.255.255"
_SPARE: Final = 24
"""Descriptors that are left to the rest of the scan, where few are allowed."""
_BATCH: Final = 64
_BUFFER: Final = 1 << 20
# Socket options of Linux that Python 3.11 has no names for (linux/in.h).
_IP_MULTICAST_ALL: Final = 49
_IP_UNICAST_IF: Final = 50
_IPV6_MULTICAST_ALL: Final = 29

Received = Callable[[Probe, bytes, str, int], None]
"""Told of each datagram: whose protocol's socket it came to, its bytes, sender's address and port."""


@dataclass(frozen=True, slots=True)
class GroupAsk:
    """One question for one group on one link."""

    probe: Probe
    interface: Interface
    group: str
    port: int
    ask: Ask


class Datagrams:
    """Opened by `open` in the running loop, closed by `close`.

    What cannot be opened becomes a Problem, and the scan goes on without it.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        links: Sequence[Interface],
        received: Received,
        problem: Callable[[Problem], None],
    ) -> None:
        self._probes = tuple(probes)
        self._links = tuple(links)
        self._received = received
        self._problem = problem
        self._single: dict[tuple[str, int], socket.socket] = {}
        self._linked: dict[tuple[str, int, str], socket.socket] = {}
        self._shared: dict[tuple[int, str], tuple[socket.socket, list[Probe]]] = {}
        self.group_asks: tuple[GroupAsk, ...] = ()

    def open(self, versions: Sequence[int]) -> None:
        """Open everything: sockets for single hosts of these IP versions, for groups on every link."""
        asks = []
        for probe in self._probes:
            for version in versions:
                if probe.unicast and (sock := self._socket(probe, version, None)):
                    self._single[probe.name, version] = sock
            for link in self._links:
                asks += self._open_link(probe, link)
        self.group_asks = tuple(asks)

    def close(self) -> None:
        """Close every socket."""
        loop = asyncio.get_running_loop()
        for sock in {*self._single.values(), *self._linked.values()}:
            loop.remove_reader(sock)
            sock.close()
        self._single.clear()
        self._linked.clear()
        self._shared.clear()

    def send_group(self, question: GroupAsk) -> None:
        """Send one question to its group. Raises OSError when the link is gone."""
        version = 6 if ":" in question.group else 4
        sock = self._linked[question.probe.name, version, question.interface.name]
        zone = f"%{question.interface.name}" if version == 6 else ""
        sock.sendto(question.ask.payload, socket_address(question.group + zone, question.port)[1])

    def send(self, probe: Probe, ask: Ask, ip: str, port: int) -> bool:
        """Send one question to one host; False where no socket could be opened. Raises OSError."""
        sock = self._single.get((probe.name, 6 if ":" in ip else 4))
        if sock is None:
            return False
        sock.sendto(ask.payload, socket_address(ip, port)[1])
        return True

    def _open_link(self, probe: Probe, link: Interface) -> list[GroupAsk]:
        asks: list[GroupAsk] = []
        for version in (4, 6):
            groups = [group for group in probe.groups if (":" in group) == (version == 6)]
            if not groups or probe.hello is None or link.source(version) is None:
                continue
            sock = self._socket(probe, version, link)
            if sock is None:
                continue
            self._linked[probe.name, version, link.name] = sock
            port = probe.ports[0]
            for group in groups:
                target = Target(group, port, "udp", link.name)
                asks += (GroupAsk(probe, link, group, port, ask) for ask in probe.hello(target))
        return asks

    def _socket(self, probe: Probe, version: int, link: Interface | None) -> socket.socket | None:
        """The socket that this protocol asks by: its own, or the one that it shares."""
        if probe.reply_port is not None:
            return self._new(probe, version, link, [probe])
        key = (version, link.name if link else "")
        if key in self._shared:
            sock, sharers = self._shared[key]
            sharers.append(probe)
            return sock
        sharers = [probe]
        made = self._new(probe, version, link, sharers)
        if made is not None:
            self._shared[key] = made, sharers
        return made

    def _new(
        self, probe: Probe, version: int, link: Interface | None, sharers: Sequence[Probe]
    ) -> socket.socket | None:
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        try:
            sock = _opened(family)
        except OSError as error:
            self._tell(probe, link, error)
            return None
        try:
            sock.settimeout(0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            if version == 6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._bind(sock, probe, link)
            # A socket hears groups only on the link it joined them on.
            with contextlib.suppress(OSError):
                if version == 4:
                    sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
                else:
                    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
            if link is not None:
                _attach(sock, probe, version, link)
            asyncio.get_running_loop().add_reader(sock, self._read, sock, sharers)
        except OSError as error:
            sock.close()
            self._tell(probe, link, error)
            return None
        return sock

    def _bind(self, sock: socket.socket, probe: Probe, link: Interface | None) -> None:
        """Bind to the port that answers are sent to, beside whoever else listens there.

        The kernel gives an answer to one host to any one of those who share its port, so single hosts
        are asked from another port where another scan has it: most answer to the port that asked.
        """
        if probe.reply_port is not None and (link is not None or _is_free(sock.family, probe.reply_port)):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try:
                sock.bind(("", probe.reply_port))
            except OSError as error:
                # Many devices answer to the port that asked, too.
                self._tell(
                    probe, link, error, f"port {probe.reply_port} is taken, answers to it are not heard"
                )
            else:
                return
        sock.bind(("", 0))

    def _tell(self, probe: Probe, link: Interface | None, error: OSError, what: str = "cannot ask") -> None:
        where = link.name if link else "udp"
        self._problem(Problem(where, f"{probe.name}: {what}: {error.strerror or error}", "interface"))

    def _read(self, sock: socket.socket, sharers: Sequence[Probe]) -> None:
        for _ in range(_BATCH):
            try:
                payload, address = sock.recvfrom(MAX_PAYLOAD)
            except BlockingIOError:
                return
            except OSError:
                # An ICMP error that an earlier question of ours caused.
                continue
            port = int(address[1])
            probe = sharers[0] if len(sharers) == 1 else _whose(sharers, payload, port)
            if probe is not None:
                self._received(probe, payload, _sender(address), port)


def _opened(family: socket.AddressFamily) -> socket.socket:
    """A new socket, as long as enough descriptors are left for what else the scan opens. Raises OSError."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if sock.fileno() >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE:
        sock.close()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return sock


def _is_free(family: int, port: int) -> bool:
    """Whether nobody, not even one who would share it, listens on a UDP port."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(("", port))
        except OSError:
            return False
    return True


def _whose(sharers: Sequence[Probe], payload: bytes, port: int) -> Probe | None:
    """Which protocol a datagram belongs to that came from `port`; None if it looks like none of them."""
    known = (probe for probe in sharers if probe.mine(payload))
    asked = (probe for probe in sharers if port in probe.ports)
    return next(known, None) or next(asked, None)


def _sender(address: tuple[Any, ...]) -> str:
    """The address of a sender, with its zone where it is link-local."""
    ip = str(address[0]).partition("%")[0]
    if len(address) < 4 or not address[3]:
        return ip
    try:
        return f"{ip}%{socket.if_indextoname(int(address[3]))}"
    except OSError:
        # The link went away since.
        return ip


def _attach(sock: socket.socket, probe: Probe, version: int, link: Interface) -> None:
    """Send to groups on this link alone, one hop far; hear their members' answers."""
    if version == 4:
        source = link.source(4) or "0.0.0.0"  # noqa: S104 - means "the kernel's choice" here
        request = struct.pack("=4s4si", bytes(4), ipaddress.IPv4Address(source).packed, link.index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        # Which link a broadcast leaves by.
        sock.setsockopt(socket.IPPROTO_IP, _IP_UNICAST_IF, struct.pack("=I", socket.htonl(link.index)))
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link.index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    if probe.reply_port is None:
        return
    for group in probe.groups:
        if group == BROADCAST or (":" in group) != (version == 6):
            continue
        if version == 4:
            member = struct.pack("=4s4si", ipaddress.IPv4Address(group).packed, bytes(4), link.index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        else:
            member = ipaddress.IPv6Address(group).packed + struct.pack("=I", link.index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)

"""Finds out which hosts of a scope are there.

Each target is asked in the surest way this machine has:

- on a link of ours, by ARP: from a raw socket where that is allowed, else through the kernel,
  whose table of neighbours then tells who answered;
- behind routers, by TCP SYNs from a raw socket where that is allowed, else by connecting; and
  by ICMP echo where that is allowed.

A link with IPv6 is asked for all its nodes at once: a /64 is never swept.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from agent.interfaces import Interface
from agent.neighbours import Neighbours
from agent.pace import Pace
from agent.scope import Scope
from agent.sweep import arp, icmp, tcp
from agent.sweep.alive import Alive, Heard, How
from agent.sweep.all_nodes import ask_all_nodes
from agent.sweep.kernel import ask_kernel
from agent.sweep.syn import Mark, SynSweep
from fingerprints.model import Problem

__all__ = ["Alive", "How", "Manner", "Mark", "Means", "Sweep", "means"]

_PROXY: Final = 16
"""A MAC that answers ARP for more addresses than this answers for others."""

_SYN: Final = "syn"


@dataclass(frozen=True, slots=True)
class Means:
    """Which way each part of a scope is swept: links with their part, then what lies behind routers.

    `raw` says whether raw sockets are allowed: ARP by ourselves, SYNs without connections.
    `connected` is what only connections can tell: loopback, IPv6, and all of it without raw sockets.
    """

    raw: bool
    links: tuple[tuple[Interface, Scope], ...]
    routed: Scope
    connected: Scope


def means(scope: Scope, interfaces: Iterable[Interface], *, raw: bool = True) -> Means:
    """How `scope` is best swept from this machine with these interfaces."""
    links = []
    rest = scope
    for interface in interfaces:
        nets = [str(net) for net in _networks(interface)]
        inside, outside = rest.split(nets)
        if len(inside) and interface.ethernet and not interface.loopback:
            links.append((interface, inside))
            rest = outside
    raw = raw and _raw_allowed()
    # Without raw sockets nothing is left for SYNs.
    connected, routed = rest.split(["127.0.0.0/8", "::/0"] if raw else ["0.0.0.0/0", "::/0"])
    return Means(raw, tuple(links), routed, connected)


def _raw_allowed() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except (OSError, AttributeError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Manner:
    """How to look for hosts: TCP `ports`, seconds to wait for a host, whether raw sockets and echoes may be used.

    `marks` of an earlier sweep leave out what that has asked, `known` hosts that it found.
    """

    ports: tuple[int, ...] = tcp.PORTS
    seconds: float = 1.0
    raw: bool = True
    ping: bool = True
    marks: Mapping[str, Mark] = field(default_factory=lambda: MappingProxyType({}))
    known: frozenset[str] = frozenset()


class Sweep:
    """One sweep over `scope`: iterate `alive()` once, read `coverage()` at any time.

    `interfaces` are the links in use. `problem` is told what went wrong, `seen` of hosts outside
    the scope that answered a question to all (they are never asked further). `marks` tells how
    far it has come, for a `Manner` to go on from.
    """

    def __init__(
        self,
        scope: Scope,
        interfaces: Sequence[Interface],
        pace: Pace,
        problem: Callable[[Problem], None],
        *,
        manner: Manner | None = None,
        neighbours: Neighbours | None = None,
        seen: Heard | None = None,
    ) -> None:
        self._scope = scope
        self._pace = pace
        self._problem = problem
        self._neighbours = neighbours or Neighbours()
        self._manner = manner or Manner()
        self._passes = pace.profile.passes
        self._interfaces = tuple(interfaces)
        self._means = means(scope, self._interfaces, raw=self._manner.raw)
        self._seen = seen
        self.marks: dict[str, Mark] = dict(self._manner.marks)
        self._found: dict[str, How] = dict.fromkeys(self._manner.known, "earlier")
        self._numbers = {_number(ip) for ip in self._manner.known if ":" not in ip}
        self._answers: Counter[str] = Counter()
        self._looked: Counter[str] = Counter()
        self._unfinished = 0
        self._ways: Counter[str] = Counter()
        self._echo: list[int] = []
        self._links: dict[str, list[str]] = {"arp": [], "kernel": [], "all-nodes": []}
        self._queue: asyncio.Queue[Alive | None] = asyncio.Queue()

    async def alive(self) -> AsyncIterator[Alive]:
        """Every live host once, as soon as it is known. Stopping early ends the sweep."""
        task = asyncio.create_task(self._sweep())
        try:
            while (found := await self._queue.get()) is not None:
                yield found
            await task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def coverage(self) -> dict[str, Any]:
        """What has been swept by now and how, JSON-shaped."""
        total, looked = len(self._scope), self._looked.total()
        return {
            "targets": total,
            "not_swept": total - looked,
            "alive": len(self._found),
            "silent": max(0, looked - len(self._found)),
            "found_by": dict(sorted(Counter(self._found.values()).items())),
            "targets_by_way": dict(sorted(self._ways.items())),
            "passes": self._passes,
            "unfinished_ways": self._unfinished,
            "arp_on": list(self._links["arp"]),
            "neighbours_on": list(self._links["kernel"]),
            "all_nodes_on": list(self._links["all-nodes"]),
            "icmp": [f"IPv{version}" for version in self._echo],
            "left_out": [{"what": item.what, "why": item.why} for item in self._scope.left_out[:256]],
        }

    def _known(self, ip: str) -> bool:
        return ip in self._found

    def _heard(self, alive: Alive) -> None:
        """Take a sign of life: from hosts of the scope only, the first of each counts."""
        if alive.ip in self._found:
            return
        mac = alive.mac or self._neighbours.mac(alive.ip)
        if not self._scope.allows(alive.ip):
            if self._seen is not None and alive.how == "all-nodes":
                self._seen(Alive(alive.ip, mac, alive.how))
            return
        self._found[alive.ip] = alive.how
        if ":" not in alive.ip:
            self._numbers.add(_number(alive.ip))
        if alive.how == "arp" and mac is not None:
            self._answers[mac] += 1
            if self._answers[mac] == _PROXY + 1:
                what = f"{mac} answers ARP for many addresses: not all of them are hosts"
                self._problem(Problem(alive.ip, what, "proxy-arp"))
        self._queue.put_nowait(Alive(alive.ip, mac, alive.how, alive.rtt))

    async def _sweep(self) -> None:
        try:
            for neighbour in self._neighbours.fresh().values():
                if neighbour.reachable:
                    self._heard(Alive(neighbour.ip, neighbour.mac, "neighbour"))
            async with asyncio.TaskGroup() as group:
                for interface, part in self._means.links:
                    group.create_task(self._finish(self._link(interface, part)))
                for interface in self._interfaces:
                    if interface.multicast and interface.source(6) and self._is_wanted(interface):
                        group.create_task(self._finish(self._all_nodes(interface)))
                for work, part in ((self._syn, self._means.routed), (self._connected, self._means.connected)):
                    if len(part):
                        group.create_task(self._finish(work(part)))
        finally:
            self._queue.put_nowait(None)

    async def _finish(self, work: Any) -> None:
        self._unfinished += 1
        await work
        self._unfinished -= 1

    def _is_wanted(self, interface: Interface) -> bool:
        return any(self._scope.overlaps(text) for text in interface.addresses)

    async def _all_nodes(self, interface: Interface) -> None:
        try:
            if await ask_all_nodes(interface, self._pace, self._heard, wait=self._manner.seconds / 2):
                self._links["all-nodes"].append(interface.name)
        except OSError as error:
            what = f"IPv6 nodes cannot be asked: {error.strerror or error}"
            self._problem(Problem(interface.name, what, "interface"))

    async def _link(self, interface: Interface, part: Scope) -> None:
        """On a link, ARP decides: who does not answer it is not there."""
        sock = arp.open_link(interface) if self._means.raw else None
        if sock is None:
            await self._through_kernel(interface, part)
            return
        self._links["arp"].append(interface.name)
        self._ways["arp"] += len(part)
        with sock:
            try:
                await arp.ask_link(
                    sock,
                    interface,
                    lambda: iter(part),
                    self._pace,
                    self._heard,
                    self._known,
                    passes=self._passes,
                    wait=self._manner.seconds * 0.3,
                )
            except OSError as error:
                self._problem(Problem(interface.name, f"ARP stopped: {error.strerror or error}", "interface"))
            else:
                self._looked["arp"] += len(part)

    async def _through_kernel(self, interface: Interface, part: Scope) -> None:
        self._links["kernel"].append(interface.name)
        self._ways["kernel"] += len(part)
        try:
            doubtful = await ask_kernel(
                iter(part), self._neighbours.fresh, self._pace, self._heard, self._known
            )
        except OSError as error:
            what = f"the kernel's neighbours cannot be asked for: {error.strerror or error}"
            self._problem(Problem(interface.name, what, "interface"))
            return
        self._looked["kernel"] += len(part) - len(doubtful)
        await self._tcp(iter(doubtful))

    async def _connected(self, part: Scope) -> None:
        """Echoes beside connections."""
        self._ways["connect"] += len(part)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tcp(iter(part)))
            for version in (4, 6):
                if any(span.version == version for span in part.spans):
                    group.create_task(self._icmp(version, part))

    async def _syn(self, part: Scope) -> None:
        """Echoes, then SYNs to the silent."""
        self._ways[_SYN] += len(part)
        # An echo finds most hosts by one packet, and spares them the SYNs.
        if _SYN not in self.marks:
            await self._icmp(4, part)
        with SynSweep() as sweep:
            await sweep.ask(
                part.numbers,
                self._pace,
                self._heard,
                self._numbers.__contains__,
                ports=self._manner.ports,
                passes=self._passes,
                marked=lambda mark: self._mark_syn(mark, len(part)),
                start=self.marks.get(_SYN, (0, 0)),
            )
        if sweep.unsendable and sweep.reason is not None:
            what = f"{sweep.unsendable:,} packets could not be sent: {sweep.reason.strerror}"
            self._problem(Problem(str(part.spans[0]), what, "not-sent"))

    def _mark_syn(self, mark: Mark, targets: int) -> None:
        self.marks[_SYN] = mark
        self._looked[_SYN] = targets if mark[0] else mark[1]

    async def _tcp(self, targets: Iterator[str]) -> None:
        await tcp.ask_ports(
            targets,
            self._pace,
            self._heard,
            self._known,
            self._done,
            ports=self._manner.ports,
            seconds=self._manner.seconds,
        )

    def _done(self, ip: str) -> None:
        """TCP is through with a target; if silent, it may still have answered the kernel on the link."""
        self._looked["connect"] += 1
        neighbour = None if ip in self._found else self._neighbours.get(ip)
        if neighbour is not None and neighbour.reachable:
            self._heard(Alive(ip, neighbour.mac, "neighbour"))

    async def _icmp(self, version: int, part: Scope) -> None:
        sock = icmp.open_echo(version) if self._manner.ping else None
        if sock is None:
            return
        if version not in self._echo:
            self._echo.append(version)
        with sock:
            await icmp.ask_echo(
                sock,
                version,
                lambda: (ip for ip in part if (":" in ip) == (version == 6)),
                self._pace,
                self._heard,
                self._known,
                passes=1 if self._means.raw and version == 4 else self._passes,
                wait=self._manner.seconds / 2,
            )


def _number(ip: str) -> int:
    return int.from_bytes(socket.inet_aton(ip))


def _networks(interface: Interface) -> Iterator[ipaddress.IPv4Network]:
    return (ipaddress.IPv4Interface(text).network for text in interface.addresses if ":" not in text)

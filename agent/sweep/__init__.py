"""Finds out which hosts of a scope are there.

Each target is asked in the surest way this machine has: ARP where it is on a link of ours and
raw sockets are allowed, else TCP together with ICMP echo where that is allowed, with the
kernel's neighbour table as a witness for on-link hosts that answer neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Final

from agent.interfaces import Interface
from agent.neighbours import Neighbours
from agent.pace import Pace
from agent.scope import Scope
from agent.sweep import arp, icmp, tcp
from agent.sweep.alive import Alive, How
from fingerprints.model import Problem

__all__ = ["Alive", "How", "Sweep"]

_PASSES: Final = 2
"""Rounds of ARP and ICMP; the later ones ask only the silent."""

_PROXY: Final = 16
"""A MAC that answers ARP for more addresses than this answers for others."""


class Sweep:
    """One sweep over `scope`: iterate `alive()` once, read `coverage()` at any time.

    `interfaces` are the links in use. `problem` is told what went wrong.
    """

    def __init__(
        self,
        scope: Scope,
        interfaces: Sequence[Interface],
        pace: Pace,
        problem: Callable[[Problem], None],
        *,
        neighbours: Neighbours | None = None,
        ports: Sequence[int] = tcp.PORTS,
        seconds: float = 1.0,
        raw: bool = True,
    ) -> None:
        self._scope = scope
        self._pace = pace
        self._problem = problem
        self._neighbours = neighbours or Neighbours()
        self._ports = tuple(ports)
        self._seconds = seconds
        self._interfaces = tuple(interfaces)
        self._raw = raw
        self._links: list[tuple[ipaddress.IPv4Network, str]] = []
        self._found: dict[str, How] = {}
        self._answers: Counter[str] = Counter()
        self._looked = 0
        self._echo: list[int] = []
        self._by_arp: list[str] = []
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
        total = len(self._scope)
        return {
            "targets": total,
            "not_swept": total - self._looked,
            "alive": len(self._found),
            "silent": self._looked - len(self._found),
            "found_by": dict(sorted(Counter(self._found.values()).items())),
            "arp_on": list(self._by_arp),
            "icmp": [f"IPv{version}" for version in self._echo],
            "left_out": [{"what": item.what, "why": item.why} for item in self._scope.left_out[:256]],
        }

    def _known(self, ip: str) -> bool:
        return ip in self._found

    def _heard(self, alive: Alive) -> None:
        """Take a sign of life: from hosts of the scope only, the first of each counts."""
        if alive.ip in self._found or not self._scope.allows(alive.ip):
            return
        mac = alive.mac or self._neighbours.mac(alive.ip)
        self._found[alive.ip] = alive.how
        if alive.how == "arp" and mac is not None:
            self._answers[mac] += 1
            if self._answers[mac] == _PROXY + 1:
                what = f"{mac} answers ARP for many addresses: not all of them are hosts"
                self._problem(Problem(alive.ip, what, "proxy-arp"))
        self._queue.put_nowait(Alive(alive.ip, mac, alive.how, alive.rtt))

    def _done(self, ip: str) -> None:
        """TCP is through with a target; if silent, it may still have answered the kernel on the link."""
        self._looked += 1
        neighbour = None if ip in self._found else self._neighbours.get(ip)
        if neighbour is not None and neighbour.reachable:
            self._heard(Alive(ip, neighbour.mac, "neighbour"))

    async def _sweep(self) -> None:
        with contextlib.ExitStack() as opened:
            try:
                async with asyncio.TaskGroup() as group:
                    for interface in self._interfaces if self._raw else ():
                        if sock := arp.open_link(interface):
                            opened.enter_context(sock)
                            self._links += [(net, interface.name) for net in _networks(interface)]
                            self._by_arp.append(interface.name)
                            group.create_task(self._arp(interface, sock))
                    group.create_task(self._tcp())
                    for version in (4, 6):
                        wanted = any(span.version == version for span in self._scope.spans)
                        if wanted and (sock := icmp.open_echo(version)):
                            opened.enter_context(sock)
                            self._echo.append(version)
                            group.create_task(self._icmp(version, sock))
                for neighbour in self._neighbours.fresh().values():
                    if neighbour.reachable:
                        self._heard(Alive(neighbour.ip, neighbour.mac, "neighbour"))
            finally:
                self._queue.put_nowait(None)

    async def _arp(self, interface: Interface, sock: socket.socket) -> None:
        try:
            await arp.ask_link(
                sock,
                interface,
                lambda: self._linked(interface),
                self._pace,
                self._heard,
                self._known,
                passes=_PASSES,
                wait=self._seconds / 2,
            )
        except OSError as error:
            self._problem(Problem(interface.name, f"ARP stopped: {error.strerror or error}", "interface"))
        else:
            self._looked += sum(1 for _ in self._linked(interface))

    async def _tcp(self) -> None:
        await tcp.ask_ports(
            self._routed(),
            self._pace,
            self._heard,
            self._known,
            self._done,
            ports=self._ports,
            seconds=self._seconds,
        )

    async def _icmp(self, version: int, sock: socket.socket) -> None:
        await icmp.ask_echo(
            sock,
            version,
            lambda: (ip for ip in self._routed() if (":" in ip) == (version == 6)),
            self._pace,
            self._heard,
            self._known,
            passes=_PASSES,
            wait=self._seconds / 2,
        )

    def _linked(self, interface: Interface) -> Iterator[str]:
        """The targets that ARP on this link decides about."""
        return (ip for ip in self._scope if self._link(ip) == interface.name)

    def _routed(self) -> Iterator[str]:
        """The targets that ARP cannot decide about."""
        return (ip for ip in self._scope if self._link(ip) is None)

    def _link(self, ip: str) -> str | None:
        if ":" in ip:
            return None
        address = ipaddress.IPv4Address(ip)
        return next((name for net, name in self._links if address in net), None)


def _networks(interface: Interface) -> Iterator[ipaddress.IPv4Network]:
    return (ipaddress.IPv4Interface(text).network for text in interface.addresses if ":" not in text)

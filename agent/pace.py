"""How fast the network may be touched, how much any one host of it.

`Pace` holds the rates of the whole scan, an `Allowance` what one host may still be given.
Both wait on a clock that the caller gives.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

__all__ = ["PROFILES", "Allowance", "BudgetSpent", "Pace", "Profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """How hard a scan may touch the network, and any one host of it.

    Rates are per second over the whole scan. `host_*` bound one host: connections at once
    and over the scan, UDP datagrams sent, bytes sent and received, questions asked.
    `workers` are connection attempts of the sweep at once; `hosts` are asked at once.
    `rounds` is how often groups are asked, `tries` how often a silent host is asked by UDP,
    `passes` how often a silent address is looked for. `ports_first` ports are tried before the
    others, which are then left alone at a host where nothing came of it (0: all are tried).
    """

    name: str
    packets_per_second: float
    connections_per_second: float
    host_at_once: int
    host_connections: int
    host_packets: int
    host_bytes: int
    host_asks: int
    workers: int
    hosts: int
    rounds: int
    tries: int
    passes: int
    ports_first: int = 0

    def at(self, packets_per_second: float) -> Profile:
        """The same profile at another rate of packets; connections keep their share of it."""
        share = self.connections_per_second / self.packets_per_second
        rate = packets_per_second * share
        return replace(
            self,
            packets_per_second=packets_per_second,
            connections_per_second=rate,
            workers=min(_MOST_WORKERS, max(self.workers, int(rate))),
        )


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "gentle": Profile("gentle", 200, 100, 1, 60, 40, 1 << 20, 40, 64, 32, 1, 1, 2, 8),
        "standard": Profile("standard", 2_000, 1_500, 2, 120, 60, 4 << 20, 80, 512, 256, 2, 2, 2),
        "thorough": Profile("thorough", 5_000, 4_000, 4, 240, 120, 16 << 20, 160, 1_024, 512, 3, 2, 3),
    }
)

_MOST_AT_ONCE: Final = 512
_MOST_WORKERS: Final = 4_096


class BudgetSpent(Exception):  # noqa: N818 - a limit reached is no error of anybody
    """One host has had all that the profile allows it."""


class _Bucket:
    """A token bucket: `rate` a second, a tenth of a second's worth at once."""

    def __init__(
        self, rate: float, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._step = 1 / rate
        self._burst = max(0.1, self._step)
        self._clock = clock
        self._sleep = sleep
        self._next = clock()

    async def take(self, count: int = 1) -> None:
        """Wait until `count` more are allowed."""
        now = self._clock()
        self._next = max(self._next, now - self._burst) + self._step * count
        # Even without a wait, others get their turn: a refusal on loopback comes at once.
        await self._sleep(max(0.0, self._next - now))


class Allowance:
    """What one host may still be given; made by `Pace.host`, kept as long as somebody holds it."""

    __slots__ = ("__weakref__", "_asks", "_bytes", "_connections", "_gate", "_pace", "_packets")

    def __init__(self, pace: Pace) -> None:
        profile = pace.profile
        self._pace = pace
        self._gate = asyncio.Semaphore(profile.host_at_once)
        self._connections = profile.host_connections
        self._packets = profile.host_packets
        self._bytes = profile.host_bytes
        self._asks = profile.host_asks

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[None]:
        """One TCP connection: waits for a free place at this host, then for the global rate.

        Raises BudgetSpent when the host has had all its connections.
        """
        async with self._gate:
            if not self._connections:
                raise BudgetSpent("connections")
            self._connections -= 1
            await self._pace.connection_rate()
            yield

    async def packet(self, size: int) -> None:
        """One datagram of `size` bytes: waits for the global rate. Raises BudgetSpent."""
        if not self._packets:
            raise BudgetSpent("packets")
        self._packets -= 1
        self.charge(size)
        await self._pace.packet_rate()

    def question(self) -> None:
        """One more question over a connection. Raises BudgetSpent."""
        if not self._asks:
            raise BudgetSpent("questions")
        self._asks -= 1

    def charge(self, size: int) -> None:
        """`size` bytes more, sent or received. Raises BudgetSpent when that was too much."""
        self._bytes -= size
        if self._bytes < 0:
            raise BudgetSpent("bytes")


class Pace:
    """When the next packet or connection may start, over the scan and at each host."""

    def __init__(
        self,
        profile: Profile,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.profile: Final = profile
        self._packets = _Bucket(profile.packets_per_second, clock, sleep)
        self._connections = _Bucket(profile.connections_per_second, clock, sleep)
        self._hosts: weakref.WeakValueDictionary[str, Allowance] = weakref.WeakValueDictionary()
        self._gate = asyncio.Event()
        self._gate.set()
        self.packets = 0
        """Packets of the sweep and datagrams by now."""
        self.connections = 0
        """Connections begun by now."""

    def host(self, ip: str) -> Allowance:
        """What is left for this host. Whoever asks it holds on to the Allowance meanwhile."""
        allowance = self._hosts.get(ip)
        if allowance is None:
            allowance = self._hosts[ip] = Allowance(self)
        return allowance

    @property
    def batch(self) -> int:
        """How many packets may be sent at once so that the rate still holds over a hundredth of a second."""
        return max(1, min(_MOST_AT_ONCE, int(self.profile.packets_per_second / 100)))

    async def packet_rate(self, count: int = 1) -> None:
        """Wait until the scan may send `count` more packets."""
        await self._gate.wait()
        await self._packets.take(count)
        self.packets += count

    async def connection_rate(self) -> None:
        """Wait until the scan may open one more connection."""
        await self._gate.wait()
        await self._connections.take()
        self.connections += 1

    @property
    def paused(self) -> bool:
        """Whether nothing new is sent at present."""
        return not self._gate.is_set()

    def pause(self) -> None:
        """Have everything that is to be sent wait until `resume`; what is on its way goes on."""
        self._gate.clear()

    def resume(self) -> None:
        """Let what waits be sent."""
        self._gate.set()

"""Counts which host calls which maker's cloud."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from agent.census.hosts import Key
from agent.census.times import Times

__all__ = ["Call", "Cloud", "Clouds", "MakerOf"]

_MAX_CALLS: Final = 65_536
_MAX_NAMES: Final = 32
"""Most names of clouds of one host: who makes up names does not push out others."""

_MAX_ADDRESSES: Final = 16


class Cloud(Protocol):
    """What must be known of a cloud: whose it is."""

    @property
    def maker(self) -> str:
        """The manufacturer."""
        ...


MakerOf = Callable[[str], Cloud | None]


@dataclass(slots=True)
class Call:
    """One host's calls for one name: whose, how often, when, where to, by which fields told.

    `measured` of them were connections whose beginning and end were seen: in these the host sent
    `sent` bytes and got `received`.
    """

    maker: str
    count: int = 0
    measured: int = 0
    sent: int = 0
    received: int = 0
    times: Times = field(default_factory=Times)
    addresses: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)

    def reach(self, addresses: Iterable[str]) -> None:
        """Be answered at addresses; of too many the lowest are kept."""
        self.addresses.update(addresses)
        while len(self.addresses) > _MAX_ADDRESSES:
            self.addresses.discard(max(self.addresses))

    def merge(self, other: Call) -> None:
        """Take in the calls for the same name elsewhere."""
        self.count += other.count
        self.measured += other.measured
        self.sent += other.sent
        self.received += other.received
        self.times.merge(other.times)
        self.reach(other.addresses)
        self.fields |= other.fields


class Clouds:
    """The table of calls, bounded; `evicted` counts those that had to go."""

    def __init__(self) -> None:
        self.calls: dict[tuple[Key, str], Call] = {}
        self._names: dict[Key, int] = {}
        self.evicted = 0

    def call(self, key: Key, name: str, maker: str) -> Call | None:
        """The calls of a host for a name; None where it has made up too many names."""
        call = self.calls.get((key, name))
        if call is None:
            if self._names.get(key, 0) >= _MAX_NAMES:
                self.evicted += 1
                return None
            if len(self.calls) >= _MAX_CALLS:
                self._evict()
            self._names[key] = self._names.get(key, 0) + 1
            call = self.calls[key, name] = Call(maker)
        return call

    def weigh(self, key: Key, name: str, maker: str, moved: tuple[int, int], count: int) -> None:
        """Note how many bytes a host sent to a name and got from it, in each of `count` connections."""
        call = self.call(key, name, maker)
        if call is not None:
            call.measured += count
            call.sent += moved[0] * count
            call.received += moved[1] * count

    def merge(self, other: Clouds) -> None:
        """Take in what was counted elsewhere."""
        for (key, name), theirs in other.calls.items():
            call = self.call(key, name, theirs.maker)
            if call is not None:
                call.merge(theirs)
        self.evicted += other.evicted

    def _evict(self) -> None:
        """Those not seen for longest go, an eighth of the table at once."""

        def rank(name: tuple[Key, str]) -> tuple[float, str]:
            last = self.calls[name].times.last
            return -math.inf if last is None else last, repr(name)

        for key, name in sorted(self.calls, key=rank)[: _MAX_CALLS // 8]:
            del self.calls[key, name]
            self._names[key] -= 1
            if not self._names[key]:
                del self._names[key]
        self.evicted += _MAX_CALLS // 8

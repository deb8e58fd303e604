"""Keeps what each (VLAN, MAC, address) said, within bounds and whatever the order it came in.

Every part of a host is a set, a smallest or a largest, so that hosts merge in any order and
grouping. Of texts that differ only in what was drawn by lot the earliest is kept. Where a bound is reached, what was said first stays: of each field the texts with
the earliest times, and of the table the hosts that told most and were seen last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from agent.census.times import Times
from agent.drawn import standing
from fingerprints.model import Fact, Observation

__all__ = ["Host", "Hosts", "Key", "Shelf", "order", "rows_of"]

Key = tuple[tuple[int, ...], str | None, str | None]
"""VLAN tags, MAC and address, as frames or sockets had them."""
Shelf = dict[str, dict[tuple[str, str], Observation]]
"""By field, then by what stands for the text and who asked (empty for what the host said by itself)."""

_MAX_TEXTS: Final = 64
"""Most texts of one field of one host."""
_MAX_LENGTH: Final = 512 * 1024
"""Most characters of one host, with `_OVERHEAD` for each observation."""
_MAX_WHOLE: Final = 192 * 1024 * 1024
"""Most characters of all hosts together, counted likewise."""
_OVERHEAD: Final = 256
_MAX_PORTS: Final = 1_024


def order(row: Observation) -> tuple[float, str, int, str, int, str, str]:
    """Observations in order of time, then of place: no two different ones are equal."""
    at = math.inf if row.at is None else row.at
    return at, row.via, row.frame or 0, row.protocol, row.subject.port or 0, row.fact.field, row.fact.text


@dataclass(slots=True)
class Host:
    """What one (VLAN, MAC, address) said itself, what was asked of it, and when.

    `spoke` says that frames or answers came from it, `scanned` that our own scan met it, so that
    it was there together with all others of the scan.
    """

    said: Shelf = field(default_factory=dict)
    heard: Shelf = field(default_factory=dict)
    ports: set[int] = field(default_factory=set)
    times: Times = field(default_factory=Times)
    spoke: bool = False
    scanned: bool = False
    length: int = 0

    def learn(self, row: Observation, asker: str | None = None) -> None:
        """Keep an observation; `asker` is set where it was asked of this host rather than said by it."""
        shelf = self.said if asker is None else self.heard
        name = (standing(row.fact), asker or "")
        rows = shelf.setdefault(row.fact.field, {})
        known = rows.get(name)
        if known is None:
            rows[name] = row
            self.length += len(name[0]) + _OVERHEAD
            if len(rows) >= 2 * _MAX_TEXTS or self.length > _MAX_LENGTH:
                self.trim()
        elif order(row) < order(known):
            rows[name] = row

    def open(self, port: int) -> None:
        """Have an open TCP port."""
        self.ports.add(port)
        if len(self.ports) > _MAX_PORTS:
            self.ports.discard(max(self.ports))

    def trim(self) -> None:
        """Drop what is beyond the bounds: the latest of each field, then the latest of all."""
        for shelf in (self.said, self.heard):
            for rows in shelf.values():
                if len(rows) > _MAX_TEXTS:
                    for name in sorted(rows, key=lambda name: (order(rows[name]), name))[_MAX_TEXTS:]:
                        self.length -= len(name[0]) + _OVERHEAD
                        del rows[name]
        if self.length > _MAX_LENGTH:
            every = [
                (order(row), asked, fact, name)
                for asked, shelf in enumerate((self.said, self.heard))
                for fact, rows in shelf.items()
                for name, row in rows.items()
            ]
            for _, asked, fact, name in sorted(every, reverse=True):
                if self.length <= _MAX_LENGTH:
                    break
                del (self.heard if asked else self.said)[fact][name]
                self.length -= len(name[0]) + _OVERHEAD

    def merge(self, other: Host) -> None:
        """Take in what was learned elsewhere about the same host."""
        for row in rows_of(other.said):
            self.learn(row)
        for rows in other.heard.values():
            for (_, asker), row in rows.items():
                self.learn(row, asker)
        for port in other.ports:
            self.open(port)
        self.times.merge(other.times)
        self.spoke |= other.spoke
        self.scanned |= other.scanned

    def facts(self) -> Iterator[Fact]:
        """What the host said itself."""
        return (row.fact for row in rows_of(self.said))


def rows_of(shelf: Shelf) -> Iterator[Observation]:
    """Every observation on a shelf."""
    return (row for rows in shelf.values() for row in rows.values())


class Hosts(dict[Key, Host]):
    """The table of hosts, at most `most` of them; `evicted` counts those that had to go.

    All together they keep a bounded number of characters, `length`.

    `worth` ranks a host: those that told least go first and, of these, those not seen for longest.
    """

    def __init__(self, most: int, worth: Callable[[Key, Host], int]) -> None:
        super().__init__()
        self._most = most
        self._worth = worth
        self.evicted = 0
        self.length = 0

    def host(self, key: Key) -> Host:
        """The host of a key, new or known."""
        host = self.get(key)
        if host is None:
            if len(self) >= self._most:
                self._evict()
            host = self[key] = Host()
        return host

    def learn(self, key: Key, row: Observation, asker: str | None = None) -> None:
        """Keep an observation of a host, as `Host.learn`."""
        host = self.host(key)
        before = host.length
        host.learn(row, asker)
        self._grow(host.length - before)

    def merge(self, key: Key, other: Host) -> None:
        """Take in what was learned elsewhere about a host."""
        host = self.host(key)
        before = host.length
        host.merge(other)
        self._grow(host.length - before)

    def trim(self) -> None:
        """Keep every host within its bounds."""
        for host in self.values():
            before = host.length
            host.trim()
            self.length += host.length - before

    def _grow(self, length: int) -> None:
        self.length += length
        if self.length > _MAX_WHOLE:
            self._evict()

    def _evict(self) -> None:
        """Make room for an eighth of the table at once, so that a flood pays little for each newcomer."""
        surplus = max(1, len(self) // 8)
        ranked = sorted(self, key=lambda key: (*self._rank(key), key[0], key[1] or "", key[2] or ""))
        for key in ranked[:surplus]:
            self.length -= self.pop(key).length
        self.evicted += surplus

    def _rank(self, key: Key) -> tuple[int, float]:
        host = self[key]
        last = host.times.last
        return self._worth(key, host), -math.inf if last is None else last

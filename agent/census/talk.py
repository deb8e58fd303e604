"""Keeps who asked whom, from which recorders and scanners are told.

A party is an address in a VLAN. What a party asked says nothing of the one it asked; it tells
which recorder watches which camera, and who goes round asking everybody.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from agent.census.times import Times

__all__ = ["Pair", "Party", "Scanner", "Talk"]

Party = tuple[tuple[int, ...], str]

_MAX_PAIRS: Final = 32_768
_MAX_ASKERS: Final = 16_384
_MAX_PORTS: Final = 64
_PORTS_OF_ONE: Final = 8
"""TCP ports of one host that only a scanner tries."""
_DYNAMIC: Final = 32_768
"""Where systems begin to draw ports: FTP's data and remote calls come to a new one each time."""
_HOSTS: Final = 12
_PORTS_EACH: Final = 3
"""A recorder asks many cameras, each on its one or two ports."""
_SILENT_HOSTS: Final = 32
_SILENT_SHARE: Final = 0.75
"""Of so many hosts asked, a share that never spoke: nobody but a scanner asks where nothing is."""
_SEARCHES: Final = 3
"""Discovery protocols that one host asks in; a computer's own are one or two."""


@dataclass(slots=True)
class Pair:
    """How one party asked another: TCP ports, protocols read, first and last time."""

    ports: set[int] = field(default_factory=set)
    protocols: set[str] = field(default_factory=set)
    times: Times = field(default_factory=Times)

    def add(self, protocols: Iterable[str], ports: Iterable[int]) -> None:
        """Ask in these ways; of too many ports the lowest are kept."""
        self.protocols.update(protocols)
        self.ports.update(ports)
        while len(self.ports) > _MAX_PORTS:
            self.ports.discard(max(self.ports))


@dataclass(frozen=True, slots=True)
class Scanner:
    """A party that asks as no camera, recorder or viewer does, with what it did."""

    party: Party
    hosts: int
    ports: int
    searches: tuple[str, ...]
    agents: tuple[str, ...]


class Talk:
    """The table of pairs, bounded; `evicted` counts those that had to go."""

    def __init__(self) -> None:
        self.pairs: dict[tuple[Party, Party], Pair] = {}
        self.searches: dict[Party, set[str]] = {}
        self.evicted = 0

    def ask(self, asker: Party, asked: Party, protocol: str, port: int | None, at: float | None) -> Pair:
        """Note that one party asked another."""
        pair = self._pair((asker, asked))
        pair.add((protocol,), () if port is None else (port,))
        pair.times.seen(at)
        return pair

    def search(self, asker: Party, protocol: str) -> None:
        """Note that a party asked a whole group."""
        if asker in self.searches or len(self.searches) < _MAX_ASKERS:
            self.searches.setdefault(asker, set()).add(protocol)

    def merge(self, other: Talk) -> None:
        """Take in what was seen elsewhere."""
        for name, pair in other.pairs.items():
            mine = self._pair(name)
            mine.add(pair.protocols, pair.ports)
            mine.times.merge(pair.times)
        for asker, protocols in other.searches.items():
            for protocol in protocols:
                self.search(asker, protocol)
        self.evicted += other.evicted

    def scanners(self, agents: Mapping[Party, tuple[str, ...]], alive: AbstractSet[Party]) -> list[Scanner]:
        """Who goes round asking.

        `agents` are the parties that name themselves as scanning software, `alive` those that spoke.
        """
        asked: dict[Party, dict[Party, Pair]] = {}
        for (asker, other), pair in self.pairs.items():
            asked.setdefault(asker, {})[other] = pair
        found = []
        for party in sorted({*asked, *self.searches, *agents}):
            pairs = asked.get(party, {})
            searches = tuple(sorted(self.searches.get(party, ())))
            if party in agents or len(searches) >= _SEARCHES or _goes_round(pairs, alive):
                distinct = len(set().union(*(pair.ports for pair in pairs.values())))
                found.append(Scanner(party, len(pairs), distinct, searches, agents.get(party, ())))
        return found

    def _pair(self, name: tuple[Party, Party]) -> Pair:
        pair = self.pairs.get(name)
        if pair is None:
            if len(self.pairs) >= _MAX_PAIRS:
                ranked = sorted(self.pairs, key=lambda name: (_last(self.pairs[name]), name))
                for gone in ranked[: _MAX_PAIRS // 8]:
                    del self.pairs[gone]
                self.evicted += _MAX_PAIRS // 8
            pair = self.pairs[name] = Pair()
        return pair


def _goes_round(pairs: Mapping[Party, Pair], alive: AbstractSet[Party]) -> bool:
    """Whether somebody asks many ports of a host, several ports of many hosts, or many hosts that are not there."""
    ports = [sum(port < _DYNAMIC for port in pair.ports) for pair in pairs.values()]
    silent = sum(party not in alive for party in pairs)
    return (
        max(ports, default=0) >= _PORTS_OF_ONE
        or (len(pairs) >= _HOSTS and sum(ports) >= _PORTS_EACH * len(pairs))
        or (len(pairs) >= _SILENT_HOSTS and silent >= _SILENT_SHARE * len(pairs))
    )


def _last(pair: Pair) -> float:
    return -math.inf if pair.times.last is None else pair.times.last

"""Counts messages, keeps Problems and who wrote what was broken, within bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from agent.census.hosts import Key
from agent.census.identity import Group
from fingerprints.model import Problem

__all__ = ["Blame", "Blames", "Counts", "Mark"]

_MAX_PROBLEMS: Final = 2_000
_PROBLEMS_OF_ONE: Final = 8

Blame = tuple[Key | None, int | None, str]
"""Who sent it, from which port, what is wrong with it."""
Mark = tuple[float, str, int]
"""Time, capture and frame: where something was first read."""


def _by_text(problem: Problem) -> tuple[str, str, str]:
    return problem.where, problem.what, problem.kind


@dataclass(slots=True)
class Counts:
    """Sums and bounded sets of one run: `times` are those that no clock shows, `forgotten` hosts elsewhere."""

    messages: Counter[str] = field(default_factory=Counter)
    malformed: Counter[str] = field(default_factory=Counter)
    times: int = 0
    forgotten: int = 0
    problems: set[Problem] = field(default_factory=set)
    blames: dict[Blame, Mark] = field(default_factory=dict)

    def note(self, problem: Problem) -> None:
        """Keep a Problem; of too many the first by name."""
        self.problems.add(problem)
        if len(self.problems) >= 2 * _MAX_PROBLEMS:
            self.problems = set(sorted(self.problems, key=_by_text)[:_MAX_PROBLEMS])

    def blame(self, key: Key | None, port: int | None, what: str, mark: Mark) -> None:
        """Keep who wrote something broken, with the first place of it; of too many the earliest."""
        name = (key, port, what)
        self.blames[name] = min(mark, self.blames.get(name, mark))
        if len(self.blames) >= 2 * _MAX_PROBLEMS:
            ranked = sorted(self.blames, key=lambda name: (self.blames[name], repr(name)))
            self.blames = {name: self.blames[name] for name in ranked[:_MAX_PROBLEMS]}

    def merge(self, other: Counts) -> None:
        """Take in what was counted elsewhere."""
        self.messages.update(other.messages)
        self.malformed.update(other.malformed)
        self.times += other.times
        self.forgotten += other.forgotten
        for problem in other.problems:
            self.note(problem)
        for (key, port, what), mark in other.blames.items():
            self.blame(key, port, what, mark)

    def blames_by_host(self) -> Blames:
        """What was broken, by who wrote it."""
        by_host: dict[Key, list[Problem]] = {}
        for blame, mark in self._ranked():
            if blame[0] is not None:
                by_host.setdefault(blame[0], []).append(_problem(blame, mark))
        return Blames(by_host)

    def problems_of_run(self) -> tuple[Problem, ...]:
        """Every Problem kept: what was broken in its order, then the rest by name."""
        broken = [_problem(blame, mark) for blame, mark in self._ranked()]
        rest = sorted(self.problems, key=_by_text)
        return tuple(dict.fromkeys([*broken, *rest]))[:_MAX_PROBLEMS]

    def _ranked(self) -> list[tuple[Blame, Mark]]:
        ranked = sorted(self.blames.items(), key=lambda item: (item[1], repr(item[0])))
        return ranked[:_MAX_PROBLEMS]


class Blames:
    """What was broken, by who wrote it."""

    def __init__(self, by_host: Mapping[Key, list[Problem]]) -> None:
        self._by_host = by_host

    def of(self, group: Group) -> Iterator[Problem]:
        """The first few Problems of a device."""
        found = [problem for key, _ in group.members for problem in self._by_host.get(key, ())]
        yield from found[:_PROBLEMS_OF_ONE]


def _problem(blame: Blame, mark: Mark) -> Problem:
    key, port, what = blame
    place = "?" if key is None else key[2] or key[1] or "?"
    if port is not None:
        place = f"{place} port {port}"
    _, via, frame = mark
    if via and via != "scan":
        place = f"{via}{f' frame {frame}' if frame else ''}, {place}"
    return Problem(place, what, "malformed")

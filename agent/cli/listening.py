"""Listens on interfaces into a census, with snapshots, until it is told to end."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from agent.capture.evidence import Evidence
from agent.capture.live import Live, LiveByScapy
from agent.census import Tally
from agent.cli.orders import Orders
from agent.probes import ALL
from fingerprints.model import Problem

__all__ = ["Ear", "listen_on"]

_WAIT_MILLISECONDS: Final = 200
_HEED_SECONDS: Final = 1.0
_DRAIN_SECONDS: Final = 2.0
_KIND: Final = Live if hasattr(socket, "AF_PACKET") else LiveByScapy


@dataclass(slots=True)
class Ear:
    """What is listened on, into which census.

    `evidence` is None where no frames are kept, `failed` says that they could not be.
    """

    tally: Tally
    lives: list[Live | LiveByScapy] = field(default_factory=list)
    evidence: Evidence | None = None
    failed: bool = False

    @classmethod
    @contextlib.contextmanager
    def opened(cls, names: Sequence[str], tally: Tally, path: Path | None) -> Iterator[Ear]:
        """Listen on these interfaces; evidence goes to `path`. Raises LiveError or OSError."""
        ear = cls(tally)
        try:
            for name in names:
                ear.lives.append(_KIND(name, ALL, tally.note))
            if path is not None:
                ear.evidence = Evidence(lambda: _created(path))
            yield ear
        finally:
            ear.close()

    def coverage(self) -> dict[str, Any]:
        """The part of a report's coverage that tells of listening."""
        told = [live.to_json() for live in self.lives]
        return {
            "incomplete": self.failed or any(live.dropped or live.lost for live in self.lives),
            "captures": told,
            **({} if self.evidence is None else {"evidence_frames": self.evidence.written}),
        }

    def hear(self) -> bool:
        """Take what waits on every interface; whether there was anything."""
        heard = False
        for live in self.lives:
            for frame, messages in live.take():
                heard = True
                news = [message for message in messages if self.tally.feed(message)]
                self._keep(Evidence.offer, frame, live.name, news)
        return heard

    def settle(self) -> None:
        """Tell the census when each host was last seen, as for a report; have evidence on disk."""
        for live in self.lives:
            for message in live.reading.sightings():
                self.tally.feed(message)
        self._keep(Evidence.flush)

    def close(self) -> None:
        """Stop listening; what was not finished goes to the census."""
        for live in self.lives:
            news = [message for message in live.close() if self.tally.feed(message)]
            self._keep(Evidence.finish, live.name, news)
        self._keep(Evidence.close)

    def reopen(self) -> None:
        """Go on with evidence in a new file, after the old one was moved away."""
        if self.evidence is not None:
            try:
                self.evidence.reopen()
            except OSError as error:
                self.tally.note(
                    Problem(_place(error), f"evidence goes on in the old file: {error.strerror}", "output")
                )

    def _keep(self, act: Callable[..., None], *given: object) -> None:
        """Do something with the evidence, if it is kept; a disk that is full ends that, but no listening."""
        if self.evidence is None:
            return
        try:
            act(self.evidence, *given)
        except OSError as error:
            self.evidence, self.failed = None, True
            self.tally.note(
                Problem(_place(error), f"no evidence is kept any more: {error.strerror}", "output")
            )


def listen_on(
    ear: Ear, orders: Orders, seconds: float | None, every: float | None, snapshot: Callable[[], None]
) -> str:
    """Listen until ordered to end or `seconds` are over; how it ended.

    `snapshot` is called `every` so many seconds, and when it is ordered.
    """
    now = time.monotonic()
    end = None if seconds is None else now + seconds
    due = None if every is None else now + every
    heeded = now
    while not orders.end and (end is None or now < end):
        if not ear.hear():
            _wait(ear.lives)
        now = time.monotonic()
        if now >= heeded + _HEED_SECONDS:
            heeded = now
            for live in ear.lives:
                live.heed()
        if orders.reopen:
            orders.reopen = False
            ear.reopen()
        if orders.snapshot or (due is not None and now >= due):
            orders.snapshot = False
            due = None if every is None else now + every
            ear.settle()
            snapshot()
    # What has come already was said while we listened.
    last = time.monotonic() + _DRAIN_SECONDS
    while ear.hear() and time.monotonic() < last:
        pass
    return "interrupted" if orders.end else "time limit"


def _wait(lives: Sequence[Live | LiveByScapy]) -> None:
    waiting = select.poll()
    for live in lives:
        if live.fileno() >= 0:
            waiting.register(live.fileno(), select.POLLIN)
    waiting.poll(_WAIT_MILLISECONDS)


def _place(error: OSError) -> str:
    return str(error.filename or "evidence")


def _created(path: Path) -> BinaryIO:
    return path.open("wb")

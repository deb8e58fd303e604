"""Runs one active scan into a census, with what the user sees of it meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent.ask import DEFAULT_PORTS, Asking, Plan
from agent.census import Tally
from agent.cli.progress import Form, State, shown
from agent.cli.watch import Watch
from agent.interfaces import Interface, interfaces
from agent.journal import Journal, Stopped
from agent.leads import leads, ports_named
from agent.neighbours import Neighbours
from agent.pace import PROFILES, Pace, Profile
from agent.probes import ALL
from agent.scope import Scope
from agent.sweep import Alive, Manner, Sweep
from agent.wire import SIGHTING, Message
from fingerprints.model import Problem, Speaker

__all__ = ["Outcome", "Survey", "survey"]

_DRAIN_SECONDS: Final = 1.0
_DESCRIPTORS: Final = 16_384
_MARK_SECONDS: Final = 1.0
_INCOMPLETE: Final = frozenset({"link-lost", "not-sent"})
"""Problems that mean that somebody may not have been asked."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What to scan and how hard: `links` are the interfaces in use, `seconds` an optional limit.

    `alive_only` asks nobody anything; `every_port` tries all `ports` of hosts that are known by then.
    `stopped` is an earlier scan to go on with.
    """

    scope: Scope
    links: tuple[Interface, ...]
    links_left_out: tuple[tuple[str, str], ...] = ()
    profile: Profile = PROFILES["standard"]
    ports: tuple[int, ...] = DEFAULT_PORTS
    every_port: bool = False
    manner: Manner = field(default_factory=Manner)
    alive_only: bool = False
    seconds: float | None = None
    stopped: Stopped | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scan covered, JSON-shaped, with its Problems."""

    coverage: Mapping[str, Any]
    problems: tuple[Problem, ...] = field(default=())


def survey(
    plan: Survey,
    tally: Tally,
    watch: Watch,
    *,
    journal: Journal | None = None,
    progress: Form = Form.AUTO,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Scan into `tally`; an interrupt or the time limit ends it early and says so in the coverage.

    What hosts say goes to `journal` as well. `say` is told what the user must know at once.
    """
    _raise_descriptor_limit()
    return asyncio.run(_Scan(plan, tally, watch, journal, say).run(progress))


def _raise_descriptor_limit() -> None:
    """Use what the system grants this process anyway; each connection at once needs a descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Scan:
    """One scan while it runs."""

    def __init__(
        self, plan: Survey, tally: Tally, watch: Watch, journal: Journal | None, say: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._tally = tally
        self._watch = watch
        self._journal = journal
        self._say = say
        self._pace = Pace(plan.profile)
        self._problems: list[Problem] = []
        self._began = time.monotonic()
        self._counted: tuple[float, int] = (self._began, 0)
        self._rate = 0.0
        neighbours = Neighbours()
        self._sweep = Sweep(
            plan.scope,
            plan.links,
            self._pace,
            self._problems.append,
            manner=plan.manner,
            neighbours=neighbours,
            seen=self._stranger,
        )
        self._asking = Asking(
            plan.scope,
            ALL,
            self._pace,
            self._emit,
            self._problems.append,
            interfaces=plan.links,
            plan=Plan(
                ports=plan.ports,
                every_port=plan.every_port,
                ports_named=ports_named,
                leads=leads,
                settled=watch.settled,
                finished=self._finished,
                done=frozenset(plan.stopped.done) if plan.stopped else frozenset(),
            ),
            neighbours=neighbours,
        )
        self._work: asyncio.Task[None] | None = None
        self._limit: asyncio.Timeout | None = None
        self._ends: asyncio.Task[None] | None = None

    async def run(self, progress: Form) -> Outcome:
        """Do it, whatever comes between."""
        ended = "finished"
        for message in self._plan.stopped.messages() if self._plan.stopped else ():
            self._tally.feed(message)
        self._work = asyncio.create_task(self._look() if self._plan.alive_only else self._ask())
        marking = asyncio.create_task(self._keep_marks())
        with self._signals(), shown(self._state, progress):
            try:
                async with asyncio.timeout(self._plan.seconds) as self._limit:
                    await self._work
            except TimeoutError:
                ended = "time limit"
            except asyncio.CancelledError:
                ended = "interrupted"
            finally:
                marking.cancel()
        if self._journal is not None and self._sweep.marks:
            self._journal.marks(self._sweep.marks)
        for name in self._links_lost():
            self._problems.append(
                Problem(name, "went down, or lost its address, during the scan", "link-lost")
            )
        return Outcome(self._coverage(ended), tuple(self._problems))

    async def _ask(self) -> None:
        await self._asking.run(self._alive())

    async def _look(self) -> None:
        async for alive in self._sweep.alive():
            self._emit(_sighting(alive))

    async def _alive(self) -> AsyncIterator[Alive]:
        """Hosts that an earlier scan met and did not finish, then those that the sweep finds."""
        stopped = self._plan.stopped
        for ip, mac in (stopped.met if stopped else {}).items():
            yield Alive(ip, mac, "earlier")
        async for alive in self._sweep.alive():
            yield alive

    def _emit(self, message: Message) -> None:
        self._tally.feed(message)
        if self._journal is not None:
            self._journal.message(message)

    def _stranger(self, alive: Alive) -> None:
        self._emit(_sighting(alive))

    def _finished(self, ip: str) -> None:
        self._watch.settled(ip, None)
        if self._journal is not None:
            self._journal.done(ip)

    async def _keep_marks(self) -> None:
        kept: dict[str, tuple[int, int]] = {}
        while self._journal is not None:
            await asyncio.sleep(_MARK_SECONDS)
            if self._sweep.marks != kept:
                kept = dict(self._sweep.marks)
                self._journal.marks(kept)

    def _state(self) -> State:
        now, sent = time.monotonic(), self._pace.packets + self._pace.connections
        then, before = self._counted
        if now - then >= 1.0:
            self._rate = (sent - before) / (now - then)
            self._counted = (now, sent)
        found = self._sweep.coverage()
        met, asked = self._asking.progress
        return State(
            now - self._began,
            found["targets"],
            found["targets"] - found["not_swept"],
            met or found["alive"],
            asked,
            **self._watch.counts,
            rate=self._rate or sent / max(now - self._began, 0.001),
            paused=self._pace.paused,
        )

    def _links_lost(self) -> list[str]:
        now = {face.name: face for face in interfaces()}
        return [
            link.name
            for link in self._plan.links
            if link.name not in now or not now[link.name].up or not now[link.name].addresses
        ]

    def _coverage(self, ended: str) -> dict[str, Any]:
        found, asked = dict(self._sweep.coverage()), dict(self._asking.coverage())
        unasked = bool(asked.pop("incomplete")) and not self._plan.alive_only
        broken = any(problem.kind in _INCOMPLETE for problem in self._problems)
        incomplete = ended != "finished" or unasked or bool(found["not_swept"]) or broken
        return {
            "incomplete": incomplete,
            "ended": ended,
            "alive_only": self._plan.alive_only,
            "resumed": self._plan.stopped is not None,
            "profile": self._plan.profile.name,
            "packets_per_second": self._plan.profile.packets_per_second,
            "sent": {"packets": self._pace.packets, "connections": self._pace.connections},
            "scope": self._plan.scope.describe(),
            "sweep": found,
            "asking": asked,
            "asked_by_subnet": self._asking.asked_by_subnet(),
            "subnets_wanted": self._plan.scope.subnets(),
            "interfaces_left_out": [{"name": name, "why": why} for name, why in self._plan.links_left_out],
        }

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Interrupt and stop end the scan with a report; Ctrl-Z and SIGUSR1 make it pause."""
        loop = asyncio.get_running_loop()
        work = self._work
        if work is None:
            raise RuntimeError("no scan is running")
        handlers: dict[signal.Signals, Callable[[], object]] = {
            signal.SIGINT: work.cancel,
            signal.SIGTERM: work.cancel,
            signal.SIGTSTP: self._suspend,
            signal.SIGUSR1: self._toggle,
        }
        for number, handler in handlers.items():
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                    loop.remove_signal_handler(number)

    def _toggle(self) -> None:
        if self._pace.paused:
            self._pace.resume()
            self._say("going on")
        else:
            self._pace.pause()
            self._say("paused: nothing new is sent; SIGUSR1 again goes on")

    def _suspend(self) -> None:
        """Stop like any program on Ctrl-Z, but not while hosts are being spoken to."""
        if self._ends is None or self._ends.done():
            self._ends = asyncio.create_task(self._stop_a_while())

    async def _stop_a_while(self) -> None:
        was_paused = self._pace.paused
        self._pace.pause()
        self._say("pausing; fg goes on")
        await asyncio.sleep(_DRAIN_SECONDS)
        began = time.monotonic()
        os.kill(os.getpid(), signal.SIGSTOP)
        away = time.monotonic() - began
        if self._limit is not None and (when := self._limit.when()) is not None:
            self._limit.reschedule(when + away)
        if not was_paused:
            self._pace.resume()


def _sighting(alive: Alive) -> Message:
    speaker = Speaker(alive.ip.partition("%")[0], alive.mac)
    return Message(
        "ethernet" if alive.mac else "tcp",
        b"",
        speaker,
        Speaker(),
        protocol=SIGHTING,
        at=time.time(),
        via="scan",
    )

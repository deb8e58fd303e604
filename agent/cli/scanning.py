"""Runs one active scan into a census, with what the user sees of it meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent.ask import DEFAULT_PORTS, Asking, Plan
from agent.census import Tally
from agent.interfaces import Interface
from agent.leads import leads, ports_named
from agent.neighbours import Neighbours
from agent.pace import PROFILES, Pace
from agent.probes import ALL
from agent.scope import Scope
from agent.sweep import Sweep
from agent.wire import Message
from fingerprints.model import Problem

__all__ = ["Outcome", "Survey", "survey"]

_REFRESH_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Survey:
    """What to scan and how hard: `links` are the interfaces in use, `seconds` an optional limit."""

    scope: Scope
    links: tuple[Interface, ...]
    links_left_out: tuple[tuple[str, str], ...] = ()
    profile: str = "standard"
    ports: tuple[int, ...] = DEFAULT_PORTS
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scan covered, JSON-shaped, with its Problems."""

    coverage: Mapping[str, Any]
    problems: tuple[Problem, ...] = field(default=())


def survey(plan: Survey, tally: Tally, *, quiet: bool) -> Outcome:
    """Scan into `tally`; an interrupt or the time limit ends it early and says so in the coverage."""
    return asyncio.run(_survey(plan, tally, quiet=quiet))


async def _survey(plan: Survey, tally: Tally, *, quiet: bool) -> Outcome:
    pace = Pace(PROFILES[plan.profile])
    problems: list[Problem] = []
    neighbours = Neighbours()
    sweep = Sweep(plan.scope, plan.links, pace, problems.append, neighbours=neighbours)

    def heard(message: Message) -> None:
        tally.feed(message)

    asking = Asking(
        plan.scope,
        ALL,
        pace,
        heard,
        problems.append,
        interfaces=plan.links,
        plan=Plan(ports=plan.ports, ports_named=ports_named, leads=leads),
        neighbours=neighbours,
    )
    ended = "finished"
    work = asyncio.create_task(asking.run(sweep.alive()))
    with _interruptible(work), _shown(len(plan.scope), sweep, asking, quiet=quiet):
        try:
            async with asyncio.timeout(plan.seconds):
                await work
        except TimeoutError:
            ended = "time limit"
        except asyncio.CancelledError:
            ended = "interrupted"
    found, asked = dict(sweep.coverage()), dict(asking.coverage())
    incomplete = ended != "finished" or bool(asked.pop("incomplete")) or bool(found["not_swept"])
    coverage = {
        "incomplete": incomplete,
        "ended": ended,
        "profile": plan.profile,
        "scope": plan.scope.describe(),
        "sweep": found,
        "asking": asked,
        "interfaces_left_out": [{"name": name, "why": why} for name, why in plan.links_left_out],
    }
    return Outcome(coverage, tuple(problems))


@contextlib.contextmanager
def _interruptible(work: asyncio.Task[None]) -> Iterator[None]:
    """An interrupt or a request to stop cancels the scan, so that what is known can be reported."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, work.cancel)
    try:
        yield
    finally:
        for number in signals:
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(number)


@contextlib.contextmanager
def _shown(total: int, sweep: Sweep, asking: Asking, *, quiet: bool) -> Iterator[None]:
    """A progress line on a terminal, nothing anywhere else."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - only on a terminal
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - as above

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        task = progress.add_task("sweeping", total=total)
        loop = asyncio.get_running_loop()
        handle: asyncio.TimerHandle | None = None

        def show() -> None:
            nonlocal handle
            done = sweep.coverage()
            met, asked = asking.progress
            text = f"{total - done['not_swept']:,} of {total:,} looked for, {met} alive, {asked} asked"
            progress.update(task, completed=total - done["not_swept"], description=text)
            progress.refresh()
            handle = loop.call_later(_REFRESH_SECONDS, show)

        show()
        try:
            yield
        finally:
            if handle is not None:
                handle.cancel()

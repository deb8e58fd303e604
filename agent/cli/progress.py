"""Shows how far a scan has come: a line on a terminal, JSON lines for programs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Form", "State", "shown"]

_REFRESH_SECONDS: Final = 0.2
_LINE_SECONDS: Final = 1.0


class Form(StrEnum):
    """How progress is told."""

    AUTO = "auto"
    JSON = "json"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class State:
    """How far a scan has come: `looked` of `targets` addresses, hosts `asked` of those `alive`.

    `rate` is packets and connections a second over the last moments; `left` an estimate in seconds.
    """

    elapsed: float
    targets: int
    looked: int
    alive: int
    asked: int
    identified: int
    flagged: int
    suspected: int
    rate: float
    paused: bool = False

    @property
    def done(self) -> float:
        """The share of the work that is done, from 0 to 1: sweeping and asking count alike."""
        swept = self.looked / self.targets if self.targets else 1.0
        return (swept + (self.asked / self.alive if self.alive else swept)) / 2

    @property
    def left(self) -> float | None:
        """Seconds to go, at the pace so far; None while nothing can be said."""
        return self.elapsed * (1 - self.done) / self.done if self.done > 0.02 else None

    def text(self) -> str:
        """One line for people, within 80 columns."""
        parts = [
            f"{self.looked:,}/{self.targets:,}",
            f"{self.alive:,} alive",
            f"{self.identified:,} named",
            f"{self.flagged:,} flagged",
            "paused" if self.paused else f"{self.rate:,.0f}/s",
        ]
        if self.left is not None and not self.paused:
            parts.append(f"{_clock(self.left)} left")
        return ", ".join(parts)

    def line(self) -> str:
        """One JSON object for programs."""
        return json.dumps(
            {
                "event": "progress",
                "elapsed": round(self.elapsed, 2),
                "targets": self.targets,
                "looked": self.looked,
                "alive": self.alive,
                "asked": self.asked,
                "identified": self.identified,
                "flagged": self.flagged,
                "suspected": self.suspected,
                "rate": round(self.rate, 1),
                "done": round(self.done, 4),
                "left": None if self.left is None else round(self.left, 1),
                "paused": self.paused,
            }
        )


@contextlib.contextmanager
def shown(state: Callable[[], State], form: Form) -> Iterator[None]:
    """Tell `state()` on stderr again and again while the block runs; must be entered in an event loop."""
    if form is Form.NONE or (form is Form.AUTO and not sys.stderr.isatty()):
        yield
        return
    with _lines(state) if form is Form.JSON else _bar(state):
        yield


@contextlib.contextmanager
def _lines(state: Callable[[], State]) -> Iterator[None]:
    def tell() -> None:
        sys.stderr.write(state().line() + "\n")
        sys.stderr.flush()

    with _every(_LINE_SECONDS, tell):
        yield
    tell()


@contextlib.contextmanager
def _bar(state: Callable[[], State]) -> Iterator[None]:
    from rich.console import Console  # noqa: PLC0415 - only on a terminal
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 - as above

    columns = (BarColumn(bar_width=12), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        task = progress.add_task("", total=1.0)

        def show() -> None:
            now = state()
            progress.update(task, completed=now.done, description=now.text())
            progress.refresh()

        with _every(_REFRESH_SECONDS, show):
            yield


@contextlib.contextmanager
def _every(seconds: float, work: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    handle: asyncio.TimerHandle | None = None

    def again() -> None:
        nonlocal handle
        work()
        handle = loop.call_later(seconds, again)

    again()
    try:
        yield
    finally:
        if handle is not None:
            handle.cancel()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

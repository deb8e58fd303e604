"""Measures whole processes against each other, in turns.

As a user starts them, from the second time on: Python keeps what it compiled, and nothing that the
caller's environment says to Python reaches them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Command", "Pair", "Run", "against", "run"]

_KEEPER: Final = """
import json, os, signal, sys, time
argv, report, limit = sys.argv[3:], int(sys.argv[1]), int(sys.argv[2])
started = time.perf_counter()
child = os.posix_spawnp(argv[0], argv, os.environ)
signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
signal.alarm(limit)
_, status, used = os.wait4(child, 0)
wall = time.perf_counter() - started
result = {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss, "status": status}
os.write(report, json.dumps(result).encode())
"""
"""A process's peak memory starts at that of the one that starts it: this one is small."""

_FOR_PYTHON: Final = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"})
_LIMIT: Final = 900
"""Seconds after which a command is ended, as one that failed."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command to measure: `env` is added to the environment, `codes` are the exits that are no failure."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    codes: frozenset[int] = frozenset({0})
    cwd: Path | None = None

    @property
    def text(self) -> str:
        """The command as one would type it."""
        return " ".join((*(f"{key}={value}" for key, value in self.env.items()), *self.argv))


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took: seconds of wall clock, seconds of all CPUs, MiB at the peak."""

    wall: float
    cpu: float
    peak: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two commands run A B A B: medians of each, with the median of how often A's time goes into B's."""

    ours: Run
    peer: Run
    ratio: float


def run(command: Command, output: Path | None = None) -> Run:
    """Run it once, what it prints going to `output`; raises RuntimeError where it fails."""
    reading, writing = os.pipe()
    kept = {name: value for name, value in os.environ.items() if name not in _FOR_PYTHON}
    with Path(os.devnull if output is None else output).open("wb") as out:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _KEEPER, str(writing), str(_LIMIT), *command.argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
            env={**kept, **command.env},
            cwd=command.cwd,
            pass_fds=(writing,),
            check=True,
        )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = json.loads(pipe.read())
    if os.waitstatus_to_exitcode(told["status"]) not in command.codes:
        raise RuntimeError(f"{command.name} failed: {command.text}")
    return Run(told["wall"], told["cpu"], told["peak"] / 1024)


def against(ours: Command, peer: Command, rounds: int, say: Callable[[str], None]) -> Pair:
    """Both in turns, after one run of each that does not count."""
    run(ours)
    run(peer)
    ours_runs, peer_runs = [], []
    for _ in range(rounds):
        ours_runs.append(run(ours))
        peer_runs.append(run(peer))
    ratio = statistics.median(b.wall / a.wall for a, b in zip(ours_runs, peer_runs, strict=True))
    pair = Pair(_median(ours_runs), _median(peer_runs), ratio)
    say(f"  {peer.name}: {pair.peer.wall:.3f} s, {ours.name}: {pair.ours.wall:.3f} s: {ratio:.2f}")
    return pair


def _median(runs: Sequence[Run]) -> Run:
    return Run(
        statistics.median(item.wall for item in runs),
        statistics.median(item.cpu for item in runs),
        statistics.median(item.peak for item in runs),
    )

"""Runs one command of ours as a process of its own, which ends with the agent whatever ends that.

A process of its own: years of scans leave nothing behind in the agent's memory, and a crash costs
one scan.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Ended", "run_command"]

_PR_SET_PDEATHSIG: Final = 1
_LOOK_SECONDS: Final = 0.2
_GRACE_SECONDS: Final = 60.0
_MAX_WORDS: Final = 20
_MAX_LINE: Final = 500


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code (negative: the signal), and the last lines of what it said."""

    code: int
    words: str


def run_command(
    command: Sequence[str],
    log: Path,
    stop: Callable[[], bool],
    environ: Mapping[str, str] | None = None,
    grace: float = _GRACE_SECONDS,
) -> Ended:
    """Run `command` until it ends; `stop` interrupts it, and after `grace` seconds kills it.

    What it says on stderr goes into the file `log`, written anew.
    """
    with log.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - our own program, given by whoever started us
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=dict(environ) if environ is not None else None,
            process_group=0,
            preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - one system call
        )
    asked: float | None = None
    while True:
        try:
            code = process.wait(_LOOK_SECONDS)
            break
        except subprocess.TimeoutExpired:
            if asked is None and stop():
                asked = time.monotonic()
                process.send_signal(signal.SIGINT)
            elif asked is not None and time.monotonic() - asked > grace:
                process.kill()
    with log.open("rb") as lines:
        last = deque((line[:_MAX_LINE].decode("utf-8", "replace").strip() for line in lines), _MAX_WORDS)
    return Ended(code, "\n".join(line for line in last if line))


def _die_with(parent: int) -> Callable[[], None]:
    """What a child does first: be killed when its parent dies, even if that has happened by now."""
    libc = ctypes.CDLL(None)
    prctl = getattr(libc, "prctl", None)

    def first() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return first

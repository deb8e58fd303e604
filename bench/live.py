"""Measures listening on a link that carries gigabits.

Two network namespaces with a veth pair between them and no way out: tcpreplay sends a capture
on one end as quickly as asked, ``camcensus listen`` hears the other. What counts is the highest
rate at which nothing is dropped and every planted device is found.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.camera_network import Planted
from tests.lab import namespaces

__all__ = ["Heard", "listen_to", "reason_not"]

_MTU: Final = 9_000
_SECONDS: Final = 60
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_RATE: Final = re.compile(r"([\d.]+) Mbps")
_LISTENING: Final = "listening on"


@dataclass(frozen=True, slots=True)
class Heard:
    """One run: the rate that was really sent, frames dropped, CPU seconds in a second, devices found."""

    gbit_per_s: float
    dropped: int
    cpu_share: float
    found: int
    planted: int
    frames: int

    @property
    def whole(self) -> bool:
        """Whether nothing was missed."""
        return not self.dropped and self.found == self.planted


def reason_not() -> str | None:
    """Why this machine cannot do it; None where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in ("ip", "tcpreplay") if shutil.which(tool) is None]
    return f"missing: {', '.join(missing)}" if missing else None


def listen_to(capture: Path, planted: tuple[Planted, ...], megabits: int) -> Heard:
    """Send `capture` at so many Mbit/s (0: as fast as it goes) to a listener."""
    with _link() as (sender, listener):
        argv = ["ip", "netns", "exec", listener, sys.executable, "-m", "agent.cli"]
        argv += ["listen", "eth0", "-v", "--format", "json"]
        with subprocess.Popen(
            argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None  # noqa: S101 - it is a pipe
            if _LISTENING not in process.stderr.readline():
                raise RuntimeError("camcensus does not listen")
            time.sleep(0.5)
            before = _cpu(process.pid)
            speed = ["--mbps", str(megabits)] if megabits else ["--topspeed"]
            sent = subprocess.run(
                ["ip", "netns", "exec", sender, "tcpreplay", "-K", "-q", "-i", "eth0", *speed, str(capture)],
                capture_output=True,
                text=True,
                check=True,
                timeout=_SECONDS,
            )
            # Loading the capture to memory first is not sending.
            rate = _RATE.search(sent.stdout)
            seconds = float(re.search(r"sent in ([\d.]+)", sent.stdout)[1])  # type: ignore[index]
            time.sleep(1.0)
            used = _cpu(process.pid) - before
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=_SECONDS)
    if process.returncode not in {0, 4}:
        raise RuntimeError(err)
    return _heard(json.loads(out), planted, float(rate[1]) / 1_000 if rate else 0.0, used / seconds)


def _heard(report: dict[str, Any], planted: tuple[Planted, ...], rate: float, share: float) -> Heard:
    makers = {row["mac"]: row["manufacturer"] for row in report["devices"]}
    known = [truth for truth in planted if truth.manufacturer is not None]
    found = sum(makers.get(truth.mac) == truth.manufacturer for truth in known)
    told = report["coverage"]["captures"][0]
    return Heard(rate, told["frames_dropped"], share, found, len(known), told["frames_read"])


@contextlib.contextmanager
def _link() -> Iterator[tuple[str, str]]:
    """Two namespaces with a cable between them, each with its end as `eth0`."""
    namespaces.remove_stale()
    sender, listener = (f"{namespaces.prefix()}{name}" for name in ("talk", "hear"))
    try:
        namespaces.ip([f"netns add {sender}", f"netns add {listener}"])
        cable = f"link add eth0 mtu {_MTU} type veth peer name eth0 mtu {_MTU} netns {listener}"
        namespaces.ip([cable, "link set eth0 up"], sender)
        namespaces.ip(["link set eth0 up"], listener)
        yield sender, listener
    finally:
        for name in (sender, listener):
            namespaces.remove(name)


def _cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / _TICKS

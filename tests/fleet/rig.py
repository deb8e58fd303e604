"""A fleet in small: an inventory, agents that report, workers between, each a process that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.outbox import Outbox
from exchange.keys import SigningKey
from inventory.models import Agent, Device, Organisation, Run, RunPart, Sighting, Site
from tests.agent.outbox.reports import camera, document
from tests.inventory.serving import environment
from tests.places import REPO

__all__ = [
    "Program",
    "agent_settings",
    "eventually",
    "machine",
    "nothing_doubled",
    "put",
    "stored",
    "words",
    "worker_environment",
]


def words(*more: str) -> list[str]:
    """Our command line."""
    return [sys.executable, "-P", "-m", "agent.cli", *more]


class Program:
    """One process of ours, in a group of its own; what it says goes into a file."""

    def __init__(self, command: Sequence[str], log: Path, env: dict[str, str] | None = None) -> None:
        """Start it."""
        self.log = log
        with log.open("ab") as said:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, "PYTHONPATH": str(REPO), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it and its children at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(60)

    @property
    def said(self) -> str:
        """What it said so far."""
        return self.log.read_text(errors="replace")


def eventually(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "that did not come about"
        time.sleep(0.1)


def machine(name: str, folder: Path, sites: Sequence[str]) -> Agent:
    """An agent that has enrolled: its key lies in its folder, its sites are in the inventory."""
    council, _ = Organisation.objects.get_or_create(name="Council")
    folder.mkdir(parents=True, exist_ok=True)
    key = SigningKey(folder / "agent.key")
    agent, _ = Agent.objects.get_or_create(name=name, defaults={"organisation": council})
    agent.public_key = key.public
    agent.save()
    for code in sites:
        site, _ = Site.objects.get_or_create(code=code, defaults={"name": code, "organisation": council})
        agent.sites.add(site)
    return agent


def agent_settings(name: str, folder: Path, site: str, inventory: str, more: str = "") -> Path:
    """An agent.toml that scans one address of this machine when asked, and sends what waits."""
    path = folder / "agent.toml"
    path.write_text(
        f'[agent]\nname = "{name}"\nstate = "{folder}"\n[inventory]\n{inventory}\n'
        f'[[site]]\ncode = "{site}"\n[[site.scope]]\nname = "own"\ntargets = ["127.77.9.1"]\n{more}\n'
    )
    return path


def put(folder: Path, site: str, numbers: Iterator[tuple[str, int, int]]) -> dict[str, set[str]]:
    """Put reports (id, first camera, how many) into the outbox in a folder; the MACs of each report."""
    outbox = Outbox(folder / "outbox.sqlite3")
    produced = {}
    for report, first, count in numbers:
        cameras = [camera(number) for number in range(first, first + count)]
        outbox.put(site, report, document(cameras))
        produced[report] = {row["mac"] for row in cameras}
    outbox.close()
    return produced


def stored() -> dict[str, int]:
    """What the inventory has: how many devices each whole report brought."""
    return dict(Run.objects.values_list("report", "accepted"))


def nothing_doubled() -> bool:
    """Whether every device, each of its sightings and each part of a report is there once."""
    macs = list(Device.objects.values_list("site__code", "mac"))
    parts = list(RunPart.objects.values_list("run", "number"))
    sightings = list(Sighting.objects.values_list("device", "address", "vlan", "first_seen"))
    return all(len(rows) == len(set(rows)) for rows in (macs, parts, sightings))


def worker_environment(described: dict[str, Any], state: Path) -> dict[str, str]:
    """The environment of a worker over the database of a test."""
    return environment(described, state)

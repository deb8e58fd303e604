"""Tests the settings of a national fleet: three servers at the centre, a leaf node in a region."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.outbox import Outbox
from agent.outbox.jetstream import JetStream, NatsLink
from agent.outbox.sending import Outcome
from exchange.parcel import Parcel
from inventory.fleet.permissions import user
from tests.fleet.nats import free_port, installed
from tests.fleet.rig import (
    Program,
    agent_settings,
    eventually,
    machine,
    nothing_doubled,
    put,
    stored,
    words,
    worker_environment,
)
from tests.places import REPO

SETTINGS = REPO / "deploy" / "nats"


class Country:
    """Three servers at the centre with one region, from the settings that we ship."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        ports = {name: [free_port() for _ in range(3)] for name in ("client", "cluster", "leaf")}
        self.ports = ports["client"]
        self.region_port = free_port()
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports["cluster"])
        leaves = ", ".join(f'"nats-leaf://region:rp@127.0.0.1:{port}"' for port in ports["leaf"])
        self.env = {
            f"central-{n}": {
                "NODE": f"central-{n}",
                "LISTEN": f'"127.0.0.1:{ports["client"][n]}"',
                "CLUSTER_LISTEN": f'"127.0.0.1:{ports["cluster"][n]}"',
                "LEAF_LISTEN": f'"127.0.0.1:{ports["leaf"][n]}"',
                "ROUTES": f"[{routes}]",
                "STORE": f'"{folder}/store-{n}"',
                "INGEST_PASSWORD": "ip",
                "REGION_PASSWORD": "rp",
            }
            for n in range(3)
        }
        self.env["region"] = {
            "NODE": "region",
            "LISTEN": f'"127.0.0.1:{self.region_port}"',
            "CENTRAL": f"[{leaves}]",
            "AGENT_USERS": user("jump-1", ["s"], "pp", "centre")
            + "\n"
            + user("jump-2", ["t"], "pp", "centre"),
        }

    def start(self, name: str) -> None:
        """Start one server from our settings, with the words that are its own put in."""
        folder = self.folder / name
        if not folder.exists():
            shutil.copytree(SETTINGS, folder)
            for path in folder.iterdir():
                text = path.read_text()
                for word, value in self.env[name].items():
                    text = "\n".join(
                        line if line.startswith("#") else line.replace(f"${word}", value)
                        for line in text.split("\n")
                    )
                path.write_text(text)
        settings = folder / ("region.conf" if name == "region" else "central.conf")
        program = installed()
        assert program is not None
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [program, "-c", str(settings)], stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """End one at once."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    @property
    def centre(self) -> str:
        """Where workers come in."""
        return ",".join(f"nats://ingest:ip@127.0.0.1:{port}" for port in self.ports)

    def region(self, agent: str) -> str:
        """Where an agent of the region comes in."""
        return f"nats://{agent}:pp@127.0.0.1:{self.region_port}"


def listening(port: int) -> bool:
    """Whether a server answers."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as link:
        return link.recv(4) == b"INFO"
    return False


@pytest.fixture
def country(tmp_path: Path) -> Iterator[Country]:
    """All four servers run."""
    if installed() is None:
        pytest.skip("missing tool: nats-server (Debian package nats-server)")
    made = Country(tmp_path / "country")
    made.folder.mkdir()
    for name in made.env:
        made.start(name)
    eventually(lambda: all(listening(port) for port in (*made.ports, made.region_port)))
    yield made
    for name in list(made.running):
        made.kill(name)


@pytest.mark.timeout(240)
def test_from_a_region_while_a_server_dies(central: dict[str, Any], country: Country, tmp_path: Path) -> None:
    """Reports go through the leaf node to workers at the centre, also after one of the three is killed."""
    env = worker_environment(central, tmp_path / "centre")
    folder = tmp_path / "box"
    machine("jump-1", folder, ["s"])
    config = agent_settings("jump-1", folder, "s", f'url = "{country.region("jump-1")}"\ndomain = "centre"')
    put(folder, "s", iter([("r1", 0, 700)]))
    command = words(
        "inventory",
        "ingest",
        "--from",
        country.centre,
        "--replicas",
        "3",
        "--redeliver-after",
        "5",
        "--domain",
        "centre",
    )
    worker = Program(command, tmp_path / "worker.log", env)
    agent = Program(words("agent", "run", "--config", str(config)), tmp_path / "agent.log")
    outbox = Outbox(folder / "outbox.sqlite3")
    try:
        eventually(lambda: stored() == {"r1": 700} and not outbox.status().parts, 90)
        country.kill("central-0")
        put(folder, "s", iter([("r2", 1000, 20)]))
        eventually(lambda: stored() == {"r1": 700, "r2": 20} and not outbox.status().parts, 120)
    finally:
        agent.kill()
        worker.kill()
    assert nothing_doubled()


@pytest.mark.timeout(240)
def test_an_agent_writes_for_its_own_sites_alone(
    central: dict[str, Any], country: Country, tmp_path: Path
) -> None:
    """What the settings do not allow is not taken, and not read: another's site, another's receipts."""
    env = worker_environment(central, tmp_path / "centre")
    worker = Program(
        words("inventory", "ingest", "--from", country.centre, "--domain", "centre"),
        tmp_path / "worker.log",
        env,
    )
    try:
        own = JetStream(NatsLink(country.region("jump-2"), "jump-2", domain="centre"))
        eventually(lambda: own.send(Parcel("t", "r1", 1, 1, b"x")).outcome is Outcome.HANDED_OVER, 60)
        assert own.send(Parcel("s", "r1", 1, 1, b"x")).outcome is Outcome.LATER
        own.close()
        thief = JetStream(NatsLink(country.region("jump-2"), "jump-1", domain="centre"))
        assert thief.receipts() == []
        thief.close()
    finally:
        worker.kill()

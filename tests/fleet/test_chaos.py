"""Tests that nothing is lost or doubled while everything is killed at random."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from agent.outbox import Outbox
from inventory import tokens
from inventory.models import Device
from tests.fleet.nats import Nats, free_port
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

SECONDS = float(os.environ.get("CAMCENSUS_FLEET_SECONDS", "40"))
SEED = int(os.environ.get("CAMCENSUS_FLEET_SEED", "20261123"))
REPORT = 700


@pytest.mark.timeout(SECONDS * 3 + 300)
def test_whatever_is_killed_all_is_stored_once(central: dict[str, Any], nats: Nats, tmp_path: Path) -> None:
    """Agents over JetStream and HTTPS, workers, the server, NATS: each is killed at random moments."""
    chance = random.Random(SEED)  # noqa: S311 - it has to be the same again
    env = worker_environment(central, tmp_path / "state")
    port = free_port()
    commands: dict[str, list[str]] = {
        "server": words("inventory", "serve", "--port", str(port)),
        "worker-1": words("inventory", "ingest", "--from", nats.url, "--redeliver-after", "5"),
        "worker-2": words("inventory", "ingest", "--from", nats.url, "--redeliver-after", "5"),
    }
    folders: dict[str, Path] = {}
    for number in range(3):
        name, site = f"jump-{number}", f"site-{number}"
        folders[name] = tmp_path / name
        link = f'url = "{nats.url}"'
        agent = machine(name, folders[name], [site])
        if number == 0:
            token = tmp_path / "token"
            token.touch(0o600)
            token.write_text(tokens.issue(agent)[1])
            link = f'url = "http://127.0.0.1:{port}"\ntoken-file = "{token}"'
        settings = agent_settings(name, folders[name], site, link)
        commands[name] = words("agent", "run", "--config", str(settings))
    running = {name: Program(command, tmp_path / f"{name}.log", env) for name, command in commands.items()}
    produced: dict[str, set[str]] = {}
    try:
        end, serial = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            number = chance.randrange(3)
            serial += 1
            made = put(
                folders[f"jump-{number}"],
                f"site-{number}",
                iter([(f"r{serial}", serial * 1000, chance.randrange(1, REPORT))]),
            )
            produced |= made
            victim = chance.choice([*commands, "nats"])
            if victim == "nats":
                nats.kill()
                time.sleep(chance.uniform(0.0, 1.0))
                nats.start()
            else:
                running[victim].kill()
                time.sleep(chance.uniform(0.0, 1.0))
                running[victim] = Program(commands[victim], tmp_path / f"{victim}.log", env)
            time.sleep(chance.uniform(0.0, 2.0))
        boxes = [Outbox(folder / "outbox.sqlite3") for folder in folders.values()]
        eventually(lambda: not any(box.status().parts for box in boxes), 240)
        assert not any(box.status().aside or box.status().lost_changed for box in boxes)
    finally:
        for program in running.values():
            program.kill()
    assert len(produced) > SECONDS / 10
    assert stored() == {report: len(macs) for report, macs in produced.items()}
    assert set(Device.objects.values_list("mac", flat=True)) == set().union(*produced.values())
    assert nothing_doubled()

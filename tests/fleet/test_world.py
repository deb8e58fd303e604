"""Tests of an agent whose machine misbehaves: the clock jumps, the disk is full."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from agent.outbox import Outbox
from agent.schedule.ledger import Ledger
from tests.fleet.rig import Program, eventually, words
from tests.places import REPO

DAY = 86_400.0
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
SETTINGS = """\
[agent]
name = "jump-1"
state = "{state}"
[[site]]
code = "s"
[[site.scope]]
name = "own"
targets = ["127.77.9.1"]
ports = ["9"]
schedule = "30 1 * * *"
"""


def next_scan(state: Path) -> float:
    """When the agent says that it scans next."""
    try:
        status = json.loads((state / "status.json").read_text())
    except (OSError, ValueError):
        return 0.0
    at = status["scopes"][0]["next"]
    return datetime.fromisoformat(at).timestamp() if at else 0.0


def parts(state: Path) -> int:
    """How many parts wait in the outbox."""
    with contextlib.closing(Outbox(state / "outbox.sqlite3")) as outbox:
        return outbox.status().parts


def test_a_clock_that_jumps_both_ways(tmp_path: Path) -> None:
    """Forty days on: one scan, then the next day's. A month back: the next day's again, not one a month away."""
    if LIBRARY is None:
        pytest.skip("missing tool: libfaketime (Debian package faketime)")
    state, jump = tmp_path / "state", tmp_path / "jump"
    state.mkdir()
    with contextlib.closing(Ledger(state / "ledger.sqlite3")) as ledger:
        ledger.begin("before", "s.own", "s", "schedule", time.time() - 60)
        ledger.end("before", "done", "", time.time() - 59)
    config = tmp_path / "agent.toml"
    config.write_text(SETTINGS.format(state=state))
    jump.write_text("+0")
    env = {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(jump),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    agent = Program(words("agent", "run", "--config", str(config)), tmp_path / "log", env)
    try:
        eventually(lambda: 0 < next_scan(state) - time.time() < 2 * DAY)
        assert parts(state) == 0
        jump.write_text("+40d")
        eventually(lambda: parts(state) == 1)
        eventually(lambda: 40 * DAY < next_scan(state) - time.time() < 42 * DAY)
        jump.write_text("+10d")
        eventually(lambda: 10 * DAY < next_scan(state) - time.time() < 12 * DAY)
        assert parts(state) == 1
        assert agent.stop() == 0
    finally:
        agent.kill()


FULL = """
import os, subprocess, sys
state, config = sys.argv[1:3]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", state], check=True)
run = [sys.executable, "-P", "-m", "agent.cli", "agent", "once", "--config", config]
filler = os.path.join(state, "filler")
print(subprocess.run(run, capture_output=True, text=True).stdout.strip())
with open(filler, "wb", buffering=0) as out:
    try:
        while out.write(bytes(4096)):
            pass
    except OSError:
        pass
for _ in range(2):
    done = subprocess.run(run, capture_output=True, text=True)
    print(done.returncode, "Traceback" in done.stderr, (done.stdout + done.stderr).strip().splitlines()[-1:])
os.unlink(filler)
print(subprocess.run(run, capture_output=True, text=True).stdout.strip())
sys.path.insert(0, os.environ["PYTHONPATH"])
from pathlib import Path
from agent.outbox import Outbox
print(Outbox(Path(state, "outbox.sqlite3")).status().reports)
"""


def test_a_full_disk(tmp_path: Path) -> None:
    """With no room the agent says so in a line and fails; with room again it goes on: nothing that was kept is lost."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a file system of one megabyte")
    state, config = tmp_path / "state", tmp_path / "agent.toml"
    state.mkdir()
    config.write_text(SETTINGS.format(state=state))
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", FULL, str(state), str(config)],
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, *full, again, reports = done.stdout.splitlines()
    assert first == again == "s.own: done"
    for line in full:
        assert line[0] in "14", line
        assert " False " in line
        assert any(word in line.lower() for word in ("full", "space", "i/o")), line
    assert int(reports) >= 2

"""Tests of what commands keep in the inventory of this machine."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.places import REPO

PCAP = str(next(iter(sorted((REPO / "pcaps").glob("*.pcap")))))


def ran(state: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command of the program that keeps its results under `state`."""
    env = {**os.environ, "CAMCENSUS_RECORD": "1", "XDG_STATE_HOME": str(state), **more}
    return subprocess.run(
        [sys.executable, "-P", "-m", "agent.cli", *words],
        cwd=REPO,
        env={**env, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def rows(state: Path, statement: str) -> list[tuple[object, ...]]:
    """What the inventory under `state` says to a statement."""
    with contextlib.closing(sqlite3.connect(state / "camcensus/inventory.sqlite3")) as database:
        return database.execute(statement).fetchall()


def test_what_is_replayed_twice_is_kept_once(tmp_path: Path) -> None:
    """With --record the report's devices are in the inventory, under the site that was named."""
    for _ in range(2):
        done = ran(tmp_path, "replay", PCAP, "--record", "--site", "Hill School", "--format", "json")
        assert done.returncode == 0, done.stderr
    devices = json.loads(done.stdout)["devices"]
    assert devices
    assert "kept in the inventory" in done.stderr
    assert rows(tmp_path, "SELECT count(*) FROM inventory_device") == [(len(devices),)]
    assert rows(tmp_path, "SELECT code, name FROM inventory_site") == [("hill-school", "Hill School")]
    assert rows(tmp_path, "SELECT count(*) FROM inventory_run") == [(2,)]
    assert (tmp_path / "camcensus/inventory.key").stat().st_mode & 0o777 == 0o600


def test_a_scan_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    """By default the run is there with what it covered; with --no-inventory there is no inventory."""
    words = ("scan", "127.78.9.9", "--ports", "9", "--no-ping", "--format", "json")
    assert ran(tmp_path / "no", *words, "--no-inventory").returncode == 0
    assert not (tmp_path / "no/camcensus/inventory.sqlite3").exists()
    assert ran(tmp_path / "yes", *words).returncode == 0
    assert rows(tmp_path / "yes", "SELECT covered FROM inventory_run") == [('["127.78.9.9"]',)]


def test_an_inventory_that_cannot_be_written_costs_one_line(tmp_path: Path) -> None:
    """The report comes as it would; the exit code too; one line says what is not kept."""
    (tmp_path / "camcensus").write_text("no folder")
    done = ran(tmp_path, "replay", PCAP, "--record", "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["devices"]
    assert len(done.stderr.splitlines()) == 1
    assert "not kept in the inventory" in done.stderr
    broken = ran(tmp_path / "other", "replay", PCAP, "--record", CAMCENSUS_DATABASE_URL="mysql://here")
    assert broken.returncode == 0
    assert "mysql" in broken.stderr.splitlines()[-1]


def test_a_small_replay_loads_no_django() -> None:
    """Whoever records nothing pays nothing for the inventory."""
    code = f"""
import sys
from agent.cli.app import run
run(["replay", {PCAP!r}, "--output", "/dev/null"])
assert not [name for name in sys.modules if name.split(".")[0] in ("django", "inventory")]
"""
    subprocess.run(
        [sys.executable, "-P", "-c", code], env={**os.environ, "PYTHONPATH": str(REPO)}, check=True
    )


def test_the_demo_opens_a_populated_inventory(tmp_path: Path) -> None:
    """The link it prints signs in once; the inventory holds the simulated site, and is gone afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "agent.cli", "demo", "--inventory", "--no-browser", "-o", "/dev/null"],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        found = None
        for line in process.stderr:
            found = re.search(r"http://127\.0\.0\.1:(\d+)(/open/\S+)", line)
            if found:
                break
        assert found is not None
        link = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
        link.request("GET", found[2])
        first = link.getresponse()
        first.read()
        assert first.status == 302
        cookie = "; ".join(text.partition(";")[0] for text in first.headers.get_all("Set-Cookie", []))
        link.request("GET", "/api/v1/devices?finding=flagged", headers={"Cookie": cookie})
        assert json.loads(link.getresponse().read())["items"]
        link.request("GET", found[2])
        assert link.getresponse().status == 403
        link.close()
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=40)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert not list(tmp_path.glob("camcensus-demo-*"))

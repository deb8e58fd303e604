"""Tests of an agent as a process: its times, its restarts, its status."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.outbox import Outbox
from agent.outbox.parts import unpacked
from agent.schedule.ledger import Ledger
from tests.fleet.nats import free_port
from tests.fleet.rig import Program, eventually, words
from tests.places import REPO

DAY = 86_400.0
SETTINGS = """\
[agent]
name = "jump-1"
state = "{state}"
{agent}
[[site]]
code = "s"
[[site.scope]]
name = "own"
targets = ["{targets}"]
ports = ["9"]
{scope}
"""


def write(folder: Path, agent: str = "", scope: str = "", targets: str = "127.77.9.1") -> Path:
    """An agent.toml without an inventory: what it makes stays in the outbox."""
    path = folder / "agent.toml"
    path.write_text(SETTINGS.format(state=folder / "state", agent=agent, scope=scope, targets=targets))
    return path


def reports(folder: Path) -> list[dict[str, Any]]:
    """What is in the outbox."""
    with contextlib.closing(Outbox(folder / "state" / "outbox.sqlite3")) as outbox:
        return [
            {**unpacked(each.parcel.body), "id": each.parcel.report}
            for each in outbox.due(time.time() + DAY, 100)
        ]


def run(*more: str) -> subprocess.CompletedProcess[str]:
    """One command of ours, to its end."""
    return subprocess.run(
        words(*more),
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def going() -> Iterator[list[Program]]:
    """Programs that end with the test."""
    programs: list[Program] = []
    yield programs
    for program in programs:
        program.kill()


def begun(folder: Path, at: float, *, ended: bool) -> None:
    """A ledger of an agent whose last scan was begun at a time."""
    (folder / "state").mkdir()
    with contextlib.closing(Ledger(folder / "state" / "ledger.sqlite3")) as ledger:
        ledger.begin("before", "s.own", "s", "schedule", at)
        if ended:
            ledger.end("before", "done", "", at + 60)


def test_once(tmp_path: Path) -> None:
    """Everything is scanned now; the report is in the outbox when it ends, and the status says so."""
    config = write(tmp_path)
    done = run("agent", "once", "--config", str(config))
    assert (done.returncode, done.stdout) == (0, "s.own: done\n"), done.stderr
    (report,) = reports(tmp_path)
    assert report["run"]["targets"] == ["127.77.9.1"]
    shown = run("agent", "status", "--config", str(config), "--format", "json")
    assert shown.returncode == 0
    status = json.loads(shown.stdout)
    assert status["scopes"][0]["outcome"] == "done"
    assert status["outbox"]["parts"] == 1
    assert "s.own" in run("agent", "status", "--config", str(config)).stdout


def test_many_missed_times_are_made_up_for_once(tmp_path: Path, going: list[Program]) -> None:
    """After ten days without the machine there is one scan, at once; the next is at its time."""
    begun(tmp_path, time.time() - 10 * DAY, ended=True)
    config = write(tmp_path, scope='schedule = "30 1 * * *"')
    going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log"))
    eventually(lambda: len(reports(tmp_path)) == 1)
    eventually((tmp_path / "state" / "status.json").exists)
    time.sleep(2)
    assert len(reports(tmp_path)) == 1
    assert going[0].stop() == 0


def test_no_time_was_missed(tmp_path: Path, going: list[Program]) -> None:
    """An agent that was scanned today waits for tomorrow."""
    begun(tmp_path, time.time() - 1, ended=True)
    config = write(tmp_path, scope='schedule = "30 1 1 1 *"')
    going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log"))
    eventually((tmp_path / "state" / "status.json").exists)
    assert going[0].stop() == 0
    assert reports(tmp_path) == []


def test_killed_in_a_scan(tmp_path: Path, going: list[Program]) -> None:
    """Killed in mid-scan, with its child; started again it goes on, and reports once, of the same run."""
    begun(tmp_path, time.time() - 2 * DAY, ended=True)
    scope = 'schedule = "30 1 * * *"\nrate = 40'
    config = write(tmp_path, scope=scope, targets="127.77.9.0/28")
    state = tmp_path / "state"
    going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log"))
    eventually(lambda: any(path.stat().st_size > 300 for path in (state / "scans").glob("*.scan")))
    os.kill(going[0].process.pid, signal.SIGKILL)
    going[0].process.wait(10)
    eventually(lambda: not _scanning(config))
    assert reports(tmp_path) == []
    going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log"))
    eventually(lambda: len(reports(tmp_path)) == 1)
    (report,) = reports(tmp_path)
    assert report["coverage"]["resumed"]
    assert report["coverage"]["ended"] == "finished"
    assert going[1].stop() == 0


def _scanning(config: Path) -> bool:
    """Whether a scan of this agent still runs: it would go on without its master."""
    found = subprocess.run(["pgrep", "-f", f"scan.*{config.parent}/state"], capture_output=True, check=False)
    return found.returncode == 0


def test_told_to_stop_in_a_scan(tmp_path: Path, going: list[Program]) -> None:
    """What the scan has by then is reported, as incomplete; the rest comes after the next start."""
    begun(tmp_path, time.time() - 2 * DAY, ended=True)
    scope = 'schedule = "30 1 * * *"\nrate = 40'
    config = write(tmp_path, scope=scope, targets="127.77.9.0/28")
    state = tmp_path / "state"
    going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log"))
    eventually(lambda: any(path.stat().st_size > 300 for path in (state / "scans").glob("*.scan")))
    assert going[0].stop() == 0
    (piece,) = reports(tmp_path)
    assert piece["id"].endswith(".1")
    assert piece["coverage"]["incomplete"]
    going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log"))
    eventually(lambda: len(reports(tmp_path)) == 2)
    whole = next(report for report in reports(tmp_path) if not report["id"].endswith(".1"))
    assert whole["id"] == piece["id"].partition(".")[0]
    assert whole["coverage"]["ended"] == "finished"


def test_settings_are_read_again(tmp_path: Path, going: list[Program]) -> None:
    """SIGHUP takes a sound file over; of a wrong one the status tells, and the old settings stay."""
    config = write(tmp_path)
    going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log"))
    status = tmp_path / "state" / "status.json"
    eventually(status.exists)
    write(tmp_path, scope='schedule = "61 * * * *"')
    os.kill(going[0].process.pid, signal.SIGHUP)
    eventually(lambda: "line 11, schedule" in status.read_text())
    write(tmp_path, scope='schedule = "30 1 * * *"')
    os.kill(going[0].process.pid, signal.SIGHUP)
    eventually(lambda: json.loads(status.read_text())["scopes"][0]["next"] is not None)
    assert json.loads(status.read_text())["problems"] == {}
    assert going[0].stop() == 0


def test_hours_in_which_nothing_is_sent(tmp_path: Path, going: list[Program]) -> None:
    """A scan that is due inside such hours waits for their end."""
    begun(tmp_path, time.time() - 2 * DAY, ended=True)
    # Nobody's night is longer than this, wherever the test runs.
    windows = 'schedule = "30 1 * * *"\nblackout = ["00:00-24:00"]'
    config = write(tmp_path, scope=windows)
    going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log"))
    status = tmp_path / "state" / "status.json"
    eventually(lambda: status.exists() and json.loads(status.read_text())["scopes"][0]["next"] is not None)
    assert going[0].stop() == 0
    assert reports(tmp_path) == []


def test_one_agent_a_folder(tmp_path: Path, going: list[Program]) -> None:
    """A second one says who is there, and leaves."""
    config = write(tmp_path)
    going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log"))
    eventually((tmp_path / "state" / "status.json").exists)
    done = run("agent", "run", "--config", str(config))
    assert done.returncode == 1
    assert f"(process {going[0].process.pid})" in done.stderr


def test_figures_for_monitoring(tmp_path: Path, going: list[Program]) -> None:
    """The same figures in a file and at an address."""
    port = free_port()
    more = f'metrics-listen = "127.0.0.1:{port}"\nmetrics-file = "{tmp_path}/agent.prom"'
    config = write(tmp_path, agent=more)
    going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log"))
    eventually((tmp_path / "agent.prom").exists)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        said = answer.read().decode()
    assert "camcensus_agent_info{version=" in said
    assert "camcensus_outbox_reports 0" in said
    assert said.splitlines()[:3] == (tmp_path / "agent.prom").read_text().splitlines()[:3]


def test_systemd_is_told(tmp_path: Path, going: list[Program]) -> None:
    """Ready, alive, stopping: over the socket that systemd names."""
    import socket  # noqa: PLC0415 - beside its use

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(30)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        config = write(tmp_path)
        going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log", env))
        assert heard.recv(1000).startswith(b"READY=1")
        assert heard.recv(1000) == b"WATCHDOG=1"
        going[0].process.terminate()
        while heard.recv(1000) != b"STOPPING=1":
            pass
    # Told but once: a second signal in its last moment would end it as it would any program.
    assert going[0].process.wait(60) == 0


def test_listening_alongside(tmp_path: Path, going: list[Program]) -> None:
    """What an interface says is reported again and again; told to stop in the middle it reports what it heard."""
    if os.geteuid() != 0:
        pytest.skip("needs root: listens on an interface")
    listen = '[[site.listen]]\ninterfaces = ["lo"]\nevery = "2s"'
    config = write(tmp_path, scope=listen)
    going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log"))
    eventually(lambda: len(reports(tmp_path)) >= 2)
    assert going[0].stop() == 0
    found = reports(tmp_path)
    assert {report["run"]["command"] for report in found} == {"listen"}
    assert {report["run"]["interfaces"][0] for report in found} == {"lo"}
    assert len({report["id"] for report in found}) == len(found)


def test_an_interface_that_is_not_there(tmp_path: Path, going: list[Program]) -> None:
    """The status says which one; scans go on."""
    listen = '[[site.listen]]\ninterfaces = ["nowhere7"]\nevery = "2s"'
    config = write(tmp_path, scope=listen)
    going.append(Program(words("agent", "run", "--config", str(config)), tmp_path / "log"))
    status = tmp_path / "state" / "status.json"
    eventually(lambda: status.exists() and "'nowhere7': no such interface" in status.read_text())
    assert going[0].stop() == 0

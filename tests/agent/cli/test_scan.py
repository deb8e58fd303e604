"""Tests of ``camcensus scan``: what is refused, and a real scan of simulated devices on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli.app import run
from simulator.device import load
from simulator.site import Site
from tests.places import REPO

NAMES = ("hikvision-ds-2cd2385g1-i", "axis-m5014", "dahua-hcvr")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds the scans that another one stopped."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def site() -> Iterator[str]:
    """Three simulated devices in a corner of loopback, as a range of addresses."""
    standing, over = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    corner = Site([load(name) for name in NAMES], "127.79.0.0/24")

    async def stand() -> None:
        async with corner:
            loops.append(asyncio.get_running_loop())
            standing.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(stand()))
    thread.start()
    assert standing.wait(30)
    yield "127.79.0.1-3"
    loops[0].call_soon_threadsafe(over.set)
    thread.join()


def scanned(*words: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON report of a scan in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "scan", *words, "--format", "json"],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_a_scan_names_what_stands_there(site: str) -> None:
    """The three devices are found, each with its maker, and with the ports that are open."""
    code, report = scanned(site, "--fail-on", "flagged", "--site", "corner")
    assert code == 3
    assert {row["addresses"][0]: row["manufacturer"] for row in report["devices"]} == {
        "127.79.0.1": "Hikvision",
        "127.79.0.2": "Axis",
        "127.79.0.3": "Dahua",
    }
    assert report["coverage"]["incomplete"] is False
    assert {row["site"] for row in report["devices"]} == {"corner"}
    assert report["run"]["targets"] == [site]


def test_what_is_excluded_is_not_touched(site: str) -> None:
    """An excluded address is not in the report, and the coverage says that it was left out."""
    _, report = scanned(site, "--exclude", "127.79.0.2")
    assert [row["addresses"][0] for row in report["devices"]] == ["127.79.0.1", "127.79.0.3"]
    assert "127.79.0.2" in json.dumps(report["coverage"])


def test_the_time_limit_ends_a_scan_early(site: str) -> None:
    """What is known by then is reported, and the exit says that it is incomplete."""
    code, report = scanned(site, "--time-limit", "0.01")
    assert code == 4
    assert report["coverage"]["incomplete"] is True


def test_ctrl_c_reports_what_is_known() -> None:
    """An interrupted scan prints its report and exits 4; a device that says nothing holds it meanwhile."""
    with contextlib.ExitStack() as held:
        silent = [held.enter_context(socket.create_server(("127.79.1.1", port))) for port in (8080, 8554)]
        process = held.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "agent.cli", "scan", "127.79.1.1", "--format", "json"],
                cwd=REPO,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
        # The scan has begun when it speaks to one of the ports.
        spoken_to, _ = silent[0].accept()
        held.enter_context(spoken_to).recv(1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 4
    report = json.loads(out)
    assert report["coverage"]["incomplete"] is True
    assert [row["addresses"][0] for row in report["devices"]] == ["127.79.1.1"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["192.0.2.7/24"], "192.0.2.7/24"),
        (["192.0.2.9-4"], "192.0.2.9-4"),
        (["8.8.8.8"], "--allow-public"),
        (["127.79.0.1", "--exclude", "127.79.0"], "127.79.0"),
        (["127.79.0.1", "--ports", "80,http"], "http"),
        (["127.79.0.1", "--ports", "0"], "--ports"),
        (["127.79.0.1", "--time-limit", "soon"], "soon"),
        (["127.79.0.1", "--interface", "nosuch0"], "nosuch0"),
        (["127.79.0.1", "--profile", "brutal"], "brutal"),
        (["127.79.0.1", "--rate", "fast"], "--rate"),
        (["127.79.0.1", "--rate", "0"], "--rate"),
        (["127.79.0.1", "--passes", "0"], "--passes"),
        (["--resume", "127.79.0.1"], "--targets"),
        (["--resume"], "no scan was stopped"),
        (["--resume", "--checkpoint", "/dev/null"], "/dev/null"),
        (["127.79.0.1", "--checkpoint", "/dev/null"], "/dev/null"),
        (["@/nowhere/targets"], "/nowhere/targets"),
    ],
)
def test_a_wrong_call_is_refused_whole(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is sent; one line names the token, and the exit is 2."""
    assert run(["scan", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert named in said.err


def test_the_bar_is_for_terminals(site: str) -> None:
    """On a terminal the progress is shown on stderr; stdout stays what it is."""
    here, there = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "scan", site, "--format", "jsonl"],
        cwd=REPO,
        env={**os.environ, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=there,
        text=True,
    )
    os.close(there)
    shown = b""
    with contextlib.suppress(OSError):
        while more := os.read(here, 65_536):
            shown += more
    out, _ = process.communicate(timeout=60)
    os.close(here)
    assert process.returncode == 0
    assert b"\x1b[" in shown
    assert all(json.loads(line)["id"] for line in out.splitlines())


class Doors:
    """A host of loopback that accepts on port 8080 and is silent; who came is counted."""

    def __init__(self, ip: str, held: contextlib.ExitStack) -> None:
        self.listener = held.enter_context(socket.create_server((ip, 8080)))

    def opened(self) -> bool:
        """Whether anybody has come since this was asked last."""
        self.listener.settimeout(0)
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


def started(*words: str, **more: str) -> subprocess.Popen[str]:
    """A scan that runs in a process of its own, told to keep its state in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "scan", *words, "--format", "json"],
        cwd=REPO,
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_plan_sends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The plan names targets, packets and time for each profile within 80 columns, and nobody is called."""
    with contextlib.ExitStack() as held:
        doors = Doors("127.79.2.1", held)
        assert run(["scan", "127.79.2.1", "--plan"]) == 0
        assert not doors.opened()
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert all(
        name in said for name in ("gentle", "standard", "thorough", "1 by connect", "Nothing was sent")
    )


def test_the_plan_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON the plan has the same figures; a rate of the user's counts for every profile."""
    assert run(["scan", "10.99.0.0/24", "--plan", "--format", "json", "--rate", "500"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["targets"] == 254
    assert {row["packets_per_second"] for row in plan["profiles"]} == {500}


def test_alive_only_asks_nobody(site: str) -> None:
    """Hosts are named by address alone: no question is put to them."""
    code, report = scanned(site, "--alive-only")
    assert code == 0
    assert len(report["devices"]) == 3
    assert {row["finding"] for row in report["devices"]} == {"unidentified"}
    assert report["coverage"]["asking"]["asked"] == {}


def test_a_killed_scan_goes_on(tmp_path: Path) -> None:
    """After kill -9 the scan goes on with the hosts it had not finished, and reports all of them."""
    with contextlib.ExitStack() as held:
        # Two hosts refuse everything and are soon done; the third is silent and holds the scan.
        doors = Doors("127.79.3.3", held)
        process = held.enter_context(started("127.79.3.1-3", "--ports", "8080", XDG_STATE_HOME=str(tmp_path)))
        doors.listener.settimeout(60)
        held.enter_context(doors.listener.accept()[0])
        (journal,) = (tmp_path / "camcensus" / "scans").iterdir()
        while journal.read_text(encoding="utf-8").count('"done"') < 2:
            # It is written to the disk once a second.
            time.sleep(0.05)
        process.kill()
        process.wait(10)
        again = held.enter_context(started("--resume", XDG_STATE_HOME=str(tmp_path)))
        out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    report = json.loads(out)
    assert [row["addresses"][0] for row in report["devices"]] == [f"127.79.3.{last}" for last in (1, 2, 3)]
    assert report["coverage"]["resumed"] is True
    # Only the third was connected to again.
    assert report["coverage"]["asking"]["ports"]["refused"] == 0
    assert list((tmp_path / "camcensus" / "scans").iterdir()) == []


def test_an_interrupted_scan_says_how_to_go_on(tmp_path: Path) -> None:
    """The word of what to type is on stderr, and that does go on."""
    kept = tmp_path / "my.scan"
    with contextlib.ExitStack() as held:
        doors = Doors("127.79.4.1", held)
        doors.listener.settimeout(60)
        process = held.enter_context(started("127.79.4.1", "--ports", "8080", "--checkpoint", str(kept)))
        held.enter_context(doors.listener.accept()[0])
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 4
        assert f"camcensus scan --resume --checkpoint {kept}" in err
        again = held.enter_context(started("--resume", "--checkpoint", str(kept)))
        out, _ = again.communicate(timeout=60)
    assert again.returncode == 0
    assert json.loads(out)["run"]["targets"] == ["127.79.4.1"]
    assert not kept.exists()


def test_progress_for_programs(site: str) -> None:
    """Each line on stderr is JSON; the last one says that all is done."""
    process = started(site, "--progress", "json")
    _, err = process.communicate(timeout=60)
    lines = [json.loads(line) for line in err.splitlines()]
    assert {line["event"] for line in lines} == {"progress"}
    assert (lines[-1]["looked"], lines[-1]["alive"], lines[-1]["done"]) == (3, 3, 1.0)
    assert lines[-1]["flagged"] == 2


@pytest.mark.parametrize("stop", [signal.SIGUSR1, signal.SIGTSTP], ids=["SIGUSR1", "Ctrl-Z"])
def test_a_pause_sends_nothing(stop: signal.Signals) -> None:
    """While paused nobody is connected to; afterwards the scan comes to its end."""
    with contextlib.ExitStack() as held:
        doors = Doors("127.79.5.1", held)
        doors.listener.settimeout(60)
        # Gentle and slow: the sweep knocks first, the question comes later.
        process = held.enter_context(
            started("127.79.5.1", "--ports", "8080", "--rate", "2", "--profile", "gentle")
        )
        doors.listener.accept()[0].close()
        process.send_signal(stop)
        time.sleep(1.5)
        while doors.opened():
            pass
        time.sleep(1.5)
        assert not doors.opened()
        process.send_signal(signal.SIGCONT if stop == signal.SIGTSTP else signal.SIGUSR1)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "paus" in err
    # Another scan's answers on this machine may come to a port that both listen on.
    assert [row for row in json.loads(out)["devices"] if row["addresses"] == ["127.79.5.1"]]


def test_a_state_folder_that_cannot_be_had() -> None:
    """The scan is done all the same; one line says that it cannot be resumed."""
    process = started("127.79.6.1", "--ports", "8080", XDG_STATE_HOME="/dev/null/nowhere")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "cannot be resumed" in err
    assert len(json.loads(out)["devices"]) == 1

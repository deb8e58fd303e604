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
from collections.abc import Iterator
from typing import Any

import pytest

from agent.cli.app import run
from simulator.device import load
from simulator.site import Site
from tests.places import REPO

NAMES = ("hikvision-ds-2cd2385g1-i", "axis-m5014", "dahua-hcvr")


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

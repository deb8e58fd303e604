"""A capture that several processes read tells what it tells one of them, whatever befalls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from agent.capture import libpcap
from bench.camera_network import size_of, write
from tests.places import REPO, SHARED

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone"),
    pytest.mark.skipif(not libpcap.available(), reason="missing tool: libpcap"),
]

_SCRIPT: Final = """
import os, signal, sys, time
from agent.cli import shares
from agent.cli.app import run
shares._LEAST_BYTES, count = 0, int(sys.argv[1])
shares.is_dense, shares.processors = (lambda *_: True), (lambda: count)
{}
sys.exit(run(["replay", "--format", "json", *sys.argv[2:]]))
"""
_KILLED: Final = """
work = shares._work
def dying(there, source, share, *rest):
    if share.number == 1: os.kill(os.getpid(), signal.SIGKILL)
    work(there, source, share, *rest)
shares._work = dying
"""
_STOPPED: Final = """
class Slow(shares.Replay):
    def __iter__(self):
        for number, message in enumerate(super().__iter__()):
            # The signal comes to the one that waits, once both have read something.
            if number == 20 and share_number(self) == 0: os.kill(os.getppid(), signal.SIGINT)
            if number >= 20: time.sleep(0.05)
            yield message
def share_number(replay): return replay._share.number
shares.Replay = Slow
"""


def replayed(count: int, *paths: Path, befalls: str = "") -> tuple[int, dict[str, Any]]:
    """Exit code and report of a replay by so many processes, but for what differs from run to run."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(befalls), str(count), *map(str, paths)],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    del report["run"]
    for capture in report["coverage"]["captures"]:
        # Which frames the filter may leave out depends on what was read before.
        del capture["frames_read"]
    assert report["devices"]
    return done.returncode, report


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture in which nearly every frame matters."""
    path = tmp_path_factory.mktemp("dense") / "hard.pcap"
    write(path, size_of("6m"), hard=True)
    return path


def test_three_tell_what_one_tells(dense: Path) -> None:
    """Every device with its evidence, contacts, counts of messages: the same report."""
    assert replayed(3, dense) == replayed(1, dense)


def test_every_recorded_capture_tells_the_same() -> None:
    """VLANs, IPv6, recorders, announcements: whatever stands in the captures that the lab recorded."""
    paths = sorted((REPO / "pcaps").glob("*.pcap"))
    assert replayed(2, *paths) == replayed(1, *paths)


@pytest.mark.skipif(
    not (SHARED / "pcaps").is_dir(), reason="the recordings beside the checkout (../shared) are not here"
)
def test_captures_of_others_tell_the_same() -> None:
    """Fragments, tunnels, broken files, strange links: what cannot be shared out is read by one."""
    one, two = replayed(1, SHARED / "pcaps"), replayed(2, SHARED / "pcaps")
    for _, report in (one, two):
        # A host that both of them saw is sighted twice, where its time is wrong as well.
        assert report["coverage"].pop("messages_without_time") > 0
        spots = report["coverage"]["blind_spots"]
        report["coverage"]["blind_spots"] = [spot for spot in spots if "no clock" not in spot["what"]]
    assert one[0] == two[0]
    for name in one[1]:
        assert one[1][name] == two[1][name], name


def test_a_process_that_dies_costs_nothing(dense: Path) -> None:
    """Where one of them is killed, the capture is read again, by one, and nothing is counted twice."""
    assert replayed(2, dense, befalls=_KILLED) == replayed(1, dense)


def test_a_capture_that_is_cut_short_is_told_of(dense: Path, tmp_path: Path) -> None:
    """What was readable is reported, the place named, with the exit code of what is incomplete."""
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(dense.read_bytes()[:-70])
    code, report = replayed(2, cut)
    assert code == 4
    assert [row["kind"] for row in report["problems"]] == ["truncated"]
    assert (code, report) == replayed(1, cut)


def test_a_signal_ends_all_of_them_with_what_they_know(dense: Path) -> None:
    """SIGINT to the one that was started is handed on; devices known so far are reported."""
    code, report = replayed(2, dense, befalls=_STOPPED)
    assert code == 4
    assert report["coverage"]["interrupted"] is True

"""Tests of ``camcensus replay``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.cli.app import run
from tests.places import REPO

PCAPS = REPO / "pcaps"


def test_a_capture_gives_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON report names the devices, what stands behind the verdicts, and the capture."""
    assert run(["replay", str(PCAPS / "hikvision.pcap"), "--format", "json", "--site", "North"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {device["manufacturer"] for device in report["devices"]} >= {"Hikvision"}
    assert {device["site"] for device in report["devices"]} == {"North"}
    assert {"version", "knowledge", "oui", "policies", "started", "finished"} <= set(report["run"])
    assert report["coverage"]["captures"][0]["frames_read"] > 0


def test_a_folder_stands_for_its_captures(capsys: pytest.CaptureFixture[str]) -> None:
    """A folder is read whole, with --fail-on telling by the exit code that something was flagged."""
    assert run(["replay", str(PCAPS), "--fail-on", "flagged", "--format", "jsonl"]) == 3
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"Hikvision", "Dahua", "Axis"} <= {row["manufacturer"] for row in rows}


def test_a_cut_capture_is_read_as_far_as_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was readable is reported, the problem names file and offset, and the exit is 4."""
    whole = (PCAPS / "hikvision.pcap").read_bytes()
    path = tmp_path / "cut.pcap"
    path.write_bytes(whole[: len(whole) - 7])
    assert run(["replay", str(path), "--format", "json"]) == 4
    report = json.loads(capsys.readouterr().out)
    assert any(device["manufacturer"] == "Hikvision" for device in report["devices"])
    assert report["problems"][0]["where"].startswith(f"{path}@")
    assert report["coverage"]["incomplete"] is True


@pytest.mark.parametrize("form", ["table", "csv"])
def test_what_is_no_capture_is_no_empty_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """A file that is something else gives a problem and exit 4, never `no devices` alone."""
    path = tmp_path / "x.pcap"
    path.write_bytes(b"something else entirely, and long enough to look at")
    assert run(["replay", str(path), "--format", form]) == 4
    said = capsys.readouterr()
    assert str(path) in (said.out if form == "table" else said.err).replace("\n", "").replace("  ", "")


def test_a_capture_can_come_in_by_stdin() -> None:
    """`-` is standard input."""
    with (PCAPS / "dahua.pcap").open("rb") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "agent.cli", "replay", "-", "--format", "csv"],
            cwd=REPO,
            stdin=stream,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert "Dahua" in done.stdout


_WAITS = 5


def test_ctrl_c_reports_what_is_known() -> None:
    """An interrupted replay prints the devices it has seen so far and exits 4."""
    with subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "replay", "-", "--format", "json"],
        cwd=REPO,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with (PCAPS / "hikvision.pcap").open("rb") as capture:
            shutil.copyfileobj(capture, process.stdin)
        process.stdin.flush()
        waited = 0
        while process.poll() is None and waited < _WAITS:
            # Once is not enough: it also waits for a moment where there is more to read.
            waited = waited + 1 if _waits_for_input(process.pid) else 0
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        report = json.loads(process.stdout.read())
        assert process.wait(30) == 4
    assert report["coverage"]["interrupted"] is True
    assert any(device["manufacturer"] == "Hikvision" for device in report["devices"])


def _waits_for_input(pid: int) -> bool:
    """Whether a process is in read(2), number 0 or 63, on its standard input."""
    words = Path(f"/proc/{pid}/syscall").read_text(encoding="ascii").split()
    return words[0] in {"0", "63"} and words[1] == "0x0"


def test_a_folder_is_followed(tmp_path: Path) -> None:
    """Captures are taken up as they are finished, a snapshot shows them, and SIGINT ends with the report."""
    folder, output = tmp_path / "captures", tmp_path / "report.json"
    folder.mkdir()
    argv = [sys.executable, "-m", "agent.cli", "replay", str(folder), "--follow", "--format", "json"]
    with subprocess.Popen([*argv, "-o", str(output), "--snapshot-every", "1s"], cwd=REPO) as process:
        try:
            for name, makers in (("hikvision", {"Hikvision"}), ("dahua", {"Hikvision", "Dahua"})):
                shutil.copy(PCAPS / f"{name}.pcap", folder / f"{name}1.pcap")
                (folder / f"{name}2.pcap").write_bytes((PCAPS / "no-cameras.pcap").read_bytes())
                while not makers <= _makers(output):
                    assert process.poll() is None
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    report = json.loads(output.read_text(encoding="utf-8"))
    assert report["coverage"]["ended"] == "interrupted"
    assert len(report["coverage"]["captures"]) == 2


@pytest.mark.parametrize("options", [["--state", "x"], ["--snapshot-every", "1m"], ["--follow"]])
def test_following_is_for_folders(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What only makes sense together is a mistake alone: exit 2, with a word why."""
    assert run(["replay", str(PCAPS / "dahua.pcap"), *options]) == 2
    assert "follow" in capsys.readouterr().err


def _makers(output: Path) -> set[str]:
    """The manufacturers in a report, if it is there yet."""
    if not output.exists():
        return set()
    return {device["manufacturer"] for device in json.loads(output.read_text(encoding="utf-8"))["devices"]}


def test_what_is_no_file_is_written_to_not_replaced(tmp_path: Path) -> None:
    """A pipe as --output gets the report and is a pipe still: /dev/null must stay what it is."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Opened for both ways, nobody waits for the other end; a small report fits its buffer.
    descriptor = os.open(pipe, os.O_RDWR)
    try:
        assert run(["replay", str(REPO / "pcaps" / "no-cameras.pcap"), "-f", "csv", "-o", str(pipe)]) == 0
        assert b"manufacturer" in os.read(descriptor, 65_536)
    finally:
        os.close(descriptor)
    assert pipe.is_fifo()

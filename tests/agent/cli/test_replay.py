"""Tests of ``camcensus replay``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent.capture.savefile import Frame, read_frames
from agent.cli.app import run
from agent.cli.keeping import keeping
from tests.places import REPO

PCAPS = REPO / "pcaps"
CAPTURES = sorted(PCAPS.glob("*.pcap"))


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


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_evidence_of_a_capture_gives_the_same_verdicts(
    capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What --write keeps is fewer frames, and replaying them tells the same of the same hosts."""
    kept = tmp_path / "kept.pcapng"
    whole = report_on(capsys, capture, "--write", kept)
    assert verdicts(report_on(capsys, kept)) == verdicts(whole) == verdicts(report_on(capsys, capture))
    assert 0 < len(frames_of(kept)) < len(frames_of(capture))
    assert whole["coverage"]["evidence_frames"] == len(frames_of(kept))
    assert not list(tmp_path.glob(".*"))


def test_evidence_of_a_folder_gives_the_same_verdicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One file has the evidence of many captures, of those too that do nothing but send video."""
    kept, quiet = tmp_path / "kept.pcapng", tmp_path / "video.pcap"
    quiet.write_bytes(_pcap(_udp("10.9.9.9", b"\x80" + bytes(99), 6970, 50_000)))
    whole = report_on(capsys, *CAPTURES, quiet, "--write", kept)
    assert any("10.9.9.9" in device["addresses"] for device in whole["devices"])
    assert len(frames_of(kept)) > 256
    assert verdicts(report_on(capsys, kept)) == verdicts(whole)


def test_evidence_has_no_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A login of the capture is not in the file that --write makes, though the request is."""
    capture, kept = tmp_path / "capture.pcap", tmp_path / "kept.pcapng"
    login = b"GET / HTTP/1.1\r\nUser-Agent: viewer\r\nAuthorization: Basic YWRtaW46VG9wU2VjcmV0MQ==\r\n\r\n"
    capture.write_bytes(_pcap(_tcp(login, 50_000, 80)))
    report_on(capsys, capture, "--write", kept)
    assert b"User-Agent: viewer" in kept.read_bytes()
    assert b"YWRtaW46VG9wU2VjcmV0MQ==" not in kept.read_bytes()


@pytest.mark.parametrize("options", [["--follow"], ["--dask", "2"]])
def test_evidence_is_written_by_one_reader(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--write with what reads otherwise is a mistake: exit 2, a word why, and no file."""
    kept = tmp_path / "kept.pcapng"
    assert run(["replay", str(PCAPS), "--write", str(kept), *options]) == 2
    assert "--write" in capsys.readouterr().err
    assert not kept.exists()


@pytest.mark.parametrize("name", ["capture.pcap", "kept.pcapng"])
def test_evidence_never_replaces_what_is_read(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file to write that is the capture, or stands in the folder that is read, is a mistake: exit 2."""
    capture = tmp_path / "capture.pcap"
    shutil.copy(PCAPS / "dahua.pcap", capture)
    source = capture if name == capture.name else tmp_path
    assert run(["replay", str(source), "--write", str(tmp_path / name)]) == 2
    assert "among what is read" in capsys.readouterr().err
    assert capture.read_bytes() == (PCAPS / "dahua.pcap").read_bytes()
    assert list(tmp_path.iterdir()) == [capture]


def test_evidence_is_written_whole_or_not_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the disk is full the command fails with the file's name, instead of keeping half."""
    assert run(["replay", str(PCAPS / "dahua.pcap"), "--write", "/dev/full"]) == 1
    assert "/dev/full" in capsys.readouterr().err


def test_a_broken_off_replay_leaves_the_old_evidence(tmp_path: Path) -> None:
    """A file of an earlier run stays as it was until the new one is whole, and a failure leaves no part of one."""
    kept = tmp_path / "kept.pcapng"
    kept.write_bytes(b"of an earlier run")
    with pytest.raises(KeyboardInterrupt), keeping(kept, []):
        raise KeyboardInterrupt
    assert kept.read_bytes() == b"of an earlier run"
    assert list(tmp_path.iterdir()) == [kept]


def report_on(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    """The JSON report of a replay that goes well."""
    assert run(["replay", *map(str, words), "--format", "json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def verdicts(report: dict[str, Any]) -> list[tuple[object, ...]]:
    return [
        (row["macs"], row["addresses"], row["manufacturer"], row["model"], row["finding"], row["ports"])
        for row in report["devices"]
    ]


def frames_of(path: Path) -> list[Frame]:
    with path.open("rb") as stream:
        return list(read_frames(stream))


def _ip(source: str, protocol: int, data: bytes) -> bytes:
    """An Ethernet frame with an IPv4 packet, sums left out."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 1, 0, 64, protocol, 0)
    ends = socket.inet_aton(source) + socket.inet_aton("10.9.9.2")
    return bytes.fromhex("020000000002 020000000009 0800") + head + ends + data


def _udp(source: str, data: bytes, port: int, to: int) -> bytes:
    return _ip(source, 17, struct.pack("!HHHH", port, to, 8 + len(data), 0) + data)


def _tcp(data: bytes, port: int, to: int) -> bytes:
    return _ip("10.9.9.1", 6, struct.pack("!HHIIBBHHH", port, to, 1, 1, 0x50, 0x18, 8192, 0, 0) + data)


def _pcap(*frames: bytes) -> bytes:
    head = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    records = [struct.pack("<IIII", 1_700_000_000, 0, len(data), len(data)) + data for data in frames]
    return head + b"".join(records)

"""Tests of keeping evidence as pcapng."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.capture import Reading
from agent.capture.evidence import Evidence
from agent.capture.savefile import Frame, read_frames
from agent.census import Tally
from agent.cli.wiring import prepare
from agent.probes import ALL
from fingerprints.model import Report
from tests.places import REPO

CAPTURES = sorted((REPO / "pcaps").glob("*.pcap"))


class Kept(io.BytesIO):
    """A file whose bytes are still there after it was closed."""

    whole = b""

    def close(self) -> None:
        self.whole = self.getvalue()
        super().close()


def census() -> Tally:
    return prepare(None, None).tally()


def kept(frames: list[Frame], tally: Tally) -> list[Frame]:
    """The frames that are evidence, as read back from the file."""
    files: list[Kept] = []

    def opened() -> Kept:
        files.append(Kept())
        return files[-1]

    reading, evidence = Reading(ALL, "eth0"), Evidence(opened)
    for frame in frames:
        evidence.offer(frame, "eth0", [message for message in reading.frame(frame) if tally.feed(message)])
    evidence.finish("eth0", [message for message in reading.close() if tally.feed(message)])
    evidence.close()
    return list(read_frames(io.BytesIO(files[0].whole)))


def frames_of(path: Path) -> list[Frame]:
    with path.open("rb") as stream:
        return list(read_frames(stream))


def verdicts(report: Report) -> list[tuple[object, ...]]:
    return [
        (row.id, row.verdict.manufacturer, row.verdict.level, row.finding, row.ports)
        for row in report.devices
    ]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_evidence_gives_the_same_verdicts(capture: Path) -> None:
    """What is kept of a capture leads to the verdicts of the whole, and is a part of its frames as they were."""
    whole, again = census(), census()
    frames = frames_of(capture)
    found = kept(frames, whole)
    assert {frame.data for frame in found} <= {frame.data for frame in frames}
    assert len(found) <= len(frames)
    kept(found, again)
    assert verdicts(again.report()) == verdicts(whole.report())


def test_what_says_nothing_new_is_not_kept() -> None:
    """The second time the same is said, none of it is evidence."""
    tally = census()
    frames = frames_of(REPO / "pcaps" / "announcements.pcap")
    reading, out = Reading(ALL, "eth0"), Kept()
    evidence = Evidence(lambda: out)
    for _ in range(2):
        before = evidence.written
        for frame in frames:
            evidence.offer(
                frame, "eth0", [message for message in reading.frame(frame) if tally.feed(message)]
            )
    assert 0 < before == evidence.written


def test_times_and_lengths_are_kept() -> None:
    """A frame keeps its time to the microsecond, its length on the wire and its link type."""
    frames = frames_of(REPO / "pcaps" / "announcements.pcap")
    frame = next(frame for frame in frames if b"NOTIFY * HTTP" in frame.data)
    longer = Frame(1_767_225_600.123456, 1, frame.data, 9_000, 1, 0)
    (found,) = kept([longer], census())
    assert found.at == pytest.approx(longer.at, abs=1e-6)
    assert (found.length, found.link_type, found.data) == (9_000, 1, frame.data)


def test_a_new_file_is_whole(tmp_path: Path) -> None:
    """After `reopen` the next file begins with its own interfaces, so each can be read alone."""
    path = tmp_path / "evidence.pcapng"
    evidence = Evidence(lambda: path.open("wb"))
    tally, reading = census(), Reading(ALL, "eth0")
    frames = frames_of(REPO / "pcaps" / "announcements.pcap")
    for number, frame in enumerate(frames):
        if number == len(frames) // 4:
            # Later frames say again what the first ones said.
            path.rename(tmp_path / "first.pcapng")
            evidence.reopen()
        evidence.offer(frame, "eth0", [message for message in reading.frame(frame) if tally.feed(message)])
    evidence.close()
    assert frames_of(tmp_path / "first.pcapng")
    assert frames_of(path)


def test_comments_are_read_by_others(tmp_path: Path) -> None:
    """A frame's comment says which protocol it was and who spoke, as tshark shows it."""
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    path = tmp_path / "evidence.pcapng"
    evidence = Evidence(lambda: path.open("wb"))
    tally, reading = census(), Reading(ALL, "eth0")
    for frame in frames_of(REPO / "pcaps" / "multicast-round.pcap"):
        evidence.offer(frame, "eth0", [message for message in reading.frame(frame) if tally.feed(message)])
    evidence.close()
    argv = [
        tshark,
        "-n",
        "-r",
        str(path),
        "-T",
        "fields",
        "-e",
        "frame.comment",
        "-e",
        "frame.interface_name",
    ]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "sadp from 10.77.0." in told
    assert "eth0" in told


def test_memory_is_bounded() -> None:
    """A thousand connections that never end and tell nothing hold no more than the bound."""
    evidence = Evidence(io.BytesIO)
    (segment,) = [
        frame for frame in frames_of(REPO / "pcaps" / "hikvision.pcap") if b"HTTP/1.1 401" in frame.data
    ][:1]
    for number in range(3_000):
        data = segment.data[:34] + number.to_bytes(2) + segment.data[36:]
        evidence.offer(segment._replace(data=data), "eth0", [])
    assert len(evidence._held) <= 1_024
    assert evidence._size == sum(held.size for held in evidence._held.values())
    assert evidence.written == 0

"""Tests of taking up rotated captures."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from agent.capture.following import SETTLED, Following
from fingerprints.model import Problem
from tests.places import REPO

CAPTURE = REPO / "pcaps" / "hikvision.pcap"


def put(folder: Path, name: str, age: float) -> Path:
    """A capture in `folder` that was changed `age` seconds ago."""
    path = folder / name
    shutil.copyfile(CAPTURE, path)
    when = 1_700_000_000 - age
    os.utime(path, (when, when))
    return path


def names(following: Following, now: float) -> list[str]:
    """The captures that are finished, by name."""
    return [Path(source.name).name for source in following.finished(now)]


def following(folder: Path, problems: list[Problem] | None = None, state: Path | None = None) -> Following:
    """The folder, followed."""
    return Following([folder], ([] if problems is None else problems).append, state)


def test_a_capture_with_a_successor_is_taken_once(tmp_path: Path) -> None:
    """The older ones of a family at once, in the order of time; the last only when it has settled."""
    put(tmp_path, "trunk-3.pcap", 10)
    put(tmp_path, "trunk-1.pcap", 30)
    put(tmp_path, "trunk-2.pcap", 20)
    folder = following(tmp_path)
    assert names(folder, 0) == ["trunk-1.pcap", "trunk-2.pcap"]
    assert names(folder, SETTLED - 1) == []
    assert names(folder, SETTLED) == ["trunk-3.pcap"]
    assert names(folder, SETTLED * 2) == []


def test_another_family_is_no_successor(tmp_path: Path) -> None:
    """Two captures that are written side by side do not end each other."""
    put(tmp_path, "east-1.pcap", 10)
    put(tmp_path, "west-1.pcap", 20)
    assert names(following(tmp_path), 0) == []


def test_what_still_grows_waits(tmp_path: Path) -> None:
    """Each change begins the wait anew; a capture that grows after it was read is read again."""
    path = put(tmp_path, "x.pcap", 10)
    folder = following(tmp_path)
    assert names(folder, 0) == []
    put(tmp_path, "x.pcap", 5)
    assert names(folder, SETTLED) == []
    assert names(folder, SETTLED * 2) == ["x.pcap"]
    with path.open("ab") as out:
        out.write(b"\0")
    assert names(folder, SETTLED * 3) == []
    assert names(folder, SETTLED * 4) == ["x.pcap"]


def test_across_restarts(tmp_path: Path) -> None:
    """With a state file, what an earlier run read is not read again; what it did not finish is."""
    state = tmp_path / "state.json"
    folder = tmp_path / "captures"
    folder.mkdir()
    for number in range(4):
        put(folder, f"x{number}.pcap", 40 - number)
    first = following(folder, state=state).finished(0)
    assert Path(next(first).name).name == "x0.pcap"
    assert Path(next(first).name).name == "x1.pcap"
    del first
    again = following(folder, state=state)
    assert again.read_before == 1
    assert names(again, 0) == ["x1.pcap", "x2.pcap"]


def test_a_state_file_that_is_none(tmp_path: Path) -> None:
    """A file that holds something else is named, never overwritten."""
    state = tmp_path / "notes.txt"
    state.write_text("shopping list")
    with pytest.raises(ValueError, match=r"notes\.txt"):
        following(tmp_path, state=state)
    assert state.read_text() == "shopping list"


def test_what_is_no_capture(tmp_path: Path) -> None:
    """Other files are passed over, an empty one waits; one that is called a capture and is none is told once."""
    (tmp_path / "notes.txt").write_text("x" * 100)
    (tmp_path / "empty.pcap").touch()
    (tmp_path / "broken.pcap").write_text("x" * 100)
    problems: list[Problem] = []
    folder = following(tmp_path, problems)
    for number in range(3):
        assert names(folder, SETTLED * number) == []
    assert [problem.what for problem in problems] == ["is neither pcap nor pcapng"]


def test_tcpdumps_ring_is_read_again(tmp_path: Path) -> None:
    """A name that holds another capture after the ring came round is another capture."""
    for number, age in ((0, 20), (1, 10)):
        put(tmp_path, f"ring.pcap{number}", age)
    folder = following(tmp_path)
    assert names(folder, 0) == ["ring.pcap0"]
    put(tmp_path, "ring.pcap0", 5)
    assert names(folder, 1) == ["ring.pcap1"]

"""Captures are found wherever the user points; what is none is named."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from agent.capture.sources import find_captures
from fingerprints.model import Problem
from tests.places import REPO

PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1) + struct.pack("<IIII", 1, 0, 3, 3) + b"abc"


def found(*names: Path | str) -> tuple[list[str], list[Problem]]:
    """File names of the captures under `names`, with the Problems."""
    problems: list[Problem] = []
    sources = list(find_captures([str(name) for name in names], problems.append))
    return [Path(source.name).name for source in sources], problems


def test_folders_are_searched_once(tmp_path: Path) -> None:
    """Folders in order, by name or first bytes; links in circles and the same file twice do no harm."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.pcap").write_bytes(PCAP)
    (tmp_path / "a-one").write_bytes(PCAP)
    (tmp_path / "notes.txt").write_text("no capture", encoding="utf-8")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    (tmp_path / "same.pcap").symlink_to(tmp_path / "a-one")
    assert found(tmp_path, tmp_path / "a-one") == (["a-one", "two.pcap"], [])


def test_gzip_is_known_by_its_bytes(tmp_path: Path) -> None:
    """A compressed capture under any name; one that is cut is a Problem with its file."""
    (tmp_path / "x.bin").write_bytes(gzip.compress(PCAP))
    (tmp_path / "cut.pcap.gz").write_bytes(gzip.compress(PCAP)[:12])
    names, problems = found(tmp_path / "x.bin", tmp_path / "cut.pcap.gz")
    assert names == ["x.bin"]
    assert "cut.pcap.gz@0" in problems[0].where


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid x", "git-lfs pointer"),
        (b"snoop\0\0\0\0\0\0\2", "snoop"),
        (b"hello", "neither pcap nor pcapng"),
    ],
)
def test_what_is_no_capture_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    """A file that was asked for by name is told about; the offset is the first byte."""
    path = tmp_path / "x.pcap"
    path.write_bytes(content)
    names, (problem,) = found(path)
    assert names == []
    assert says in problem.what
    assert problem.where == f"{path}@0"


def test_pipes_and_missing_files_are_refused(tmp_path: Path) -> None:
    """A named pipe would block; a missing file is said to be missing."""
    os.mkfifo(tmp_path / "pipe")
    names, problems = found(tmp_path / "pipe", tmp_path / "missing.pcap")
    assert names == []
    assert [problem.kind for problem in problems] == ["unreadable", "unreadable"]
    assert "standard input" in problems[0].what


@pytest.mark.parametrize("compress", [False, True])
def test_standard_input(compress: bool) -> None:
    """A capture on standard input, compressed or not."""
    program = (
        "import sys; sys.path.insert(0, '.')\n"
        "from agent.capture import Replay, find_captures\n"
        "for source in find_captures(['-'], print):\n"
        "    capture = Replay(source, ()); list(capture); print(capture.stats.frames, capture.problems)"
    )
    data = gzip.compress(PCAP) if compress else PCAP
    done = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, cwd=REPO, check=True
    )
    assert done.stdout.decode().strip() == "1 []"

"""Captures are found wherever the user points; what is none is named."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from agent.capture import Replay, find_captures
from agent.probes import ALL
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


def test_names_that_cannot_be_looked_up_are_told() -> None:
    """A name that the system refuses is a Problem like a missing file."""
    names, (problem,) = found("x" * 300)
    assert names == []
    assert problem.kind == "unreadable"


def test_a_terminal_is_no_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input at a real terminal is refused rather than waited for."""
    controller, terminal = os.openpty()
    with os.fdopen(controller, "rb", buffering=0), os.fdopen(terminal, encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        names, (problem,) = found("-")
    assert names == []
    assert (problem.where, problem.kind) == ("-", "usage")


def test_pipes_inside_a_folder_are_passed_over(tmp_path: Path) -> None:
    """A named pipe among captures neither blocks nor hides them; one with a capture's name is told."""
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.pcap")
    (tmp_path / "z.pcap").write_bytes(PCAP)
    names, (problem,) = found(tmp_path)
    assert names == ["z.pcap"]
    assert problem.where == str(tmp_path / "pipe.pcap")


def piped(data: bytes) -> list[str]:
    """Frames read and the kinds of Problems, of a capture on another process's standard input."""
    program = (
        "from agent.capture import Replay, find_captures\n"
        "for source in find_captures(['-'], print):\n"
        "    capture = Replay(source, ()); list(capture)\n"
        "    print(capture.stats.frames, *(problem.kind for problem in capture.problems))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, cwd=REPO, check=True
    )
    return done.stdout.decode().split()


def test_standard_input_in_several_members() -> None:
    """Compressors that work in parallel write members one behind the other: all are read."""
    members = b"".join(gzip.compress(PCAP[at : at + 9]) for at in range(0, len(PCAP), 9))
    assert piped(members + bytes(512)) == ["1"]


def test_standard_input_cut_between_frames() -> None:
    """A compressed stream that ends too early is told, even where the frames so far are whole."""
    frame = struct.pack("<IIII", 2, 0, 4_000, 4_000) + os.urandom(4_000)
    deflater = zlib.compressobj(wbits=31)
    start = deflater.compress(PCAP) + deflater.flush(zlib.Z_SYNC_FLUSH)
    assert deflater.compress(frame) + deflater.flush()
    assert piped(start) == ["1", "truncated"]


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


def test_links_are_followed_and_never_in_circles(tmp_path: Path) -> None:
    """A link to a capture is that capture, read once; a link to nothing is told; a circle of links ends."""
    capture = REPO / "pcaps" / "dahua.pcap"
    (tmp_path / "one.pcap").symlink_to(capture)
    (tmp_path / "two.pcap").symlink_to(tmp_path / "one.pcap")
    (tmp_path / "gone.pcap").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "self.pcap").symlink_to(tmp_path / "self.pcap")
    problems: list[Problem] = []
    found = list(find_captures([str(tmp_path)], problems.append))
    assert [source.name for source in found] == [str(tmp_path / "one.pcap")]
    assert {Path(problem.where).name for problem in problems} == {"gone.pcap", "self.pcap"}


def test_a_file_that_grows_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """While somebody writes it, a capture gives the whole frames it has; later, all of them."""
    data = (REPO / "pcaps" / "hikvision.pcap").read_bytes()
    path = tmp_path / "growing.pcap"
    path.write_bytes(data[: len(data) // 2])
    capture = Replay(path, ALL)
    messages = iter(capture)
    first = next(messages)
    with path.open("ab") as stream:
        stream.write(data[len(data) // 2 :])
    assert first in list(Replay(path, ALL))
    # How much of the second half the first reader meets is a matter of its buffers.
    list(messages)
    assert all(problem.kind == "truncated" for problem in capture.problems)

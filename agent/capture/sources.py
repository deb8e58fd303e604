"""Finds captures among the files, folders and streams a user names."""

from __future__ import annotations

import gzip
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

from fingerprints.model import Problem

__all__ = ["Source", "find_captures", "looks_like_capture"]

STDIN: Final = "-"
_GZIP: Final = b"\x1f\x8b"
_MAGICS: Final = {
    b"\xa1\xb2\xc3\xd4": "pcap",
    b"\xd4\xc3\xb2\xa1": "pcap",
    b"\xa1\xb2\x3c\x4d": "pcap",
    b"\x4d\x3c\xb2\xa1": "pcap",
    b"\xa1\xb2\xcd\x34": "pcap",
    b"\x34\xcd\xb2\xa1": "pcap",
    b"\x0a\x0d\x0d\x0a": "pcapng",
}
_SUFFIXES: Final = (".pcap", ".pcapng", ".cap", ".dmp", ".ntar")
_OTHERS: Final = (
    (b"version https://git-lfs", "is a git-lfs pointer: the capture itself was not fetched"),
    (b"snoop\0\0\0", "is a Solaris snoop file: convert it with `editcap -F pcap`"),
)
_STREAM_BUFFER: Final = 1 << 18
_MAX_FILES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Source:
    """One capture to read: `path` is None for standard input. `kind` is ``pcap`` or ``pcapng``."""

    name: str
    path: Path | None
    kind: str = ""
    compressed: bool = False

    def open(self) -> BinaryIO:
        """The uncompressed bytes; raises OSError."""
        if self.path is None:
            return cast("BinaryIO", _Peeked(cast("BufferedReader", sys.stdin.buffer)))
        if self.compressed:
            return cast("BinaryIO", gzip.open(self.path, "rb"))
        return self.path.open("rb", buffering=_STREAM_BUFFER)


class _Peeked:
    """Standard input, decompressed where it starts like gzip; reads only.

    One call of the system at a time: between two of them a Ctrl-C is noticed, and what a pipe
    holds is read without waiting for more.
    """

    def __init__(self, raw: BufferedReader) -> None:
        self._raw = raw
        self._held = raw.read1(2)
        if len(self._held) == 1:
            self._held += raw.read1(1)
        self._inflate = zlib.decompressobj(31) if self._held == _GZIP else None

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; empty at the end."""
        wanted = size if size >= 0 else 1 << 62
        while len(self._held) < wanted or self._inflate is not None:
            if self._inflate is not None:
                return self._read_inflated(wanted)
            more = self._raw.read1(min(wanted - len(self._held), _STREAM_BUFFER))
            if not more:
                break
            self._held += more
        found, self._held = self._held[:wanted], self._held[wanted:]
        return found

    def _read_inflated(self, wanted: int) -> bytes:
        """As `read`; raises EOFError where the compressed stream breaks or is cut."""
        assert self._inflate is not None  # noqa: S101 - told apart by the one caller
        found = b""
        while len(found) < wanted:
            data = self._held or self._raw.read1(_STREAM_BUFFER)
            self._held = b""
            if self._inflate.eof:
                # Members stand one behind the other (RFC 1952, 2.2), perhaps with zeros after the last.
                data = data.lstrip(b"\0")
                if data:
                    self._inflate = zlib.decompressobj(31)
            if not data:
                if found or self._inflate.eof:
                    break
                raise EOFError("the compressed stream is cut short")
            try:
                found += self._inflate.decompress(data, wanted - len(found))
            except zlib.error as error:
                raise EOFError(str(error)) from None
            self._held = self._inflate.unconsumed_tail or self._inflate.unused_data
        return found

    def close(self) -> None:
        """Standard input stays open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def find_captures(names: Iterable[str], problem: Callable[[Problem], None]) -> Iterator[Source]:
    """Every capture under `names`, in order; what cannot be read is told to `problem`.

    Folders give what looks like a capture by name or first bytes. A file named outright that
    is none is a Problem; inside a folder it is passed over.
    """
    seen: set[tuple[int, int]] = set()
    count = 0
    for name in names:
        if name == STDIN:
            if sys.stdin is None or sys.stdin.isatty():
                problem(Problem(STDIN, "standard input is a terminal: redirect a capture into it", "usage"))
                continue
            yield Source(STDIN, None)
            continue
        path = Path(name)
        for file, asked in _files(path, problem):
            count += 1
            if count > _MAX_FILES:
                problem(
                    Problem(name, f"holds more than {_MAX_FILES} files: the rest is not read", "oversize")
                )
                return
            source = _source(file, problem if asked else _nothing, seen)
            if source is not None:
                yield source


def looks_like_capture(name: str) -> bool:
    """Whether a file's name ends as those of captures do."""
    return name.lower().removesuffix(".gz").endswith(_SUFFIXES)


def _nothing(_: Problem) -> None:
    return None


def _files(path: Path, problem: Callable[[Problem], None]) -> Iterator[tuple[Path, bool]]:
    """Files under `path`, with whether the user must hear if one is no capture."""
    # Path.is_dir raises where a folder above may not be entered, or a name is too long.
    if not os.path.isdir(path):  # noqa: PTH112 - as said
        yield path, True
        return
    walked: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(
        path, followlinks=True, onerror=lambda error: problem(_unreadable(error))
    ):
        try:
            here = Path(folder).stat()
        except OSError as error:
            problem(_unreadable(error))
            folders.clear()
            continue
        if (here.st_dev, here.st_ino) in walked:
            folders.clear()
            continue
        walked.add((here.st_dev, here.st_ino))
        folders.sort()
        for file in sorted(files):
            yield Path(folder) / file, looks_like_capture(file)


def _unreadable(error: OSError) -> Problem:
    return Problem(str(error.filename), error.strerror or "cannot be read", "unreadable")


def _source(path: Path, problem: Callable[[Problem], None], seen: set[tuple[int, int]]) -> Source | None:
    """The capture in `path`, told by its first bytes; each file once, however it is reached."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            problem(Problem(str(path), "is not a regular file: give it on standard input", "unreadable"))
            return None
        with path.open("rb") as stream:
            start = stream.read(32)
        compressed = start.startswith(_GZIP)
        if compressed:
            try:
                with gzip.open(path) as stream:
                    start = stream.read(32)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                problem(Problem(f"{path}@0", f"is cut or broken gzip: {error}", "truncated"))
                return None
    except OSError as error:
        problem(Problem(str(path), error.strerror or "cannot be read", "unreadable"))
        return None
    if (status.st_dev, status.st_ino) in seen:
        return None
    kind = _MAGICS.get(start[:4])
    if kind is None:
        problem(Problem(f"{path}@0", _what_it_is(start, status.st_size), "unreadable"))
        return None
    seen.add((status.st_dev, status.st_ino))
    return Source(str(path), path, kind, compressed)


def _what_it_is(start: bytes, size: int) -> str:
    if size == 0:
        return "is empty"
    for magic, text in _OTHERS:
        if start.startswith(magic):
            return text
    return "is neither pcap nor pcapng"

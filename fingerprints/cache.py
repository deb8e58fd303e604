"""Keeps what was worked out from files in a folder of the user's, for as long as those files stay the same.

A value made of plain Python values (None, bool, int, float, str, bytes, tuple, list, dict) is
kept under a name with the identity of every file it came from; it is given back only while all
of them have the same path, size, inode and times. The change time is among them, which no
program can set: a file that was edited and given its old time back is noticed.

A kept file counts only if it belongs to this user, nobody else may write it, and its checksum is
right: the bytes go through `marshal`, which is no format for bytes of strangers. Whatever is
wrong with it, it is as if it were not there. Nothing here ever raises because of the folder.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import stat
import struct
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

__all__ = ["identity", "keep", "recall", "takes"]

_MAGIC: Final = b"camcens\x01"
_HEADER: Final = struct.Struct("<8sIII")
"""Magic, CRC-32 of all that follows, length of the identity, length of the value."""

_MOST: Final = 64 * 1024 * 1024
_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def identity(paths: Iterable[Path | str], *more: str | int) -> bytes | None:
    """What tells one state of these files from any other, with `more` and the Python that runs.

    None where a file cannot be looked at: then nothing can be kept.
    """
    files = []
    try:
        for path in paths:
            entry = os.stat(path)  # noqa: PTH116 - many files, and each microsecond is why this exists
            files.append((str(path), entry.st_size, entry.st_mtime_ns, entry.st_ctime_ns, entry.st_ino))
    except (OSError, ValueError):
        return None
    return marshal.dumps((sys.version, marshal.version, sys.byteorder, more, files))


def recall(folder: Path, name: str, state: bytes) -> Any:
    """The value that was kept under `name` for this very `state`; None where there is none to be trusted."""
    try:
        data = _read(folder, name)
    except OSError:
        return None
    if data is None or len(data) < _HEADER.size:
        return None
    magic, checksum, state_length, value_length = _HEADER.unpack_from(data)
    rest = memoryview(data)[_HEADER.size :]
    if (
        magic != _MAGIC
        or len(rest) != state_length + value_length
        or rest[:state_length] != state
        or zlib.crc32(rest) != checksum
    ):
        return None
    try:
        return marshal.loads(rest[state_length:])  # noqa: S302 - our own file, see the top
    except (EOFError, ValueError, TypeError):
        return None


def takes(folder: Path) -> bool:
    """Whether it is worth making something to keep there: False where it can be told that it would be lost."""
    try:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        return (
            there.is_dir()
            and os.access(there, os.W_OK | os.X_OK)
            and (there != folder or _is_ours(folder.stat()))
        )
    except OSError:
        return False


def keep(folder: Path, name: str, state: bytes, value: Any) -> None:
    """Keep `value` under `name`, in place of what was there; it appears whole or not at all."""
    encoded = marshal.dumps(value)
    rest = state + encoded
    header = _HEADER.pack(_MAGIC, zlib.crc32(rest), len(state), len(encoded))
    part = folder / f".{name}.{os.urandom(6).hex()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(folder.stat()):
            return
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as out:  # noqa: PTH123 - a descriptor, not a path
                out.write(header + rest)
            part.replace(folder / name)
        finally:
            part.unlink(missing_ok=True)


def _read(folder: Path, name: str) -> bytes | None:
    """The bytes of a kept file that nobody but us can have written; raises OSError."""
    # Not to follow links, nor to wait for the writer of a pipe.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(folder / name, flags), "rb", buffering=0) as kept:  # noqa: PTH123 - a descriptor
        entry = os.fstat(kept.fileno())
        if not stat.S_ISREG(entry.st_mode) or not _is_ours(entry) or entry.st_size > _MOST:
            return None
        return kept.read(entry.st_size)


def _is_ours(entry: os.stat_result) -> bool:
    return entry.st_uid == os.geteuid() and not entry.st_mode & _OTHERS_MAY_WRITE

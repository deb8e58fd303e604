"""Takes up the captures of rotating folders as they are finished, each once.

A capture is finished when a later one of its family stands beside it (names that differ in
their digits alone, as tcpdump, dumpcap and netsniff-ng rotate them), or when it has not changed for
a while. One that changes after it was read is read again: nothing that was said may be missed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.capture.sources import Source, find_captures
from fingerprints.model import Problem

__all__ = ["Following"]

SETTLED: Final = 30.0
"""Seconds without a change after which a capture without a successor counts as finished."""
_CAPTURE: Final = re.compile(r"\.(?:pcap|pcapng|cap|dmp|ntar)[.\d_-]*(?:\.gz)?$", re.IGNORECASE)
_DIGITS: Final = re.compile(r"\d+")
_MAX_FILES: Final = 100_000
_MAX_STATE: Final = 64 * 1024 * 1024

_Mark = tuple[int, int]
"""Length and time of the last change: another mark is another capture, whatever its name."""


@dataclass(slots=True)
class _Seen:
    mark: _Mark
    since: float


class Following:
    """The captures under `folders`; those that `state` names were read in an earlier run.

    `state` is a file that is written anew after each capture. Raises OSError where it cannot be
    read, ValueError where it is no such file.
    """

    def __init__(
        self,
        folders: Iterable[Path],
        problem: Callable[[Problem], None],
        state: Path | None = None,
        settled: float = SETTLED,
    ) -> None:
        self._folders = tuple(folders)
        self._problem = problem
        self._state = state
        self._settled = settled
        self._waiting: dict[str, _Seen] = {}
        self._read: dict[str, _Mark] = _load(state)
        self.read_before = len(self._read)

    def finished(self, now: float) -> Iterator[Source]:
        """The captures that are finished and not read yet, the oldest first; `now` in seconds of any clock.

        Whoever takes the next one, or ends the iteration, has read the one before.
        """
        for path, mark in self._ready(now):
            yield from find_captures([path], self._problem)
            self._waiting.pop(path, None)
            self._read[path] = mark
            self._save()

    def _ready(self, now: float) -> list[tuple[str, _Mark]]:
        found = self._files()
        # What was deleted needs no memory: a ring of files would fill it.
        for table in (self._waiting, self._read):
            for path in [path for path in table if path not in found]:
                del table[path]
        newest: dict[tuple[str, str], int] = {}
        for path, (_, changed) in found.items():
            family = _family(path)
            newest[family] = max(changed, newest.get(family, 0))
        ready = []
        for path, mark in found.items():
            if self._read.get(path) == mark:
                continue
            seen = self._waiting.get(path)
            if seen is None or seen.mark != mark:
                seen = self._waiting[path] = _Seen(mark, now)
            if mark[1] < newest[_family(path)] or now - seen.since >= self._settled:
                ready.append((path, mark))
        return sorted(ready, key=lambda item: (item[1][1], item[0]))

    def _files(self) -> dict[str, _Mark]:
        """Every capture by name, with its mark."""
        found: dict[str, _Mark] = {}
        for top in self._folders:
            for folder, folders, names in os.walk(top, onerror=self._unreadable):
                folders.sort()
                for name in sorted(names):
                    if not _CAPTURE.search(name) or len(found) >= _MAX_FILES:
                        continue
                    path = Path(folder) / name
                    try:
                        status = path.stat()
                    except OSError:
                        # Rotated away since it was listed.
                        continue
                    if status.st_size:
                        found[str(path)] = (status.st_size, status.st_mtime_ns)
        return found

    def _unreadable(self, error: OSError) -> None:
        self._problem(Problem(str(error.filename), error.strerror or "cannot be read", "unreadable"))

    def _save(self) -> None:
        if self._state is None:
            return
        part = self._state.with_name(f".{self._state.name}.part")
        part.write_text(json.dumps(self._read), encoding="utf-8")
        part.replace(self._state)


def _load(state: Path | None) -> dict[str, _Mark]:
    if state is None or not state.exists():
        return {}
    if state.stat().st_size > _MAX_STATE:
        raise ValueError(f"{state}: too long for a list of captures that were read")
    try:
        table = json.loads(state.read_text(encoding="utf-8"))
        return {str(path): (int(size), int(changed)) for path, (size, changed) in table.items()}
    except (ValueError, TypeError, AttributeError):
        raise ValueError(f"{state}: is no list of captures that were read") from None


def _family(path: str) -> tuple[str, str]:
    folder, name = os.path.split(path)
    return folder, _DIGITS.sub("#", name)

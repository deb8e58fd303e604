"""Reads the tables that other tools keep: one file a format, listed in ALL, told apart by content."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Final, TextIO

from agent.importers import dnsmasq, isc_dhcpd, kea, masscan, nmap, pasted, zeek
from agent.importers.format import Format, Line, Unreadable
from agent.tables import Row
from fingerprints.model import Problem

__all__ = ["ALL", "MAX_LINE", "MAX_ROWS", "read_rows"]

ALL: Final[tuple[Format, ...]] = (
    nmap.NMAP_XML,
    masscan.MASSCAN_JSON,
    zeek.ZEEK_LOG,
    kea.KEA_LEASES,
    isc_dhcpd.ISC_LEASES,
    dnsmasq.DNSMASQ_LEASES,
    pasted.PASTED,
)
"""Every format in the order of being tried: pasted text takes what is left."""

MAX_LINE: Final = 64 * 1024
MAX_LINES: Final = 8_000_000
MAX_ROWS: Final = 1_000_000
_HEAD: Final = 200
"""Lines by which a format is told."""
_MAX_PROBLEMS: Final = 50


def read_rows(stream: TextIO, name: str) -> Iterator[Row | Problem]:
    """Every Row of a file, with a Problem for what cannot be used; `name` stands in both.

    Whatever is in the file: lines, rows and Problems are bounded, nothing is raised but OSError.
    """
    lines = _Lines(stream, name)
    head = list(itertools.islice(lines, _HEAD))
    text = "\n".join(line for _, line in head)
    found = next((form for form in ALL if form.mine(text)), None)
    if found is None:
        known = ", ".join(form.says for form in ALL)
        yield Problem(name, f"is none of the tables that can be read: {known}", "unread")
        return
    rows = problems = 0
    try:
        for item in found.read(itertools.chain(head, lines), name):
            if isinstance(item, Problem):
                problems += 1
                if problems <= _MAX_PROBLEMS:
                    yield item
                continue
            rows += 1
            if rows > MAX_ROWS:
                yield Problem(name, f"only the first {MAX_ROWS:,} rows are read", "oversize")
                break
            yield item
    except Unreadable as error:
        problems += 1
        yield Problem(f"{name}:{error.line}", f"{found.name}: {error}; the rest is not read", "malformed")
    if problems > _MAX_PROBLEMS:
        yield Problem(name, f"{problems - _MAX_PROBLEMS:,} more lines could not be used", "malformed")
    yield from lines.problems
    if not rows and not problems:
        yield Problem(name, f"holds no row, read as {found.says}", "unread")


class _Lines(Iterator[Line]):
    """Lines with their numbers, each and all of bounded length; what was cut is in `problems`."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._number = 0
        self.problems: deque[Problem] = deque(maxlen=_MAX_PROBLEMS)

    def __next__(self) -> Line:
        line = self._stream.readline(MAX_LINE + 1)
        if not line:
            raise StopIteration
        self._number += 1
        if self._number > MAX_LINES:
            self.problems.append(
                Problem(self._name, f"only the first {MAX_LINES:,} lines are read", "oversize")
            )
            raise StopIteration
        if len(line) > MAX_LINE and not line.endswith("\n"):
            what = f"is longer than {MAX_LINE} characters; the rest of it is not read"
            self.problems.append(Problem(f"{self._name}:{self._number}", what, "oversize"))
            self._skip()
        return self._number, line.rstrip("\r\n")

    def _skip(self) -> None:
        while (rest := self._stream.readline(MAX_LINE)) and not rest.endswith("\n"):
            pass

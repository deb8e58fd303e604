"""Reads tables that others keep for a command, then tells the census what they say."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from agent.census import Tally
from agent.importers import read_rows
from agent.tables import Row
from agent.topology import placed
from fingerprints.model import Problem

__all__ = ["WithOption", "read_tables", "tell_tables"]

_STDIN: Final = "-"
_MAX_ROWS: Final = 1_000_000

WithOption = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        help="A table to take along: pasted MAC or ARP table, DHCP leases, nmap XML, ...; repeatable.",
    ),
]


def read_tables(files: Sequence[str], problem: Callable[[Problem], None]) -> list[Row]:
    """Every row of these files, folders and ``-``; what cannot be used is told to `problem`."""
    rows: list[Row] = []
    for name in files:
        for path in _expand(name):
            for item in _items(path, problem):
                if isinstance(item, Problem):
                    problem(item)
                elif len(rows) < _MAX_ROWS:
                    rows.append(item)
                else:
                    problem(Problem(path, f"only {_MAX_ROWS:,} rows are kept of all files", "oversize"))
                    return rows
    return rows


def tell_tables(
    tally: Tally, rows: Iterable[Row], wanted: Callable[[str], bool] | None = None
) -> dict[str, Any]:
    """Tell a census what rows say, each MAC with its one switch port; what was taken, JSON-shaped.

    With the scope of a scan (`wanted`), hosts whose addresses are all outside it are left out.
    """
    kept = list(rows)
    addresses: dict[str, set[str]] = {}
    for row in kept:
        if row.mac is not None and row.ip is not None:
            addresses.setdefault(row.mac, set()).add(row.ip)
    outside = 0
    taken: Counter[str] = Counter()
    for row in placed(kept):
        known = {row.ip} if row.ip is not None else addresses.get(row.mac or "", set())
        if wanted is not None and known and not any(ip is not None and wanted(ip) for ip in known):
            outside += 1
            continue
        tally.tell(row)
        taken[row.table] += 1
    return {
        "rows": len(kept),
        "taken": dict(sorted(taken.items())),
        **({"out_of_scope": outside} if wanted is not None else {}),
        "sources": sorted({row.via for row in kept})[:256],
    }


def _expand(name: str) -> list[str]:
    path = Path(name)
    if name != _STDIN and path.is_dir():
        return [
            str(file) for file in sorted(path.rglob("*")) if file.is_file() and not file.name.startswith(".")
        ]
    return [name]


def _items(path: str, problem: Callable[[Problem], None]) -> Iterator[Row | Problem]:
    if path == _STDIN:
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
        yield from read_rows(sys.stdin, path)
        return
    try:
        with Path(path).open(encoding="utf-8", errors="replace", newline="") as stream:
            yield from read_rows(stream, path)
    except OSError as error:
        problem(Problem(path, f"cannot be read: {error.strerror or error}", "unreadable"))

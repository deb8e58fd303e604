"""The ledger of an agent: which scan began when, how it ended, which reports wait to be put out.

An SQLite file in the agent's folder. What it says survives a kill at any moment: a run that was
begun and not ended is one to go on with.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Ledger", "LedgerError", "Run"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS run(
    id TEXT PRIMARY KEY, scope TEXT NOT NULL, site TEXT NOT NULL, why TEXT NOT NULL,
    begun REAL NOT NULL, pieces INTEGER NOT NULL DEFAULT 0, ended REAL, outcome TEXT NOT NULL DEFAULT '',
    word TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS run_scope ON run(scope, begun);
CREATE TABLE IF NOT EXISTS said(name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_KEEP: Final = 20_000


class LedgerError(Exception):
    """The ledger cannot be read or written; the text names the file."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a scope. `pieces` counts the partial reports that it gave; `ended` None: it is not done."""

    id: str
    scope: str
    site: str
    why: str
    begun: float
    pieces: int
    ended: float | None
    outcome: str
    word: str


class Ledger:
    """What was done. Safe for threads and processes; raises LedgerError."""

    def __init__(self, path: Path) -> None:
        """Open the file, made for its owner alone where it is not there."""
        self._path = path
        self._lock = threading.Lock()
        with self._named():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
            self._base = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def begin(self, run: str, scope: str, site: str, why: str, now: float) -> None:
        """A run begins."""
        with self._writing() as base:
            base.execute(
                "INSERT INTO run(id, scope, site, why, begun) VALUES (?, ?, ?, ?, ?)",
                (run, scope, site, why, now),
            )
            base.execute(
                "DELETE FROM run WHERE ended IS NOT NULL AND id IN"
                " (SELECT id FROM run ORDER BY begun DESC LIMIT -1 OFFSET ?)",
                (_KEEP,),
            )

    def piece(self, run: str) -> int:
        """A run that is not done gives what it has: the number of this piece."""
        with self._writing() as base:
            base.execute("UPDATE run SET pieces = pieces + 1 WHERE id = ?", (run,))
            found = base.execute("SELECT pieces FROM run WHERE id = ?", (run,)).fetchone()
        return int(found[0]) if found else 1

    def end(self, run: str, outcome: str, word: str, now: float) -> None:
        """A run is over: ``done``, ``incomplete``, ``failed``, ``given up``; `word` says more."""
        with self._writing() as base:
            base.execute(
                "UPDATE run SET ended = ?, outcome = ?, word = ? WHERE id = ?",
                (now, outcome, word[:2_000], run),
            )

    def unfinished(self, scope: str) -> Run | None:
        """The run of a scope that was begun last, if it was not ended."""
        found = self.last(scope)
        return found if found is not None and found.ended is None else None

    def last(self, scope: str, outcome: str | None = None) -> Run | None:
        """The run of a scope that was begun last, of all or of those with an outcome."""
        rows = self._rows(
            "WHERE scope = ? AND (? IS NULL OR outcome = ?) ORDER BY rowid DESC LIMIT 1",
            (scope, outcome, outcome),
        )
        return rows[0] if rows else None

    def run(self, run: str) -> Run | None:
        """The run of an id."""
        rows = self._rows("WHERE id = ?", (run,))
        return rows[0] if rows else None

    def say(self, name: str, value: str) -> None:
        """Keep one word for the next start."""
        with self._writing() as base:
            base.execute("INSERT OR REPLACE INTO said VALUES (?, ?)", (name, value))

    def said(self, name: str) -> str:
        """What was kept under a name; empty where nothing was."""
        with self._lock, self._named():
            found = self._base.execute("SELECT value FROM said WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else ""

    def _rows(self, where: str, values: tuple[object, ...]) -> list[Run]:
        columns = "id, scope, site, why, begun, pieces, ended, outcome, word"
        with self._lock, self._named():
            rows = self._base.execute(f"SELECT {columns} FROM run {where}", values).fetchall()  # noqa: S608 - words of ours
        return [Run(*row) for row in rows]

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(f"{self._path}: {error}") from None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._named():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")

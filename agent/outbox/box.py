"""The outbox: reports on disk, part by part, until the inventory has acknowledged each.

An SQLite file (WAL, every commit on the disk before it counts). When it is full, the oldest
unchanged sightings go first: what changed is kept, as a report of its own that says it is not the
whole. Changes go only when nothing else is left. Whatever goes is counted, told in `status`, and
told to the inventory with the next report.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.outbox.parts import DEVICES, changes_of, parts_of, unpacked
from exchange.parcel import MAX_PARTS, Parcel, Receipt

__all__ = ["Limits", "Outbox", "OutboxError", "Status", "Waiting"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS report(
    id TEXT PRIMARY KEY, site TEXT NOT NULL, made REAL NOT NULL, parts INTEGER NOT NULL, done REAL);
CREATE TABLE IF NOT EXISTS part(
    report TEXT NOT NULL, number INTEGER NOT NULL, site TEXT NOT NULL, made REAL NOT NULL,
    body BLOB NOT NULL, size INTEGER NOT NULL, devices INTEGER NOT NULL, changed TEXT NOT NULL,
    trimmed INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0, next REAL NOT NULL DEFAULT 0, why TEXT NOT NULL DEFAULT '',
    PRIMARY KEY(report, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS part_made ON part(made, report, number);
CREATE TABLE IF NOT EXISTS aside(
    report TEXT NOT NULL, number INTEGER NOT NULL, site TEXT NOT NULL, at REAL NOT NULL,
    why TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY(report, number));
CREATE TABLE IF NOT EXISTS refusal(at REAL NOT NULL, report TEXT NOT NULL, device TEXT NOT NULL, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lost(at REAL NOT NULL, report TEXT NOT NULL, site TEXT NOT NULL,
    unchanged INTEGER NOT NULL, changed INTEGER NOT NULL, why TEXT NOT NULL, told INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS digest(
    site TEXT NOT NULL, device TEXT NOT NULL, digest BLOB NOT NULL, at REAL NOT NULL,
    PRIMARY KEY(site, device)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS setting(name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_BUSY_SECONDS: Final = 30
_DAY: Final = 86_400.0
_KEEP_DONE: Final = 10_000
_KEEP_ASIDE: Final = 1_000
_KEEP_WORDS: Final = 10_000
_FORGET_DAYS: Final = 800
_HALVED: Final = re.compile(r"~[0-9]+$")


class OutboxError(Exception):
    """The outbox cannot be read or written; the text names the file."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept: `size` in bytes of packed parts, `days` of age."""

    size: int = 2 * 1024**3
    days: float = 400.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A parcel that waits, with how often it was tried."""

    parcel: Parcel
    tries: int


@dataclass(frozen=True, slots=True)
class Status:
    """What is in the outbox: counts, sizes in bytes, ages in seconds."""

    reports: int
    parts: int
    size: int
    oldest: float | None
    aside: int
    lost_unchanged: int
    lost_changed: int
    refused: int
    why: str
    """Why the last try of the oldest part failed."""


class Outbox:
    """Reports that wait for the inventory. Safe for threads and processes; raises OutboxError."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        """Open the outbox in the file `path`, made for its owner alone where it is not there."""
        self._path = path
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        with self._named():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
            self._base = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def put(self, site: str, report: str, document: Mapping[str, Any], now: float | None = None) -> bool:
        """Keep a report, on the disk before this returns; False where one of this id was there before.

        The same id means the same report: whoever does not know whether it was kept puts it again.
        """
        now = time.time() if now is None else now
        with self._writing() as base:
            if base.execute("SELECT 1 FROM report WHERE id = ?", (report,)).fetchone():
                return False
            lost = base.execute(
                "SELECT sum(unchanged), sum(changed) FROM lost WHERE site = ? AND told = 0", (site,)
            )
            unchanged, changes = lost.fetchone()
            if unchanged or changes:
                document = _telling(document, unchanged, changes)
                base.execute("UPDATE lost SET told = 1 WHERE site = ?", (site,))
            self._keep(base, site, report, document, now, self._largest(base))
            self._make_room(base, now)
        return True

    def due(self, now: float | None = None, limit: int = 16) -> list[Waiting]:
        """Parcels that may be sent now, oldest report first."""
        now = time.time() if now is None else now
        with self._reading() as base:
            rows = base.execute(
                "SELECT p.site, p.report, p.number, r.parts, p.body, p.tries FROM part p"
                " JOIN report r ON r.id = p.report WHERE p.next <= ? ORDER BY p.made, p.report, p.number LIMIT ?",
                (now, limit),
            ).fetchall()
        return [Waiting(Parcel(*row[:5]), row[5]) for row in rows]

    def every(self) -> Iterator[Parcel]:
        """All that waits, whenever it is due, oldest first; for a bundle."""
        after: tuple[float, str, int] = (-1.0, "", 0)
        while True:
            with self._reading() as base:
                row = base.execute(
                    "SELECT p.site, p.report, p.number, r.parts, p.body, p.made FROM part p"
                    " JOIN report r ON r.id = p.report WHERE (p.made, p.report, p.number) > (?, ?, ?)"
                    " ORDER BY p.made, p.report, p.number LIMIT 1",
                    after,
                ).fetchone()
            if row is None:
                return
            yield Parcel(*row[:5])
            after = (row[5], row[1], row[2])

    def receive(self, receipt: Receipt, now: float | None = None) -> bool:
        """Take the inventory's word on a parcel; False where none of that name waits."""
        now = time.time() if now is None else now
        if not receipt.stored:
            return self.set_aside(receipt.report, receipt.part, receipt.reason, now)
        with self._writing() as base:
            gone = base.execute(
                "DELETE FROM part WHERE report = ? AND number = ? AND site = ?",
                (receipt.report, receipt.part, receipt.site),
            ).rowcount
            if gone:
                base.executemany(
                    "INSERT INTO refusal VALUES (?, ?, ?, ?)",
                    [(now, receipt.report, device, why) for device, why in receipt.refused],
                )
                _shorten(base, "refusal", _KEEP_WORDS)
                self._settle(base, receipt.report, now)
        return bool(gone)

    def later(self, parcel: Parcel, at: float, why: str) -> None:
        """Try this one again at the time `at`."""
        with self._writing() as base:
            base.execute(
                "UPDATE part SET tries = tries + 1, next = ?, why = ? WHERE report = ? AND number = ?",
                (at, why[:500], parcel.report, parcel.part),
            )

    def hold_no_longer(self, latest: float) -> None:
        """Nothing waits longer than until `latest`: after the clock was set back, or on a person's word."""
        with self._writing() as base:
            base.execute("UPDATE part SET next = min(next, ?) WHERE next > ?", (latest, latest))

    def set_aside(self, report: str, part: int, why: str, now: float | None = None) -> bool:
        """Never send this one again: the inventory cannot take it. It is kept, with the reason."""
        now = time.time() if now is None else now
        with self._writing() as base:
            moved = base.execute(
                "INSERT OR REPLACE INTO aside SELECT report, number, site, ?, ?, body FROM part"
                " WHERE report = ? AND number = ?",
                (now, why[:500], report, part),
            ).rowcount
            base.execute("DELETE FROM part WHERE report = ? AND number = ?", (report, part))
            _shorten(base, "aside", _KEEP_ASIDE)
            self._settle(base, report, now)
        return bool(moved)

    def smaller(self, parcel: Parcel, now: float | None = None) -> bool:
        """Cut what is left of a report into parts half as large, for the receiver found one too large.

        What was taken of it stays taken: the rest becomes a report of its own, which says that it is
        not the whole. Later reports are cut as small from the start. False where it cannot be smaller.
        """
        now = time.time() if now is None else now
        document = unpacked(parcel.body)
        size = len(document["devices"])
        if size < 2:
            return False
        with self._writing() as base:
            largest = min(size // 2, self._largest(base))
            base.execute("INSERT OR REPLACE INTO setting VALUES ('largest', ?)", (str(largest),))
            rows = base.execute(
                "SELECT body, made FROM part WHERE report = ? ORDER BY number", (parcel.report,)
            ).fetchall()
            (parts,) = base.execute("SELECT parts FROM report WHERE id = ?", (parcel.report,)).fetchone()
            devices = [device for body, _ in rows for device in unpacked(body)["devices"]]
            if len(rows) != parts:
                document["coverage"] = {**document.get("coverage", {}), "incomplete": True}
            base.execute("DELETE FROM part WHERE report = ?", (parcel.report,))
            self._settle(base, parcel.report, now)
            name = f"{_HALVED.sub('', parcel.report)}~{largest}"
            self._keep(base, parcel.site, name, {**document, "devices": devices}, rows[0][1], largest)
        return True

    def status(self, now: float | None = None) -> Status:
        """What waits, and what went wrong."""
        now = time.time() if now is None else now
        with self._reading() as base:
            reports, parts, size, oldest = base.execute(
                "SELECT count(DISTINCT report), count(*), coalesce(sum(size), 0), min(made) FROM part"
            ).fetchone()
            (aside,) = base.execute("SELECT count(*) FROM aside").fetchone()
            unchanged, changed = base.execute(
                "SELECT coalesce(sum(unchanged), 0), coalesce(sum(changed), 0) FROM lost"
            ).fetchone()
            (refused,) = base.execute("SELECT count(*) FROM refusal").fetchone()
            why = base.execute("SELECT why FROM part ORDER BY made, report, number LIMIT 1").fetchone()
        age = None if oldest is None else max(0.0, now - oldest)
        return Status(reports, parts, size, age, aside, unchanged, changed, refused, why[0] if why else "")

    def asides(self) -> list[dict[str, Any]]:
        """What was set aside, newest first, with the reasons."""
        with self._reading() as base:
            rows = base.execute("SELECT report, number, site, at, why FROM aside ORDER BY at DESC").fetchall()
        return [dict(zip(("report", "part", "site", "at", "why"), row, strict=True)) for row in rows]

    def _keep(
        self,
        base: sqlite3.Connection,
        site: str,
        report: str,
        document: Mapping[str, Any],
        now: float,
        largest: int,
    ) -> None:
        known = dict(base.execute("SELECT device, digest FROM digest WHERE site = ?", (site,)))
        number = 0
        for number, part in enumerate(parts_of(document, known, largest), 1):
            if number > MAX_PARTS:
                raise OutboxError(f"{self._path}: report {report} has more than {MAX_PARTS} parts")
            base.execute(
                "INSERT INTO part(report, number, site, made, body, size, devices, changed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    report,
                    number,
                    site,
                    now,
                    part.body,
                    len(part.body),
                    len(part.digests),
                    json.dumps(part.changed),
                ),
            )
            base.executemany(
                "INSERT OR REPLACE INTO digest VALUES (?, ?, ?, ?)",
                [(site, device, digest, now) for device, digest in part.digests.items()],
            )
        base.execute("INSERT INTO report VALUES (?, ?, ?, ?, NULL)", (report, site, now, number))
        base.execute("DELETE FROM digest WHERE at < ?", (now - _FORGET_DAYS * _DAY,))

    def _make_room(self, base: sqlite3.Connection, now: float) -> None:
        """Let go of what is too old, then of as much as is too much: unchanged sightings first."""
        old = base.execute(
            "SELECT report, number FROM part WHERE made < ?", (now - self._limits.days * _DAY,)
        ).fetchall()
        self._lose(base, old, now, "too old")
        self._trim(base, self._excess(base), now)
        excess = self._excess(base)
        going = []
        for report, number, part in base.execute(
            "SELECT report, number, size FROM part ORDER BY made, report, number"
        ):
            if excess <= 0:
                break
            going.append((report, number))
            excess -= part
        self._lose(base, going, now, "the outbox was full")

    def _excess(self, base: sqlite3.Connection) -> int:
        (size,) = base.execute("SELECT coalesce(sum(size), 0) FROM part").fetchone()
        return int(size) - self._limits.size

    def _trim(self, base: sqlite3.Connection, excess: int, now: float) -> None:
        """Let go of the oldest unchanged sightings until `excess` bytes are won, or none is left."""
        while excess > 0:
            row = base.execute(
                "SELECT report, number, site, made, body, size, devices, changed FROM part"
                " WHERE NOT trimmed ORDER BY made, report, number LIMIT 1"
            ).fetchone()
            if row is None:
                return
            report, number, site, made, body, size, devices, changed = row
            places = json.loads(changed)
            unchanged = devices - len(places)
            if unchanged == 0 and devices:
                base.execute("UPDATE part SET trimmed = 1 WHERE report = ? AND number = ?", (report, number))
                continue
            base.execute("DELETE FROM part WHERE report = ? AND number = ?", (report, number))
            self._settle(base, report, now)
            _count_lost(base, now, report, site, unchanged, 0, "the outbox was full")
            excess -= size
            if places:
                # The run that it was part of stays without it: what is not told of was not absent.
                name, kept = f"{report}~c{number}", changes_of(body, places)
                base.execute("INSERT OR IGNORE INTO report VALUES (?, ?, ?, 1, NULL)", (name, site, made))
                base.execute(
                    "INSERT INTO part(report, number, site, made, body, size, devices, changed, trimmed)"
                    " VALUES (?, 1, ?, ?, ?, ?, ?, ?, 1)",
                    (name, site, made, kept, len(kept), len(places), json.dumps(list(range(len(places))))),
                )
                excess += len(kept)

    def _lose(self, base: sqlite3.Connection, parts: Sequence[tuple[str, int]], now: float, why: str) -> None:
        for report, number in parts:
            site, made, devices, changed = base.execute(
                "SELECT site, made, devices, changed FROM part WHERE report = ? AND number = ?",
                (report, number),
            ).fetchone()
            changes = len(json.loads(changed))
            _count_lost(base, now, report, site, devices - changes, changes, why)
            base.execute("DELETE FROM part WHERE report = ? AND number = ?", (report, number))
            # What was never sent is no longer known there: it counts as new when it is seen again.
            base.execute("DELETE FROM digest WHERE site = ? AND at = ?", (site, made))
            self._settle(base, report, now)

    @staticmethod
    def _settle(base: sqlite3.Connection, report: str, now: float) -> None:
        """Mark a report of which nothing waits any more; its id is remembered, so that it never comes twice."""
        if base.execute("SELECT 1 FROM part WHERE report = ? LIMIT 1", (report,)).fetchone() is None:
            base.execute("UPDATE report SET done = ? WHERE id = ?", (now, report))
            base.execute(
                "DELETE FROM report WHERE id IN (SELECT id FROM report WHERE done IS NOT NULL"
                " ORDER BY done DESC LIMIT -1 OFFSET ?)",
                (_KEEP_DONE,),
            )

    @staticmethod
    def _largest(base: sqlite3.Connection) -> int:
        row = base.execute("SELECT value FROM setting WHERE name = 'largest'").fetchone()
        return int(row[0]) if row else DEVICES

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise OutboxError(f"{self._path}: {error}") from None

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._named():
            yield self._base

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it, or nothing."""
        with self._reading() as base:
            base.execute("BEGIN IMMEDIATE")
            try:
                yield base
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    base.execute("ROLLBACK")
                raise
            base.execute("COMMIT")


def _telling(document: Mapping[str, Any], unchanged: int, changes: int) -> dict[str, Any]:
    """The report with a Problem that says what was let go of since the last one."""
    problem = {
        "where": "outbox",
        "what": f"let go of before it could be sent: {unchanged} unchanged sightings, {changes} changed devices",
        "kind": "outbox-lost",
    }
    return {**document, "problems": [*document.get("problems", ()), problem]}


def _count_lost(
    base: sqlite3.Connection, now: float, report: str, site: str, unchanged: int, changed: int, why: str
) -> None:
    base.execute(
        "INSERT INTO lost(at, report, site, unchanged, changed, why) VALUES (?, ?, ?, ?, ?, ?)",
        (now, report, site, unchanged, changed, why),
    )
    _shorten(base, "lost", _KEEP_WORDS)


def _shorten(base: sqlite3.Connection, table: str, keep: int) -> None:
    base.execute(
        f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} ORDER BY at DESC LIMIT -1 OFFSET ?)",  # noqa: S608 - the name is ours
        (keep,),
    )

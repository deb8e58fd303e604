"""Keeps one line of changes for each device, whichever order reports come in.

Pure: it is told what is kept, and answers what to write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Change", "Interval", "late", "widen"]


@dataclass(slots=True)
class Interval:
    """A time in which a device was seen at one place; `id` None: not kept yet."""

    id: int | None
    first: datetime
    last: datetime


def widen(
    kept: Sequence[Interval], first: datetime, last: datetime, gap: timedelta
) -> tuple[Interval | None, list[int]]:
    """The interval to write for a sighting from `first` to `last`, with those that it swallows.

    None: what is kept says it already. Intervals no more than `gap` apart are one.
    """
    if len(kept) == 1 and first - gap <= kept[0].last and kept[0].first <= last + gap:
        (only,) = kept
        if only.first <= first and last <= only.last:
            return None, []
        return Interval(only.id, min(first, only.first), max(last, only.last)), []
    near = [row for row in kept if row.first - gap <= last and first <= row.last + gap]
    if not near:
        return Interval(None, first, last), []
    start, end = min(first, *(row.first for row in near)), max(last, *(row.last for row in near))
    keeper = near[0]
    if len(near) == 1 and (start, end) == (keeper.first, keeper.last):
        return None, []
    return Interval(keeper.id, start, end), [row.id for row in near[1:] if row.id is not None]


@dataclass(slots=True)
class Change:
    """What a late report adds to a history: at most one of the three."""

    insert: bool = False
    """Insert what the report says, at its time."""
    again: bool = False
    """Insert what is current once more, at the time it was last confirmed."""
    earlier: int | None = None
    """The row that was so from an earlier time on: its id."""


def late(history: Sequence[tuple[int, datetime, str]], at: datetime, digest: str) -> Change:
    """What to do with `digest` said at `at`, before the last word; `history` is of (id, since, digest)."""
    rows = sorted(history, key=lambda row: (row[1], row[0]))
    before = [row for row in rows if row[1] <= at]
    after = [row for row in rows if row[1] > at]
    if before and before[-1][2] == digest:
        return Change()
    if after and after[0][2] == digest:
        return Change(earlier=after[0][0])
    return Change(insert=True, again=not after)

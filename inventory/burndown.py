"""Counts how devices came down over time, from the daily sums of the steps of removal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal

from django.db import connection
from django.db.models import F, Func, Q, QuerySet, Sum, TextField, Value

from inventory.forecast import Forecast, forecast
from inventory.models import DailyStep, Organisation
from inventory.timeline import OPEN, STATES

__all__ = ["GROUPS", "Group", "Line", "Point", "Span", "lines"]

Group = Literal["", "organisation", "site", "sensitivity", "manufacturer"]
GROUPS: Final = ("", "organisation", "site", "sensitivity", "manufacturer")
Span = Literal["day", "week", "month"]
_COLUMNS: Final = {"site": "site__name", "sensitivity": "site__sensitivity", "manufacturer": "manufacturer"}


@dataclass(frozen=True, slots=True)
class Point:
    """How many devices were in each state at the end of a day."""

    day: date
    counts: Mapping[str, int]

    @property
    def open(self) -> int:
        """How many still count as hanging on a wall."""
        return sum(self.counts.get(state, 0) for state in OPEN)


@dataclass(frozen=True, slots=True)
class Line:
    """One burn-down: of everything, or of one group; `points` end with today."""

    name: str
    points: tuple[Point, ...]
    forecast: Forecast


def lines(
    sites: QuerySet[Any, Any] | frozenset[int] | None,
    today: date,
    by: Group = "",
    every: Span = "week",
    condition: Q | None = None,
    below: Organisation | None = None,
) -> list[Line]:
    """The burn-downs at `sites` (None: all), the one with most to do first.

    `condition` is on `DailyStep`. Grouped by organisation, those directly below `below` stand for all that
    is below them; without `below` it is those at the root.
    """
    rows = DailyStep.objects.filter(condition or Q(), day__lte=today)
    if sites is not None:
        rows = rows.filter(site__in=sites)
    if below is not None:
        rows = rows.filter(site__organisation__path__startswith=below.path)
    column = _COLUMNS.get(by)
    if by == "organisation":
        column, rows = "child", rows.annotate(child=_child(below))
    columns = ([column] if column else []) + ["day", "state"]
    changes: dict[str, dict[date, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for *group, day, state, change in rows.order_by().values_list(*columns).annotate(Sum("change")):
        name = str(group[0]) if group else ""
        changes[_key(name, below) if by == "organisation" else name][day][state] += change
    names = _names(changes) if by == "organisation" else {}
    found = [_line(names.get(key, key), days, today, every) for key, days in changes.items()]
    return sorted(found, key=lambda line: (-line.points[-1].open, line.name))


def _depth(below: Organisation | None) -> int:
    """Which piece of a path, parted by slashes, names an organisation directly below."""
    return below.path.count("/") if below is not None else 1


def _child(below: Organisation | None) -> F | Func:
    """The column that tells which organisation directly below a site belongs to; SQLite gives the whole path."""
    if connection.vendor == "postgresql":
        # A country has a thousand paths: the database adds up those that are one here.
        return Func(
            F("site__organisation__path"), Value("/"), Value(_depth(below) + 1),
            function="split_part", output_field=TextField(),
        )  # fmt: skip
    return F("site__organisation__path")


def _key(told: str, below: Organisation | None) -> str:
    """The id of the organisation that stands for a path, or for that piece of it; `below` for its own sites."""
    pieces = told.split("/")
    return (pieces[_depth(below)] if len(pieces) > 1 else told) or (
        str(below.pk) if below is not None else ""
    )


def _names(keys: Iterable[str]) -> dict[str, str]:
    found = Organisation.objects.filter(pk__in=[int(key) for key in keys if key])
    return {str(key): name for key, name in found.values_list("pk", "name")}


def _line(name: str, days: Mapping[date, Counter[str]], today: date, every: Span) -> Line:
    points, counts, at = [], Counter[str](), sorted(days)
    gone: Counter[date] = Counter()
    place = 0
    for end in _ends(at[0], today, every):
        while place < len(at) and at[place] <= end:
            counts.update(days[at[place]])
            gone[at[place]] += days[at[place]]["verified-gone"]
            place += 1
        points.append(Point(end, {state: counts[state] for state in STATES}))
    return Line(name, tuple(points), forecast(gone, at[0], points[-1].open, today))


def _ends(first: date, today: date, every: Span) -> list[date]:
    """The last days of the spans from `first` on; today is the last of all."""
    ends, day = [], min(first, today)
    while day < today:
        if every == "month":
            day = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        elif every == "week":
            day += timedelta(days=6 - day.weekday())
        if day < today:
            ends.append(day)
        day += timedelta(days=1)
    return [*ends, today]

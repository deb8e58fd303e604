"""Makes figures that may be published: sums alone, in which no small count can be read or worked out.

Counts below `fewest` are suppressed. Because totals are published too, what is suppressed could be
worked out by subtraction; so further counts are suppressed until nothing can: each line (a row or a
column with its total) hides two counts or none, those it hides add up to `fewest` or more, and no
combination of lines gives any of them away (the equations are solved, and no unknown has one
solution). All tables share their totals, and are made safe together. There are no addresses, no
names of devices or sites; organisations are named down to the level that is asked for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeVar

from django.db.models import QuerySet, Sum

from inventory.models import Organisation, SiteTally
from inventory.timeline import OPEN

__all__ = ["FEWEST", "MAX_LEVEL", "Publication", "Table", "publication", "suppressed"]

FEWEST: Final = 5
MAX_LEVEL: Final = 6
_OTHER: Final = "other"
_MAX_ROWS: Final = 100
_PRIME: Final = (1 << 61) - 1
_TOTAL: Final = "all"

K = TypeVar("K", bound=Hashable)
Key = tuple[str, str, str]
"""A count: its table, its row, its column. Those of the row of totals stand in the table ``""``."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: by what, and for each row its counts in the order of the columns; None: suppressed."""

    by: str
    rows: tuple[tuple[str, tuple[int | None, ...]], ...]


@dataclass(frozen=True, slots=True)
class Publication:
    """The figures of a day; the last row of each table is its total."""

    day: date
    fewest: int
    columns: tuple[str, ...]
    tables: tuple[Table, ...]


def publication(
    sites: QuerySet[Any, Any] | frozenset[int] | None, day: date, level: int = 1, fewest: int = FEWEST
) -> Publication:
    """The figures of today for `sites` (None: all), organisations named down to `level` (1: the roots)."""
    rows = SiteTally.objects.exclude(plan_state="")
    if sites is not None:
        rows = rows.filter(site__in=sites)
    summed = (
        rows.order_by()
        .values_list("site__organisation__path", "site__sensitivity", "manufacturer", "plan_state")
        .annotate(Sum("count"))
    )
    tables: dict[str, dict[str, Counter[str]]] = {
        by: defaultdict(Counter) for by in ("organisation", "sensitivity", "maker")
    }
    for path, sensitivity, maker, state, count in summed:
        part = "/".join(path.split("/")[: level + 1]).rstrip("/")
        for by, name in (("organisation", part), ("sensitivity", sensitivity), ("maker", maker or "unknown")):
            tables[by][name][_column(state)] += count
    tables["organisation"] = _named(tables["organisation"])
    return _published({by: _largest(found) for by, found in tables.items()}, day, fewest)


_PARTS: Final = ("to do", "under way", "verified gone", "exempt")
"""What adds up to ``all``."""


def _column(state: str) -> str:
    if state in {"scheduled", "removed"}:
        return "under way"
    return "to do" if state in OPEN else {"verified-gone": "verified gone"}.get(state, state)


def _named(rows: Mapping[str, Counter[str]]) -> dict[str, Counter[str]]:
    keys = {path: int(path.rpartition("/")[2]) for path in rows}
    names = dict(Organisation.objects.filter(pk__in=keys.values()).values_list("pk", "name"))
    twice = {name for name, count in Counter(names.values()).items() if count > 1}
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for path, counts in rows.items():
        name = names.get(keys[path], "")
        found[f"{name} ({keys[path]})" if name in twice else name].update(counts)
    return found


def _largest(rows: Mapping[str, Counter[str]]) -> dict[str, Counter[str]]:
    """The largest rows; all others are one row."""
    ordered = sorted(rows, key=lambda name: (-rows[name].total(), name))
    found = {name: rows[name] for name in sorted(ordered[:_MAX_ROWS])}
    for name in ordered[_MAX_ROWS:]:
        found[_OTHER] = found.get(_OTHER, Counter()) + rows[name]
    return found


def _published(tables: Mapping[str, Mapping[str, Counter[str]]], day: date, fewest: int) -> Publication:
    values: dict[Key, int] = {}
    lines: list[list[Key]] = []
    columns = (*_PARTS, _TOTAL)
    for by, rows in tables.items():
        for name, counts in rows.items():
            for column in columns:
                values[by, name, column] = counts.total() if column == _TOTAL else counts[column]
            lines.append([(by, name, column) for column in columns])
        for column in columns:
            total = ("", _TOTAL, column)
            values[total] = sum(values[by, name, column] for name in rows)
            lines.append([*((by, name, column) for name in rows), total])
    lines.append([("", _TOTAL, column) for column in columns])
    hidden = suppressed(values, lines, fewest)

    def shown(by: str, name: str) -> tuple[int | None, ...]:
        return tuple(None if (by, name, part) in hidden else values[by, name, part] for part in columns)

    found = tuple(
        Table(by, (*((name, shown(by, name)) for name in rows), (_TOTAL, shown("", _TOTAL))))
        for by, rows in tables.items()
    )
    return Publication(day, fewest, columns, found)


def suppressed(values: Mapping[K, int], lines: Sequence[Sequence[K]], fewest: int) -> frozenset[K]:
    """Which of `values` must not be told; the last of each of `lines` is the sum of those before it."""
    hidden = {key for key, value in values.items() if 0 < value < fewest}
    by_key: dict[K, list[Sequence[K]]] = defaultdict(list)
    for line in lines:
        for key in line:
            by_key[key].append(line)
    while True:
        weak = [line for line in lines if _tells(line, hidden, values, fewest)]
        weak += [line for key in _solved(lines, hidden) for line in by_key[key]]
        before = len(hidden)
        for line in weak:
            if (more := _next(line, hidden, values)) is not None:
                hidden.add(more)
        if len(hidden) == before:
            return frozenset(hidden)


def _tells(line: Sequence[K], hidden: set[K], values: Mapping[K, int], fewest: int) -> bool:
    """Whether a line gives away what it hides: one count, or some whose sum is small."""
    inside = [values[key] for key in line if key in hidden]
    parts = [values[key] for key in line[:-1] if key in hidden]
    return len(inside) == 1 or (len(parts) > 0 and line[-1] not in hidden and sum(parts) < fewest)


def _next(line: Sequence[K], hidden: set[K], values: Mapping[K, int]) -> K | None:
    """The count of a line to hide next: the smallest that is any, its total last; else a nought."""
    left = [key for key in line if key not in hidden]
    some = [key for key in left if values[key]]
    ordered = sorted(some or left, key=lambda key: (key == line[-1], values[key]))
    return ordered[0] if ordered else None


def _solved(lines: Sequence[Sequence[K]], hidden: set[K]) -> set[K]:
    """Those hidden counts that the equations of the lines determine, by elimination modulo a prime."""
    pivots: dict[K, dict[K, int]] = {}
    for line in lines:
        row = {key: 1 for key in line[:-1] if key in hidden}
        if line[-1] in hidden:
            row[line[-1]] = _PRIME - 1
        for key in [key for key in row if key in pivots]:
            if key in row:
                _subtract(row, pivots[key], row[key])
        if not row:
            continue
        pivot = next(iter(row))
        inverse = pow(row[pivot], -1, _PRIME)
        row = {key: value * inverse % _PRIME for key, value in row.items()}
        for other in pivots.values():
            if pivot in other:
                _subtract(other, row, other[pivot])
        pivots[pivot] = row
    return {pivot for pivot, row in pivots.items() if len(row) == 1}


def _subtract(row: dict[K, int], other: Mapping[K, int], times: int) -> None:
    for key, value in other.items():
        left = (row.get(key, 0) - times * value) % _PRIME
        if left:
            row[key] = left
        else:
            row.pop(key, None)

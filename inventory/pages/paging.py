"""Pages a list in any order by where the last page ended, so that each page costs the same."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

__all__ = ["Page", "page_of"]

_MOST_CURSOR: Final = 600


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list; `next` is the cursor of those that follow, or empty."""

    rows: list[Any]
    next: str
    first: bool
    """Whether nothing stands before them."""


def page_of(rows: QuerySet[Any], order: str, cursor: str, size: int) -> Page:
    """The page of `rows` after `cursor`, in the order of the column `order` (``-`` before it: downwards).

    A column's equal values are in the order of the rows' ids. A cursor that is none begins anew.
    """
    column, down = order.removeprefix("-"), order.startswith("-")
    sign = "-" if down else ""
    after = _after(rows, column, cursor, down=down)
    ordered = rows.order_by(f"{sign}{column}", *([] if column in {"pk", "id"} else [f"{sign}pk"]))
    try:
        found = list((ordered if after is None else ordered.filter(after))[: size + 1])
    except (ValidationError, ValueError, OverflowError):
        after = None
        found = list(ordered[: size + 1])
    more = len(found) > size
    return Page(found[:size], _cursor(found[size - 1], column) if more else "", after is None)


def _after(rows: QuerySet[Any], column: str, cursor: str, *, down: bool) -> Q | None:
    read = _read(cursor)
    if read is None:
        return None
    value, key = read
    side = "lt" if down else "gt"
    beyond = Q(**{f"pk__{side}": key})
    if column in {"pk", "id"}:
        return beyond
    try:
        # The first condition is what an index of the column can use.
        condition = Q(**{f"{column}__{side}e": value}) & (Q(**{f"{column}__{side}": value}) | beyond)
        rows.filter(condition)
    except (ValidationError, ValueError, TypeError):
        return None
    return condition


def _read(cursor: str) -> tuple[Any, int] | None:
    if not cursor or len(cursor) > _MOST_CURSOR:
        return None
    try:
        value, key = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return None
    if not isinstance(value, str | int | float | None) or (isinstance(value, str) and "\0" in value):
        return None
    if not isinstance(key, int) or isinstance(key, bool) or not 0 <= key < 2**63:
        return None
    return value, key


def _cursor(row: Model, column: str) -> str:
    value: Any = row
    for name in column.split("__"):
        value = getattr(value, name)
    if isinstance(value, datetime | date):
        value = value.isoformat()
    if column in {"pk", "id"}:
        value = None
    return base64.urlsafe_b64encode(json.dumps([value, row.pk]).encode()).decode()

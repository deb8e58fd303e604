"""Lists anything the inventory holds: filtered, in pages, with chosen fields, as JSON, NDJSON or CSV.

A list is in the order of its ids. A page ends with a cursor, which is where the next one begins;
so a page costs the same however far down it is, and none skips a row when others come in.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

from django.db.models import Model, Q, QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from ninja import Schema
from ninja.errors import HttpError
from pydantic import Field

from inventory.clean import formula_safe

__all__ = ["Listing", "PageQuery", "Reach", "answer", "selected"]

Reach = frozenset[int] | QuerySet[Any, Any] | None
"""The ids of the sites that may be read, or a query for them; None: all."""

_PIECE: Final = 2_000
_MAX_FIELDS: Final = 64


class PageQuery(Schema):
    """How a list is to be given out."""

    format: Literal["json", "ndjson", "csv"] = "json"
    fields: str = Field("", description="Names of fields, parted by commas; all where there are none.")
    cursor: int = Field(0, ge=0, lt=2**63, description="The `next` of the page before.")
    all: bool = Field(default=False, description="JSON gives all rows, too, instead of a page.")
    limit: int = Field(100, ge=1, le=1000, description="Rows of a page; NDJSON and CSV give all rows.")


@dataclass(frozen=True, slots=True)
class Listing:
    """One kind of rows: its table, where in it the site stands, its fields by name and column."""

    rows: Callable[[], QuerySet[Any]]
    site: str
    fields: Mapping[str, str]


def selected(listing: Listing, sites: Reach, condition: Q) -> QuerySet[Any]:
    """The rows at `sites` that `condition` leaves: what a program gets, and what a page shows."""
    rows = listing.rows().filter(condition)
    return rows if sites is None else rows.filter(**{f"{listing.site}__in": sites})


def answer(listing: Listing, sites: Reach, query: PageQuery, condition: Q) -> HttpResponseBase:
    """The rows at `sites` that `condition` leaves, as the client wants them."""
    names = _names(listing, query.fields)
    rows: QuerySet[Model] = selected(listing, sites, condition)
    columns = ["pk", *(listing.fields[name] for name in names)]
    if query.format == "json" and not query.all:
        found = list(rows.filter(pk__gt=query.cursor).order_by("pk").values_list(*columns)[: query.limit + 1])
        page = found[: query.limit]
        body = {
            "items": [dict(zip(names, row[1:], strict=True)) for row in page],
            "next": page[-1][0] if len(found) > query.limit else None,
        }
        return HttpResponse(json.dumps(body, default=_text), content_type="application/json")
    every = _all(rows, columns, query.cursor)
    if query.format == "json":
        return StreamingHttpResponse(
            _json(names, every),
            content_type="application/json",
            headers={"Content-Disposition": 'attachment; filename="camcensus.json"'},
        )
    if query.format == "ndjson":
        lines = (f"{json.dumps(dict(zip(names, row, strict=True)), default=_text)}\n" for row in every)
        return StreamingHttpResponse(lines, content_type="application/x-ndjson")
    return StreamingHttpResponse(
        _csv(names, every),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="camcensus.csv"'},
    )


def _names(listing: Listing, wanted: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip()))[:_MAX_FIELDS]
    for name in names:
        if name not in listing.fields:
            raise HttpError(422, f"there is no such field; known: {', '.join(listing.fields)}")
    return names or list(listing.fields)


def _all(rows: QuerySet[Model], columns: Sequence[str], after: int) -> Iterator[tuple[Any, ...]]:
    """All rows after an id, some at a time: neither the database nor we hold them all."""
    while found := list(rows.filter(pk__gt=after).order_by("pk").values_list(*columns)[:_PIECE]):
        after = found[-1][0]
        for row in found:
            yield row[1:]


def _json(names: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    yield '{"items": ['
    comma = ""
    for row in rows:
        yield f"{comma}{json.dumps(dict(zip(names, row, strict=True)), default=_text)}"
        comma = ",\n"
    yield '], "next": null}\n'


def _csv(names: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str):
        return formula_safe(value)
    if isinstance(value, list | dict):
        return formula_safe(json.dumps(value, default=_text))
    return _text(value) if isinstance(value, date) else value


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)

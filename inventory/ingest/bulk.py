"""Writes many rows with one statement, on SQLite as on PostgreSQL.

The ORM makes an object for each row, which costs more than the row. Here rows are tuples, sent as
one array a column to PostgreSQL (``unnest``) or to SQLite's own loop (``executemany``).
Table and column names come from the models, never from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

import orjson
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import DateTimeField, Model
from django.db.models.fields import Field

__all__ = ["delete", "insert", "lock", "pairs", "reserve", "select", "update"]

_POSTGRESQL: Final = "postgresql"


def _fields(model: type[Model], names: Sequence[str]) -> list[Field[Any, Any]]:
    by_column = {field.column: field for field in model._meta.concrete_fields}  # noqa: SLF001 - Django's public API
    return [by_column[name] for name in names]


def _table(model: type[Model]) -> str:
    return model._meta.db_table  # noqa: SLF001 - Django's public API


def _is_postgresql() -> bool:
    return connection.vendor == _POSTGRESQL


def _stored(at: datetime | None) -> str | None:
    """A time as Django keeps it in SQLite."""
    return None if at is None else str(at if at.tzinfo is UTC else at.astimezone(UTC)).removesuffix("+00:00")


def _columns(fields: Sequence[Field[Any, Any]], rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    if not _is_postgresql():
        for place, field in enumerate(fields):
            if isinstance(field, DateTimeField):
                # Of so many times most are the same few.
                texts = {at: _stored(at) for at in set(columns[place])}
                columns[place] = [texts[at] for at in columns[place]]
    return columns


def _loading(cursor: CursorWrapper) -> None:
    """Let psycopg read times by itself: Django's reader, which is there for other time zones, is slow."""
    if _is_postgresql():
        from psycopg.types.datetime import TimestamptzLoader  # noqa: PLC0415 - only where it is installed

        cursor.cursor.adapters.register_loader("timestamptz", TimestamptzLoader)


def _array(values: Sequence[Any]) -> str:
    """An array as PostgreSQL writes it; psycopg would ask of each item what it is."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return f"{{{','.join(map(str, values))}}}"
    if kinds == {datetime}:
        return '{"' + '","'.join(map(str, values)) + '"}'
    return "{" + ",".join([_item(value) for value in values]) + "}"


def _item(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "NULL" if value is None else f'"{value}"'


def _arrays(fields: Sequence[Field[Any, Any]]) -> str:
    return ", ".join(f"%s::{field.db_type(connection)}[]" for field in fields)


def insert(
    model: type[Model], names: Sequence[str], rows: Sequence[Sequence[Any]], *, unless_there: bool = False
) -> None:
    """Insert `rows`; JSON columns take text. `unless_there` leaves out rows that a constraint has already."""
    if not rows:
        return
    fields = _fields(model, names)
    into = f"{_table(model)} ({', '.join(names)})"
    with connection.cursor() as cursor:
        if not _is_postgresql():
            marks = ", ".join(["%s"] * len(names))
            clause = " ON CONFLICT DO NOTHING" if unless_there else ""
            cursor.executemany(
                f"INSERT INTO {into} VALUES ({marks}){clause}",  # noqa: S608 - own names
                list(zip(*_columns(fields, rows), strict=True)),
            )
        elif unless_there:
            cursor.execute(
                f"INSERT INTO {into} SELECT * FROM unnest({_arrays(fields)}) ON CONFLICT DO NOTHING",  # noqa: S608 - own names
                [_array(column) for column in _columns(fields, rows)],
            )
        else:
            # An array of JSON texts is escaped item by item in Python; COPY does it in C.
            with cursor.copy(f"COPY {into} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)


def update(model: type[Model], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Set the columns `names` of the rows whose id comes first in each of `rows`."""
    if not rows:
        return
    fields = _fields(model, ["id", *names])
    # In one order everywhere: two that write the same rows then wait instead of locking each other out.
    columns = _columns(fields, sorted(rows, key=lambda row: cast("int", row[0])))
    table = _table(model)
    with connection.cursor() as cursor:
        if _is_postgresql():
            settings = ", ".join(f"{name} = new.{name}" for name in names)
            new = ", ".join(["id", *names])
            cursor.execute(
                f"UPDATE {table} SET {settings} FROM unnest({_arrays(fields)}) AS new({new})"  # noqa: S608 - own names
                f" WHERE {table}.id = new.id",
                [_array(column) for column in columns],
            )
        else:
            settings = ", ".join(f"{name} = %s" for name in names)
            cursor.executemany(
                f"UPDATE {table} SET {settings} WHERE id = %s",  # noqa: S608 - own names
                list(zip(*columns[1:], columns[0], strict=True)),
            )


def delete(model: type[Model], ids: Iterable[int], column: str = "id") -> None:
    """Remove the rows whose `column` is one of `ids`."""
    gone = list(ids)
    if gone:
        with connection.cursor() as cursor:
            where, values = _within(model, column, gone)
            cursor.execute(f"DELETE FROM {_table(model)} WHERE {where}", [values])  # noqa: S608 - own names


def _within(model: type[Model], column: str, values: Sequence[Any]) -> tuple[str, Any]:
    if _is_postgresql():
        return f"{column} = ANY({_arrays(_fields(model, [column]))})", _array(values)
    return f"{column} IN (SELECT value FROM json_each(%s))", orjson.dumps(list(values)).decode()  # noqa: S608 - own names


def select(
    model: type[Model],
    names: Sequence[str],
    column: str,
    values: Sequence[Any],
    *,
    also: str = "",
    given: Sequence[Any] = (),
) -> list[tuple[Any, ...]]:
    """The columns `names` of all rows whose `column` is one of `values`; `also` is a further condition."""
    if not values:
        return []
    where, array = _within(model, column, values)
    plain = _is_postgresql()
    more = [at if plain or not isinstance(at, datetime) else _stored(at) for at in given]
    with connection.cursor() as cursor:
        _loading(cursor)
        cursor.execute(
            f"SELECT {_selected(model, names)} FROM {_table(model)} WHERE {where}{also}",  # noqa: S608 - own names
            [array, *more],
        )
        rows = cast("list[tuple[Any, ...]]", cursor.fetchall())
    return rows if plain else _read(model, names, rows)


def pairs(
    model: type[Model], names: Sequence[str], columns: tuple[str, str], values: Sequence[tuple[Any, Any]]
) -> list[tuple[Any, ...]]:
    """For each row in which `columns` hold one of `values`: which of them, then the columns `names`."""
    if not values:
        return []
    wanted = _selected(model, names)
    first, second = columns
    with connection.cursor() as cursor:
        _loading(cursor)
        if _is_postgresql():
            cursor.execute(
                f"SELECT given.place - 1, {wanted} FROM unnest({_arrays(_fields(model, columns))})"  # noqa: S608 - own names
                f" WITH ORDINALITY AS given(a, b, place)"
                f" JOIN {_table(model)} ON {first} = given.a AND {second} = given.b",
                [_array(column) for column in zip(*values, strict=True)],
            )
            return cast("list[tuple[Any, ...]]", cursor.fetchall())
        # The order is ours: SQLite would read the whole table to look each row up among what is given.
        cursor.execute(
            f"SELECT given.key, {wanted} FROM json_each(%s) AS given CROSS JOIN {_table(model)}"  # noqa: S608 - own names
            f" ON {first} = given.value ->> 0 AND {second} = given.value ->> 1",
            [orjson.dumps(values).decode()],
        )
        return _read(model, names, cast("list[tuple[Any, ...]]", cursor.fetchall()), after=1)


def _selected(model: type[Model], names: Sequence[str]) -> str:
    """What to select: on SQLite times as texts, which are read here, each once."""
    table, fields = _table(model), _fields(model, names)
    if _is_postgresql():
        return ", ".join(f"{table}.{name}" for name in names)
    return ", ".join(
        f"{table}.{name} || ''" if isinstance(field, DateTimeField) else f"{table}.{name}"
        for name, field in zip(names, fields, strict=True)
    )


def _read(
    model: type[Model], names: Sequence[str], rows: list[tuple[Any, ...]], after: int = 0
) -> list[tuple[Any, ...]]:
    """Rows of SQLite with the times that they hold in UTC; `names` stand after so many others."""
    fields = enumerate(_fields(model, names), after)
    places = [place for place, field in fields if isinstance(field, DateTimeField)]
    if not places or not rows:
        return rows
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    for place in places:
        times = {text: datetime.fromisoformat(f"{text}+00:00") for text in set(columns[place]) if text}
        columns[place] = [times.get(text) for text in columns[place]]
    return list(zip(*columns, strict=True))


def reserve(model: type[Model], count: int) -> list[int]:
    """`count` ids that nobody else will get; on SQLite as long as the transaction lasts."""
    if not count:
        return []
    table = _table(model)
    with connection.cursor() as cursor:
        if _is_postgresql():
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, count]
            )
            return [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        row = cursor.fetchone()
        first = (row[0] if row else 0) + 1
        return list(range(first, first + count))


def lock(*numbers: int) -> None:
    """Wait until no other transaction holds any of `numbers`; SQLite has one writer at a time anyway."""
    if _is_postgresql():
        # In one order everywhere, so that nobody waits for somebody who waits for him.
        ordered = sorted({number % 2**31 for number in numbers})
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_advisory_xact_lock(%s, number)) FROM unnest(%s::int[]) AS number",
                [_LOCKS, ordered],
            )


_LOCKS: Final = 0x63616D
"""Which locks of the database are ours."""

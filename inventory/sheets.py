"""Writes plans of removal as a sheet, reads them back: CSV or XLSX, each mistake with its line and column.

The columns that say which device stand on the left; those that may be edited on the right. What would
be a formula is written with an apostrophe, and read without it.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from inventory import rights
from inventory.clean import formula_safe, shown
from inventory.models import Device, Role
from inventory.plans import take_all
from inventory.timeline import STATES, Step

__all__ = [
    "COLUMNS",
    "Change",
    "Fault",
    "Imported",
    "SheetError",
    "bring",
    "csv_lines",
    "read",
    "table",
    "xlsx",
]

_WHO: Final = ("device", "site", "address", "mac", "serial", "manufacturer", "model", "finding")
_EDITED: Final = ("state", "due", "owner", "replacement", "reason", "exempt_until")
COLUMNS: Final = (*_WHO, *_EDITED)
_MAX_ROWS: Final = 100_000
_MAX_UNPACKED: Final = 200 * 1024 * 1024
_MAX_CELL: Final = 2_000
_MAX_FAULTS: Final = 200
_PREVIEWED: Final = 50
_PIECE: Final = 1_000


class SheetError(Exception):
    """A file is no sheet of plans: says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong where: `line` counts from 1, the header is line 1."""

    line: int
    column: str
    what: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a line asks for: the step of a device that was in the state `before`."""

    line: int
    device: Device
    before: str
    step: Step


@dataclass(frozen=True, slots=True)
class Imported:
    """What a sheet changes, or did change: nothing where there are faults. The first changes are named."""

    rows: int
    changes: int
    faults: tuple[Fault, ...] = ()
    applied: bool = False
    first: tuple[Change, ...] = ()


@dataclass(slots=True)
class _Reading:
    """What is known of a sheet while it is read."""

    steps: dict[int, Step] = field(default_factory=dict)
    lines: dict[int, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    first: list[Change] = field(default_factory=list)

    def fault(self, line: int, column: str, what: str) -> None:
        if len(self.faults) < _MAX_FAULTS:
            self.faults.append(Fault(line, column, what))


def table(devices: QuerySet[Device]) -> Iterator[list[str]]:
    """The header, then a row for each of `devices` that is on the timeline, some at a time."""
    yield list(COLUMNS)
    columns = (
        "pk", "site__code", "address", "mac", "serial", "manufacturer", "model", "finding", "plan_state",
        "plan__due", "plan__owner", "plan__replacement", "plan__reason", "plan__exempt_until",
    )  # fmt: skip
    last = 0
    rows = devices.exclude(plan_state="").order_by("pk").values_list(*columns)
    while found := list(rows.filter(pk__gt=last)[:_PIECE]):
        last = found[-1][0]
        for row in found:
            yield ["" if value is None else formula_safe(str(value)) for value in row]


def csv_lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows as CSV."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for row in rows:
        writer.writerow(row)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def xlsx(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as a workbook in which every cell is text."""
    from openpyxl import Workbook  # noqa: PLC0415 - slow, and few ask for it

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Plans")
    sheet.freeze_panes = "A2"
    for row in rows:
        # Of what XML cannot hold nothing is in the tables but line breaks and tabs.
        sheet.append([text.replace("\r", " ") for text in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def read(body: bytes) -> list[tuple[int, dict[str, str]]]:
    """The rows of a sheet by column, each with its line; raises `SheetError`."""
    rows = _xlsx_rows(body) if body[:4] == b"PK\x03\x04" else _csv_rows(body)
    try:
        header = [name.strip().lower() for name in next(rows)]
    except StopIteration:
        raise SheetError("the sheet is empty") from None
    if "state" not in header:
        raise SheetError("line 1: there is no column named state")
    for name in header:
        if name and header.count(name) > 1:
            raise SheetError(f"line 1: there are two columns named {shown(name, 40)}")
    found = []
    for line, row in enumerate(rows, start=2):
        if line > _MAX_ROWS + 1:
            raise SheetError(f"a sheet has at most {_MAX_ROWS:,} rows")
        cells = {name: _plain(text) for name, text in zip(header, row, strict=False) if name in COLUMNS}
        if any(cells.values()):
            found.append((line, cells))
    return found


def _plain(text: str) -> str:
    text = text.strip()
    return text[1:] if text[:1] == "'" and formula_safe(text[1:]) == text else text


def _csv_rows(body: bytes) -> Iterator[list[str]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        raise SheetError(f"line {line}: this is not UTF-8; save the sheet as CSV in UTF-8") from None
    first = text.partition("\n")[0]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ","
    )
    try:
        yield from reader
    except csv.Error as error:
        raise SheetError(f"line {reader.line_num}: {error}") from None


def _xlsx_rows(body: bytes) -> Iterator[list[str]]:
    from openpyxl import load_workbook  # noqa: PLC0415 - slow, and few send one

    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            size = sum(item.file_size for item in packed.infolist())
        if size <= _MAX_UNPACKED:
            book = load_workbook(io.BytesIO(body), read_only=True, data_only=True, keep_links=False)
            try:
                for row in book.worksheets[0].iter_rows(values_only=True, max_col=64):
                    yield [_cell(value) for value in row]
            finally:
                book.close()
    except Exception as error:  # a workbook from anybody fails in more ways than openpyxl names
        raise SheetError("this is no workbook that can be read") from error
    if size > _MAX_UNPACKED:
        raise SheetError("the workbook is too large")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def bring(rows: Sequence[tuple[int, Mapping[str, str]]], by: User, *, apply: bool) -> Imported:
    """Take the steps that a sheet asks for, all or none; without `apply` only say what it would do."""
    reading = _Reading()
    planning, reporting = rights.sites(by, Role.PLANNER), rights.sites(by, Role.TECHNICIAN)
    may_plan = set(planning.values_list("pk", flat=True))
    may_report = set(reporting.values_list("pk", flat=True))
    with transaction.atomic():
        for start in range(0, len(rows), _PIECE):
            piece = rows[start : start + _PIECE]
            for (line, cells), device in zip(piece, _devices(piece, rights.sites(by)), strict=True):
                _read_row(reading, line, cells, device, may_plan, may_report)
        if not reading.faults:
            for refusal in take_all(reading.steps, by, try_only=not apply):
                reading.fault(reading.lines[refusal.device], "state", refusal.why)
    applied = apply and not reading.faults
    return Imported(len(rows), len(reading.steps), tuple(reading.faults), applied, tuple(reading.first))


def _devices(rows: Sequence[tuple[int, Mapping[str, str]]], sites: QuerySet[Any, Any]) -> list[Device | str]:
    """For each row its device, or why there is none; nobody learns of devices that are not theirs."""
    mine = Device.objects.filter(site__in=sites).select_related("site", "plan")
    numbers = {int(text) for _, row in rows if _is_id(text := row.get("device", ""))}
    by_id = {device.pk: device for device in mine.filter(pk__in=numbers)}
    found: list[Device | str] = []
    for _, row in rows:
        if row.get("device"):
            number = int(row["device"]) if _is_id(row["device"]) else -1
            found.append(by_id.get(number) or "there is no such device")
            continue
        wanted = {
            key: row[key] for key in ("mac", "serial", "address") if row.get(key) and "\0" not in row[key]
        }
        if not wanted or not row.get("site") or "\0" in row["site"]:
            found.append("name the device, or its site with a mac, serial or address")
            continue
        known = list(mine.filter(site__code=row["site"], **wanted)[:2])
        found.append(
            known[0] if len(known) == 1 else f"{'several devices are' if known else 'no device is'} such"
        )
    return found


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _read_row(
    reading: _Reading,
    line: int,
    cells: Mapping[str, str],
    device: Device | str,
    may_plan: set[int],
    may_report: set[int],
) -> None:
    if isinstance(device, str):
        reading.fault(line, "device", device)
        return
    before = len(reading.faults)
    for name in _EDITED:
        if len(cells.get(name, "")) > (_MAX_CELL if name == "reason" else 200):
            reading.fault(line, name, "is too long")
    state = cells.get("state", "").lower().replace(" ", "-") or device.plan_state
    if state not in STATES:
        reading.fault(line, "state", f"{shown(state, 40)!r} is no state: {', '.join(STATES)}")
    days = {name: _day(reading, line, name, cells.get(name, "")) for name in ("due", "exempt_until")}
    if len(reading.faults) > before:
        return
    plan = getattr(device, "plan", None)
    said = {name: shown(cells.get(name, ""), _MAX_CELL) for name in ("owner", "replacement", "reason")}
    kept: dict[str, Any] = {
        name: getattr(plan, name) if plan is not None else None if name in days else ""
        for name in (*said, *days)
    }
    if state == device.plan_state and all(
        value in {None, "", kept[name]} for name, value in (*said.items(), *days.items())
    ):
        return
    if device.site_id not in (may_report if state == "removed" else may_plan):
        reading.fault(line, "site", "you may not plan at this site")
    elif device.pk in reading.steps:
        reading.fault(line, "device", f"stands on line {reading.lines[device.pk]} already")
    else:
        reason = said["reason"] or (kept["reason"] or "" if state == "exempt" else "")
        until = days["exempt_until"] or (kept["exempt_until"] if state == "exempt" else None)
        step = Step(state, days["due"] or kept["due"], said["owner"], said["replacement"], reason, until)
        reading.steps[device.pk] = step
        reading.lines[device.pk] = line
        if len(reading.first) < _PREVIEWED:
            reading.first.append(Change(line, device, device.plan_state, step))


def _day(reading: _Reading, line: int, column: str, text: str) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text[:10]) if len(text) in {10, 19} else None
    except ValueError:
        day = None
    if day is None:
        reading.fault(line, column, f"{shown(text, 40)!r} is no day such as 2027-03-31")
    return day

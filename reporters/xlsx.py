"""Writes a report as a workbook: devices, what was not seen, what the report rests on."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from fingerprints.model import Report
from reporters.csv import COLUMNS, rows_of
from reporters.provenance import oui_date, policy_dates, rules_version
from reporters.text import shortened
from reporters.words import blind_spots

if TYPE_CHECKING:
    from openpyxl.worksheet._write_only import WriteOnlyWorksheet

__all__ = ["write"]

_LONGEST: Final = 32_767
"""Most characters that a cell holds."""
_WIDTH: Final = 20
_MOST_ROWS: Final = 1_048_575


def write(report: Report, out: BinaryIO) -> None:
    """Put the workbook on `out`. Needs openpyxl; raises ImportError without it."""
    from openpyxl import Workbook  # noqa: PLC0415 - slow, and wanted by this form alone

    book = Workbook(write_only=True)
    _sheet(book.create_sheet("Devices"), COLUMNS, rows_of(report))
    _sheet(book.create_sheet("Not seen"), ("What", "Step that would close it"), blind_spots(report.coverage))
    problems = ((row.where, row.what) for row in report.problems)
    _sheet(book.create_sheet("Problems"), ("Where", "What"), problems)
    run = report.run
    rests = [
        ("Tool", f"{run.get('tool', 'camcensus')} {run.get('version', '')}"),
        ("Command", run.get("command")),
        ("Started", run.get("started")),
        ("Finished", run.get("finished")),
        ("Complete", "yes" if report.complete else "no: not everything that was asked for was covered"),
        ("Rules", rules_version(run)),
        ("MAC registry", oui_date(run)),
        ("Policies", policy_dates(run)),
    ]
    _sheet(book.create_sheet("About"), ("What", "Value"), rests)
    # A zip file is sought in while it is written, which a pipe does not let one do.
    whole = io.BytesIO()
    book.save(whole)
    out.write(whole.getvalue())


def _sheet(sheet: WriteOnlyWorksheet, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A sheet whose first line stays in sight; every text is a text, whatever it looks like."""
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415 - see above
    from openpyxl.styles import Font  # noqa: PLC0415 - see above
    from openpyxl.utils import get_column_letter  # noqa: PLC0415 - see above

    sheet.freeze_panes = "A2"
    for number, head in enumerate(heads, 1):
        sheet.column_dimensions[get_column_letter(number)].width = max(len(head) + 4, _WIDTH)  # type: ignore[attr-defined]  # its types leave it out
    first = [WriteOnlyCell(sheet, value=head) for head in heads]
    for cell in first:
        cell.font = Font(bold=True)
    sheet.append(first)
    for number, row in enumerate(rows):
        if number >= _MOST_ROWS:
            break
        cells: list[Any] = []
        for value in row:
            if value is None or isinstance(value, int | float):
                cells.append(value)
                continue
            cell = WriteOnlyCell(sheet, value=shortened(str(value), _LONGEST))
            # A spreadsheet takes what begins with = for a formula, unless it is told.
            cell.data_type = "s"
            cells.append(cell)
        sheet.append(cells)

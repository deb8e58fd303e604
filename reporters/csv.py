"""Writes the devices of a report as a table that spreadsheets open safely."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import Any, Final, TextIO

from fingerprints.codec import device_to_json
from fingerprints.model import Device, Report
from reporters.provenance import oui_date, policy_dates, rules_version
from reporters.text import visible

__all__ = ["COLUMNS", "rows_of", "write"]

_AS_THEY_ARE: Final = (
    "finding",
    "confidence",
    "level",
    "manufacturer",
    "brand",
    "device_class",
    "model",
    "firmware",
    "serial",
    "mac",
    "first_seen",
    "last_seen",
    "site",
)
_LISTS: Final = ("addresses", "macs", "hostnames", "ports", "vlans", "policies", "notes")
_LOCATION: Final = {"switch": "switch", "switch_port": "port", "poe_watts": "poe_watts"}
"""Columns with their names in a location."""

COLUMNS: Final = (
    "id",
    *_AS_THEY_ARE,
    *_LISTS,
    *_LOCATION,
    "rules",
    "conflicts",
    "problems",
    "rules_version",
    "oui_date",
    "policy_dates",
)
"""The first line of every file; lists stand in one cell, parted by spaces (notes and problems by `; `)."""

_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A cell that begins so, in narrow or wide form, is a formula to spreadsheets, whatever wrote it."""


def write(report: Report, out: TextIO) -> None:
    """Put a header and one row a device on `out`, lines ended as RFC 4180 has them."""
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows_of(report):
        writer.writerow([_cell(value) for value in row])


def rows_of(report: Report) -> Iterator[list[object]]:
    """One row a device, a value for each of `COLUMNS`; texts are as the devices wrote them."""
    run = (rules_version(report.run), oui_date(report.run), policy_dates(report.run))
    for device in report.devices:
        yield [*_row(device, device_to_json(device)), *run]


def _row(device: Device, shown: Mapping[str, Any]) -> list[object]:
    lists = [("; " if name == "notes" else " ").join(map(str, shown[name])) for name in _LISTS]
    return [
        device.id,
        *(shown[name] for name in _AS_THEY_ARE),
        *lists,
        *((shown["location"] or {}).get(name) for name in _LOCATION.values()),
        " ".join(dict.fromkeys(item.rule for item in device.verdict.evidence)),
        "; ".join(f"{row.claim}: {row.kept}, not {row.against}" for row in device.verdict.conflicts),
        "; ".join(f"{row.where}: {row.what}" for row in device.problems),
    ]


def _cell(value: object) -> object:
    """A cell that is shown as it is: an apostrophe keeps what looks like a formula a text."""
    if value is None or isinstance(value, int | float):
        return value
    text = visible(str(value))
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text

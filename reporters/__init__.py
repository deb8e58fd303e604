"""Writes a finished report for people or for machines: one file a format, listed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TextIO

from fingerprints.model import Report
from reporters import csv, json, jsonl, table

__all__ = ["REPORTERS", "Write"]

Write = Callable[[Report, TextIO], None]
"""``write(report, out)``: puts the whole report on `out`, which stays open. It cannot change a verdict."""

REPORTERS: Final[Mapping[str, Write]] = MappingProxyType(
    {"table": table.write, "json": json.write, "jsonl": jsonl.write, "csv": csv.write}
)

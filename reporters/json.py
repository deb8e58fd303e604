"""Writes a report as one JSON document, the shape that ``report.schema.json`` describes."""

from __future__ import annotations

import json
from typing import TextIO

from fingerprints.codec import report_to_json
from fingerprints.model import Report

__all__ = ["write"]


def write(report: Report, out: TextIO) -> None:
    """Put the report on `out`: ASCII, indented, with a line feed at its end."""
    json.dump(report_to_json(report), out, ensure_ascii=True, allow_nan=False, indent=1)
    out.write("\n")

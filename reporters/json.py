"""Writes a report as one JSON document, the shape that ``report.schema.json`` describes."""

from __future__ import annotations

import json
from typing import Any, TextIO

from fingerprints.codec import report_to_json
from fingerprints.model import Report

__all__ = ["write"]


def write(report: Report, out: TextIO) -> None:
    """Put the report on `out`: ASCII, each device and each problem on a line of its own.

    So it can be read, compared line by line and written quickly: the standard library indents
    in Python, which takes as long as a scan of thousands of hosts has to spare.
    """
    lines = [f"{_text(key)}: {_value(value)}" for key, value in report_to_json(report).items()]
    out.write("{\n" + ",\n".join(lines) + "\n}\n")


def _value(value: Any) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(_text(item) for item in value) + "\n]"
    if isinstance(value, dict) and value:
        return "{\n" + ",\n".join(f" {_text(key)}: {_text(item)}" for key, item in value.items()) + "\n}"
    return _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)

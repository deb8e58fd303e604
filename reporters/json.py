"""Writes a report as one JSON document, the shape that ``report.schema.json`` describes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from fingerprints.codec import report_to_json
from fingerprints.model import Report

__all__ = ["write"]


def write(report: Report, out: TextIO) -> None:
    """Put the report on `out`: ASCII, each device and each problem on a line of its own.

    So it can be read, compared line by line and written quickly: the standard library indents
    in Python, which takes as long as a scan of thousands of hosts has to spare.
    """
    separator = "{\n"
    for key, value in report_to_json(report).items():
        out.write(f"{separator}{_text(key)}: ")
        out.writelines(_pieces(value))
        separator = ",\n"
    out.write("\n}\n")


def _pieces(value: Any) -> Iterator[str]:
    """A section: what it lists, or names, one a line."""
    if isinstance(value, list) and value:
        yield from _between("[\n", (_text(item) for item in value), "\n]")
    elif isinstance(value, dict) and value:
        yield from _between("{\n", (f" {_text(key)}: {_text(item)}" for key, item in value.items()), "\n}")
    else:
        yield _text(value)


def _between(before: str, items: Iterable[str], after: str) -> Iterator[str]:
    for item in items:
        yield before
        yield item
        before = ",\n"
    yield after


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)

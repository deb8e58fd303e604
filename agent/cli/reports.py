"""Reads a JSON report out of anybody's file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from fingerprints.codec import MAX_REPORT, CodecError, report_from_json
from fingerprints.model import Report

__all__ = ["read_report"]


def read_report(source: Path) -> Report:
    """The report in a file; ``-`` is standard input. Raises CodecError naming the file, and OSError."""
    if str(source) == "-":
        name = "standard input"
        data = sys.stdin.buffer.read(MAX_REPORT + 1)
    else:
        name = str(source)
        with source.open("rb") as stream:
            data = stream.read(MAX_REPORT + 1)
    if len(data) > MAX_REPORT:
        raise CodecError(f"{name}: is larger than {MAX_REPORT} bytes")
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"{name}: is not JSON: {error}") from None
    try:
        return report_from_json(document)
    except CodecError as error:
        raise CodecError(f"{name}: {error}") from None

"""Writes the devices of a report as JSON, one a line."""

from __future__ import annotations

from typing import TextIO

from fingerprints.codec import device_to_json, dumps
from fingerprints.model import Report

__all__ = ["write"]


def write(report: Report, out: TextIO) -> None:
    """Put one object a device on `out`; what the run did not see is in the other formats."""
    out.writelines(dumps(device_to_json(device)) + "\n" for device in report.devices)

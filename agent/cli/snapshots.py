"""Writes a report of what is known so far, while a command goes on."""

from __future__ import annotations

from pathlib import Path

from agent.cli.options import OutputFormat
from agent.cli.wiring import deliver, say
from fingerprints.model import Report

__all__ = ["write_snapshot"]


def write_snapshot(report: Report, form: OutputFormat | None, output: Path | None) -> None:
    """Write it to `output`, or to stdout; a disk that is full now is no reason to end what runs for weeks."""
    try:
        deliver(report, form, output, None, quiet=True)
    except OSError as error:
        say(f"camcensus: no snapshot: {output}: {error.strerror}")

"""Keeps a finished report in the inventory, where that is installed.

It comes after the report has been delivered, so nothing of it can slow or lose a scan; only then is
Django loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import FailOn, OutputFormat
from agent.cli.wiring import deliver, say
from fingerprints.model import Report
from reporters.text import visible

__all__ = ["RecordOption", "deliver_and_keep", "record"]

RecordOption = Annotated[
    bool, typer.Option("--record", help="Keep the result in the inventory, as a scan is kept.")
]


def deliver_and_keep(
    report: Report,
    form: OutputFormat | None,
    output: Path | None,
    fail_on: FailOn | None,
    *,
    site: str | None,
    keep: bool = True,
    quiet: bool = False,
) -> typer.Exit:
    """As `deliver`; then the report is kept in the inventory too, if that is wanted."""
    try:
        return deliver(report, form, output, fail_on, quiet=quiet)
    finally:
        # Whoever reads our output may be gone: what was found is kept all the same.
        if keep:
            record(report, site, quiet=quiet)


def record(report: Report, site: str | None, *, quiet: bool = False) -> bool:
    """Whether the report is in the inventory now; where it could not be kept, one line says why."""
    if find_spec("django") is None or find_spec("ninja") is None:
        return False
    from fingerprints.codec import report_to_json  # noqa: PLC0415 - after the report is out

    try:
        with _silent():
            from inventory.embedded import keep  # noqa: PLC0415 - it loads Django

            kept = keep(report_to_json(report), site)
    except KeyboardInterrupt:
        say("interrupted: this scan is not kept in the inventory")
        return False
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a database, the scan is good
        # What stops a command is an exception whose reason is said already.
        why = " ".join(str(error).split())[:300] or type(error).__name__
        say(f"camcensus: this scan is not kept in the inventory: {visible(why)}")
        return False
    refused = f", {kept.refused} refused" if kept.refused else ""
    say(
        f"kept in the inventory: {kept.accepted} devices{refused} at {visible(kept.site)}"
        " (camcensus inventory serve shows it)",
        quiet=quiet,
    )
    return True


@contextmanager
def _silent() -> Iterator[None]:
    """The log of a service is nothing for who ran a scan: what matters becomes the one line."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)

"""``camcensus report``: what is known, as a document that is handed to somebody."""

from __future__ import annotations

import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from agent.cli.exits import exit_code
from agent.cli.options import FailOnOption, OutputOption, QuietOption, VerboseOption
from agent.cli.reports import read_report
from agent.cli.wiring import opened, say
from agent.config import ConfigError
from fingerprints.codec import report_from_json
from fingerprints.model import Report
from reporters.documents import BOOKS, TEXTS

__all__ = ["report"]


class DocumentFormat(StrEnum):
    """What a document is written as."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    HTML = "html"
    XLSX = "xlsx"
    NMAP_XML = "nmap-xml"


_BY_SUFFIX: Final = {
    ".json": DocumentFormat.JSON,
    ".jsonl": DocumentFormat.JSONL,
    ".csv": DocumentFormat.CSV,
    ".html": DocumentFormat.HTML,
    ".htm": DocumentFormat.HTML,
    ".xlsx": DocumentFormat.XLSX,
    ".xml": DocumentFormat.NMAP_XML,
}

FromOption = Annotated[
    Path | None,
    typer.Option(
        "--from", help="A JSON report of scan, listen, replay or import; - is stdin. Default: the inventory."
    ),
]
FormOption = Annotated[
    DocumentFormat | None,
    typer.Option("--format", "-f", help="Default: what the name of --output ends in, else table."),
]
OneSiteOption = Annotated[
    str | None, typer.Option("--site", help="Of the inventory, only the site of this name or code.")
]


def report(
    source: FromOption = None,
    site: OneSiteOption = None,
    form: FormOption = None,
    output: OutputOption = None,
    fail_on: FailOnOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Hand over what is known: the inventory, or one report, as a document."""
    if source is not None and site is not None:
        raise ConfigError("--site chooses from the inventory, not from a file (--from)")
    chosen = form or _BY_SUFFIX.get(output.suffix.lower() if output else "", DocumentFormat.TABLE)
    found = _of_inventory(site) if source is None else read_report(source)
    if verbose:
        say(f"{len(found.devices)} devices", quiet=quiet)
    if chosen.value in BOOKS:
        _write_book(found, chosen, output)
    else:
        with opened(output) as out:
            TEXTS[chosen.value](found, out)
    raise typer.Exit(exit_code(found, fail_on.value if fail_on else None))


def _write_book(found: Report, form: DocumentFormat, output: Path | None) -> None:
    if output is None and sys.stdout.isatty():
        raise ConfigError(f"--format {form}: is no text; name a file with --output")
    try:
        with opened(output) as out:
            # A text stream over bytes, whichever it is.
            BOOKS[form.value](found, out.buffer)
    except ImportError:
        raise ConfigError(f"--format {form}: needs openpyxl: pip install 'camcensus[inventory]'") from None


def _of_inventory(site: str | None) -> Report:
    if find_spec("django") is None or find_spec("ninja") is None:
        raise ConfigError(
            "the inventory needs more packages (pip install 'camcensus[inventory]'); --from reads a report"
        )
    from inventory.embedded import NotKept  # noqa: PLC0415 - it loads Django
    from inventory.report import document  # noqa: PLC0415 - as above

    try:
        return report_from_json(document(site))
    except NotKept as why:
        raise ConfigError(f"the inventory: {why}") from None

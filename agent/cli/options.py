"""The options that several commands share, under one name and one help each."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "CredentialsOption",
    "ExcludeOption",
    "FailOn",
    "FailOnOption",
    "FormatOption",
    "OuiOption",
    "OutputFormat",
    "OutputOption",
    "PolicyOption",
    "ProfileName",
    "QuietOption",
    "SiteOption",
    "VerboseOption",
]


class OutputFormat(StrEnum):
    """What a report is written as."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class FailOn(StrEnum):
    """The finding that makes the exit code 3."""

    FLAGGED = "flagged"
    SUSPECTED = "suspected"


class ProfileName(StrEnum):
    """How hard a scan may touch hosts."""

    GENTLE = "gentle"
    STANDARD = "standard"
    THOROUGH = "thorough"


FormatOption = Annotated[
    OutputFormat | None,
    typer.Option("--format", "-f", help="Default: table on a terminal and to files, too."),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the result to this file, not to stdout.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.")]
VerboseOption = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="Say more; twice for everything.")
]
PolicyOption = Annotated[
    list[str] | None,
    typer.Option("--policy", help="Policy id or file; repeatable. Default: uk-2022-sensitive-sites."),
]
OuiOption = Annotated[
    Path | None, typer.Option("--oui", help="Your own IEEE file (oui.csv, oui.txt, manuf) instead of ours.")
]
FailOnOption = Annotated[
    FailOn | None,
    typer.Option("--fail-on", help="Exit with 3 if any device is found flagged (or suspected)."),
]
SiteOption = Annotated[str | None, typer.Option("--site", help="Name of the site, printed with each device.")]
CredentialsOption = Annotated[
    Path | None,
    typer.Option("--credentials", help="Your file of credentials (mode 0600), for hosts that it names."),
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option("--exclude", "-x", help="Targets that must not be touched; repeatable.")
]

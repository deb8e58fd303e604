"""``camcensus explain``: why a device got its verdict, and what would change it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated, Final

import typer

from agent.cli.devices import devices_called
from agent.cli.options import (
    FormatOption,
    OuiOption,
    OutputFormat,
    OutputOption,
    PolicyOption,
    QuietOption,
    VerboseOption,
)
from agent.cli.places import installed_or_shipped, kept
from agent.cli.wiring import opened, say
from fingerprints.codec import device_to_json, dumps
from fingerprints.compiled import compiled_matchers
from fingerprints.explain import explain_device

__all__ = ["explain"]

_WIDTH: Final = 80

DeviceArgument = Annotated[
    str, typer.Argument(metavar="DEVICE", help="An id, address, MAC, serial or host name.")
]
FromOption = Annotated[
    Path, typer.Option("--from", help="A JSON report of scan or replay, or the input of identify (.jsonl).")
]


def explain(
    device: DeviceArgument,
    source: FromOption,
    form: FormatOption = None,
    output: OutputOption = None,
    policy: PolicyOption = None,
    oui: OuiOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Say why: the evidence rule by rule, and what would change the verdict."""
    found = devices_called(source, device, policy, oui)
    knowledge = compiled_matchers(installed_or_shipped(), kept()).knowledge
    if verbose:
        say(f"{len(found)} of {source} called {device}", quiet=quiet)
    with opened(output) as out:
        for row in found:
            lines = list(explain_device(row, knowledge))
            if form in {None, OutputFormat.TABLE}:
                out.writelines(_wrapped(line) + "\n" for line in lines)
            elif form is OutputFormat.CSV:
                raise typer.BadParameter("an explanation is a text or JSON", param_hint="--format")
            else:
                out.write(dumps({**device_to_json(row), "explanation": lines}) + "\n")


def _wrapped(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    rows = textwrap.wrap(
        line, _WIDTH, subsequent_indent=indent, drop_whitespace=True, replace_whitespace=False
    )
    return "\n".join(rows)

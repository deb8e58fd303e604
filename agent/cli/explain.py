"""``camcensus explain``: why a device got its verdict, and what would change it."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Annotated, Final

import typer

from agent.cli.devices import devices_called
from agent.cli.options import OuiOption, OutputOption, PolicyOption
from agent.cli.places import installed_or_shipped
from agent.cli.wiring import opened
from fingerprints.explain import explain_device
from fingerprints.rules import load_knowledge

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
    output: OutputOption = None,
    policy: PolicyOption = None,
    oui: OuiOption = None,
) -> None:
    """Say why: the evidence rule by rule, and what would change the verdict."""
    found = devices_called(source, device, policy, oui)
    knowledge = load_knowledge(installed_or_shipped())
    with opened(output) as out:
        for row in found:
            for line in explain_device(row, knowledge):
                indent = " " * (len(line) - len(line.lstrip()) + 2)
                wrapped = textwrap.wrap(
                    line, _WIDTH, subsequent_indent=indent, drop_whitespace=True, replace_whitespace=False
                )
                out.write("\n".join(wrapped or [""]) + "\n")
    sys.stdout.flush()

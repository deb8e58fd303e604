"""``camcensus explain``: why a device got its verdict, and what would change it."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Annotated, Final

import typer

from agent.cli.identify import sample_lines
from agent.cli.options import OuiOption, OutputOption, PolicyOption
from agent.cli.wiring import opened, prepare
from agent.observations import read_sample
from agent.probes import ALL
from fingerprints.codec import MAX_REPORT, CodecError, report_from_json
from fingerprints.explain import explain_device
from fingerprints.model import Device
from fingerprints.policy import apply_policies
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
    found = [row for row in _devices(source, policy, oui) if _is_called(row, device)]
    if not found:
        raise CodecError(f"{source}: no device is called {device!r}")
    knowledge = load_knowledge()
    with opened(output) as out:
        for row in found:
            for line in explain_device(row, knowledge):
                indent = " " * (len(line) - len(line.lstrip()) + 2)
                wrapped = textwrap.wrap(
                    line, _WIDTH, subsequent_indent=indent, drop_whitespace=True, replace_whitespace=False
                )
                out.write("\n".join(wrapped or [""]) + "\n")
    sys.stdout.flush()


def _is_called(row: Device, name: str) -> bool:
    wanted = name.casefold()
    names = (row.id, row.verdict.serial or "", *row.addresses, *row.macs, *row.hostnames)
    return wanted in {text.casefold() for text in names if text}


def _devices(source: Path, policy: list[str] | None, oui: Path | None) -> list[Device]:
    """The devices of a report, or those that the observations of a file describe."""
    if source.suffix != ".jsonl":
        if source.stat().st_size > MAX_REPORT:
            raise CodecError(f"{source}: is larger than {MAX_REPORT} bytes")
        try:
            document = json.loads(source.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise CodecError(f"{source}: is not JSON: {error}") from None
        return list(report_from_json(document).devices)
    bench = prepare(policy, oui)
    devices = []
    for where, line in sample_lines([str(source)]):
        sample = read_sample(line, where, bench.judge.knowledge.fields, ALL)
        verdict = bench.judge.judge(sample.facts)
        finding = apply_policies(verdict, bench.policies, bench.judge.knowledge)
        macs = (verdict.mac,) if verdict.mac else ()
        devices.append(Device(str(sample.id), verdict, finding, macs=macs, problems=sample.problems))
    return devices

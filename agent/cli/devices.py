"""Finds a device by any of its names in a report, or in recorded observations."""

from __future__ import annotations

from pathlib import Path

from agent.cli.identify import sample_lines
from agent.cli.reports import read_report
from agent.cli.wiring import prepare
from agent.observations import read_sample
from agent.probes import ALL
from fingerprints.codec import CodecError
from fingerprints.model import Device, Observation, Speaker
from fingerprints.policy import apply_policies

__all__ = ["devices_called"]


def devices_called(
    source: Path, name: str, policy: list[str] | None = None, oui: Path | None = None
) -> list[Device]:
    """The devices of `source` with this id, address, MAC, serial or host name, at least one.

    Raises CodecError where the file is no report or none is called so.
    """
    found = [row for row in _devices(source, policy, oui) if _is_called(row, name)]
    if not found:
        raise CodecError(f"{source}: no device is called {name!r}")
    return found


def _is_called(row: Device, name: str) -> bool:
    wanted = name.casefold()
    names = (row.id, row.verdict.serial or "", *row.addresses, *row.macs, *row.hostnames)
    return wanted in {text.casefold() for text in names if text}


def _devices(source: Path, policy: list[str] | None, oui: Path | None) -> list[Device]:
    """The devices of a report, or those that the observations of a file describe."""
    if source.suffix != ".jsonl":
        return list(read_report(source).devices)
    bench = prepare(policy, oui)
    devices = []
    for where, line in sample_lines([str(source)]):
        sample = read_sample(line, where, bench.judge.knowledge, ALL)
        verdict = bench.judge.judge(sample.facts)
        finding = apply_policies(verdict, bench.policies, bench.judge.knowledge)
        macs = (verdict.mac,) if verdict.mac else ()
        said = tuple(Observation(fact, Speaker()) for fact in sample.facts)
        devices.append(
            Device(str(sample.id), verdict, finding, macs=macs, problems=sample.problems, observations=said)
        )
    return devices

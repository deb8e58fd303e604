"""The project's own captures give the facts and verdicts that stand beside them."""

from __future__ import annotations

import functools
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fingerprints.model import Report
from tests.golden import expectation, expected_path, replayed
from tests.places import REPO

FOLDER = REPO / "pcaps"
CAPTURES = sorted(path for path in FOLDER.iterdir() if path.suffix in {".pcap", ".pcapng"})
INDEX: dict[str, Any] = tomllib.loads((FOLDER / "index.toml").read_text(encoding="utf-8"))
TRUTHS = ("manufacturer", "brand", "model", "device_class")


@functools.cache
def report_on(name: str) -> Report:
    """The report on one capture, made once."""
    return replayed(FOLDER / name)


def test_every_capture_is_in_the_index() -> None:
    """The index tells of exactly the captures that are here."""
    assert {path.stem for path in CAPTURES} == set(INDEX)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_golden(capture: Path) -> None:
    """Facts and verdicts are exactly those that were reviewed."""
    golden = json.loads(expected_path(capture).read_text(encoding="utf-8"))
    assert expectation(report_on(capture.name)) == golden


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_the_filter_changes_nothing(capture: Path) -> None:
    """With the derived filter and without it: the same facts and verdicts."""
    assert expectation(report_on(capture.name)) == expectation(replayed(capture, unfiltered=True))


@pytest.mark.parametrize("name", sorted(INDEX))
def test_hosts_are_named(name: str) -> None:
    """Each host is said to be what the index says it is; a neighbour is never flagged nor suspected."""
    report = report_on(f"{name}.pcap")
    mistakes = []
    for host in INDEX[name]["host"]:
        found = [
            device
            for device in report.devices
            if host["mac"] in device.macs or host.get("ip") in device.addresses
        ]
        if "manufacturer" not in host:
            bad = [device for device in found if device.finding.status in {"flagged", "suspected"}]
            mistakes += [f"{host['name']} is {device.finding.status}" for device in bad]
            continue
        if len(found) != 1:
            mistakes.append(f"{host['name']} was found {len(found)} times")
            continue
        verdict = found[0].verdict
        mistakes += [
            f"{host['name']}: {key} {getattr(verdict, key)!r}, not {host[key]!r}"
            for key in TRUTHS
            if key in host and getattr(verdict, key) != host[key]
        ]
        if (found[0].finding.status == "flagged") != host["flagged"]:
            mistakes.append(f"{host['name']} is {found[0].finding.status}")
    assert mistakes == []

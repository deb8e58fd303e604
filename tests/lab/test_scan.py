"""Tests that a scan of the lab finds every host and names it as what it is, with root and without."""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import Any

import pytest

from simulator.device import Device
from tests.lab.network import Lab, Member

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

SCAN = (sys.executable, "-m", "agent.cli", "scan", Lab.subnet, "--format", "json", "--quiet")


@functools.cache
def scanned(lab: Lab, *, root: bool) -> dict[str, Any]:
    """The report's devices by address, from one scan for the whole session."""
    if not os.environ.get("CI") and lab.run([*SCAN[:4], "--help"]).returncode:
        pytest.skip("the scan command does not run here")
    done = lab.run(SCAN, root=root, seconds=300)
    assert done.returncode in {0, 4}, done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    return {address: device for device in report["devices"] for address in device["addresses"]}


def wrong(member: Member, found: dict[str, Any] | None) -> list[str]:
    """What the report says of `member` that is not true."""
    if found is None:
        return ["not found"]
    truth = member.truth
    finding, level = found["finding"], found["level"]
    if not isinstance(truth, Device) or truth.manufacturer is None:
        return [f"finding {finding}"] if finding in {"flagged", "suspected"} else []
    said = {
        "manufacturer": (found["manufacturer"], truth.manufacturer),
        "finding": (finding, "flagged" if truth.flagged else "clear"),
        "brand": (found["brand"], truth.brand),
        "model": (found["model"], truth.model),
        "device_class": (found["device_class"], truth.device_class),
    }
    told = {name: pair for name, pair in said.items() if name not in truth.hidden and pair[1] is not None}
    return [
        f"{name} {pair[0]!r}, not {pair[1]!r} ({level})" for name, pair in told.items() if pair[0] != pair[1]
    ]


@pytest.mark.parametrize("root", [True, False], ids=["root", "unprivileged"])
def test_every_host_is_found_and_named(lab: Lab, root: bool) -> None:
    """Manufacturer, brand, model, class and finding are right for every host; no neighbour is flagged."""
    found = scanned(lab, root=root)
    mistakes = {
        member.name: errors for member in lab.members if (errors := wrong(member, found.get(member.ip)))
    }
    assert mistakes == {}


@pytest.mark.parametrize("root", [True, False], ids=["root", "unprivileged"])
def test_nothing_is_invented(lab: Lab, root: bool) -> None:
    """The report has no device at an address where nothing stands."""
    standing = {member.ip for member in lab.members} | {lab.scanner_ip}
    assert {address for address in scanned(lab, root=root) if ":" not in address} <= standing


@pytest.mark.parametrize("root", [True, False], ids=["root", "unprivileged"])
def test_macs_are_known_on_the_own_subnet(lab: Lab, root: bool) -> None:
    """On the scanner's own subnet every device is reported with its MAC."""
    found = scanned(lab, root=root)
    for member in lab.members:
        assert found[member.ip]["mac"] == member.mac, member.name

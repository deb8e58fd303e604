"""Third-party captures: what is Hikvision's or Dahua's is flagged, and nothing else ever is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fingerprints.model import Device, Report
from tests.golden import replayed
from tests.places import SHARED, needs_shared

FLAGGED = ("Hikvision", "Dahua")


def rows(*uses: str) -> list[Any]:
    """The files of the index for these uses, as test parameters."""
    index = SHARED / "pcaps" / "index.jsonl"
    if not index.exists():
        return [pytest.param({}, marks=needs_shared, id="none")]
    lines = [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()]
    return [pytest.param(row, id=row["file"]) for row in lines if row["use"] in uses]


def report_on(row: dict[str, Any]) -> Report:
    """The report on a file of the index."""
    return replayed(Path(SHARED / "pcaps" / row["file"]))


def findings(report: Report) -> dict[str, list[str]]:
    """Devices by finding."""
    found: dict[str, list[str]] = {}
    for device in report.devices:
        found.setdefault(device.finding.status, []).append(device.id)
    return found


def device_with(report: Report, mac: str | None, ip: str | None) -> Device | None:
    """The device with this MAC or address."""
    for device in report.devices:
        if (mac and mac.lower() in device.macs) or (ip and ip in device.addresses):
            return device
    return None


@needs_shared
@pytest.mark.parametrize("row", rows("negative"))
def test_nothing_is_flagged_without_cause(row: dict[str, Any]) -> None:
    """A capture without Hikvision or Dahua gives no flagged and no suspected device."""
    found = findings(report_on(row))
    assert not found.get("flagged")
    assert not found.get("suspected")


@needs_shared
@pytest.mark.parametrize("row", rows("robustness", "volume"))
def test_odd_captures_end_in_a_report(row: dict[str, Any]) -> None:
    """Whatever the file holds, a report comes out, and what was not read is named."""
    report = report_on(row)
    for problem in report.problems:
        assert row["file"] in problem.where or problem.where


@needs_shared
@pytest.mark.parametrize("row", rows("camera-positive"))
def test_cameras_are_named(row: dict[str, Any]) -> None:
    """Devices of the two makers are flagged; other makers' devices never are."""
    report = report_on(row)
    for stated in row["devices"]:
        device = device_with(report, stated.get("mac"), stated.get("ip"))
        truth = stated.get("truth_vendor") or ""
        if device is None:
            continue
        if truth.startswith(FLAGGED):
            assert device.finding.status == "flagged", device.verdict
        else:
            assert device.finding.status not in {"flagged", "suspected"}, device.verdict

"""Third-party captures: what is Hikvision's or Dahua's is flagged, and nothing else ever is."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.processes import Command, run
from fingerprints.model import Device, Report
from fingerprints.rules import load_knowledge
from tests.golden import replayed
from tests.places import REPO, SHARED, needs_shared

FLAGGED = ("Hikvision", "Dahua")
SURVEILLANCE = {"camera", "recorder", "encoder", "doorbell", "intercom"}
UNNAMED = {
    # The index says of the first that its maker cannot honestly be named, of the second nothing but a folder's name.
    "7c:25:da:62:14:52",
    "00:03:7f:96:d8:ec",
}
"""Devices whose packets do not show the maker that the index knows from elsewhere."""
BESIDE = re.compile(
    r"(?i)\((?:phone|router|client|laptop)|router|gateway|controller|NETGEAR|Linksys|P20 lite"
)
"""Words of the index for what stands beside a camera."""


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
@pytest.mark.parametrize("row", [param for param in rows("negative") if param.values[0].get("trap")])
def test_a_trap_catches_nobody(row: dict[str, Any]) -> None:
    """What only looks like a camera, asks for one or shares its maker's name is none."""
    for device in report_on(row).devices:
        assert device.verdict.device_class not in SURVEILLANCE, device.verdict


@needs_shared
@pytest.mark.timeout(10)
@pytest.mark.parametrize("row", rows("robustness", "volume"))
def test_odd_captures_end_in_a_report(row: dict[str, Any]) -> None:
    """Whatever the file holds, a report comes out; what was not read is named with file and byte."""
    for problem in report_on(row).problems:
        assert row["file"] in problem.where
        if problem.kind in {"truncated", "unreadable"}:
            assert problem.where.rpartition("@")[2].isdecimal()


@needs_shared
def test_the_whole_folder_ends_in_a_report(tmp_path: Path) -> None:
    """All of them in one run: done but incomplete, within 200 MiB, every capture with its part of the coverage."""
    output = tmp_path / "report.json"
    argv = (sys.executable, "-m", "agent.cli", "replay", "--format", "json", "--output", str(output))
    replay = Command("replay", (*argv, str(SHARED / "pcaps")), {}, frozenset({4}), REPO)
    # Measured there without what this process has in memory itself.
    assert run(replay).peak < 200
    captures = json.loads(output.read_text(encoding="utf-8"))["coverage"]["captures"]
    names = {row.values[0]["file"] for row in rows("robustness", "volume", "negative", "camera-positive")}
    seen = {Path(capture["name"]).name for capture in captures}
    # Two of the files are no captures at all, which is a Problem of theirs.
    assert names - seen == {"rob-mud-gitlfs-pointer.pcap", "rob-pcpp-solaris.snoop"}


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


@needs_shared
@pytest.mark.parametrize("row", rows("camera-positive"))
def test_cameras_have_the_maker_that_the_index_states(row: dict[str, Any]) -> None:
    """Every camera is there under its maker or its badge; what stands beside it is no camera."""
    report = report_on(row)
    makers = load_knowledge().manufacturers
    for stated in row["devices"]:
        mac, truth = (stated.get("mac") or "")[:17], stated.get("truth_vendor")
        device = device_with(report, mac or None, stated.get("ip"))
        if truth is None or BESIDE.search(f"{truth} {stated.get('truth_model')}"):
            assert device is None or device.verdict.device_class not in SURVEILLANCE, device.verdict
            continue
        assert device is not None, stated
        if mac in UNNAMED:
            assert device.verdict.manufacturer is None
            continue
        maker, brand = device.verdict.manufacturer, device.verdict.brand
        assert maker is not None, stated
        assert truth in makers[maker].aliases or truth.partition(" (")[0] in {maker, brand}, device.verdict


@needs_shared
def test_what_tuya_s_devices_announce_is_read() -> None:
    """Each of the thirteen devices of a recording is known by its own announcement, encrypted or not."""
    report = replayed(Path(SHARED / "pcaps" / "neg-tuya-lan-beacons.pcap"))
    named = [
        device.id
        for device in report.devices
        if device.verdict.manufacturer == "Tuya"
        and any(row.fact.field == "discovery.tuya.product-key" for row in device.observations)
    ]
    assert len(named) == 13

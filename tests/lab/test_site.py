"""Tests that one scan finds every camera of a site that hides them in every known way, or counts it."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.network import missing_tools
from tests.lab.site import INVENTED, Site

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

LOGIN = ("viewer", "only-to-look-7")
SCAN = (sys.executable, "-m", "agent.cli", "scan", *Site.subnets, "--format", "json")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one scan said: its report, all that it wrote, what our own `listen` kept of it."""

    report: dict[str, Any]
    written: str
    evidence: bytes

    @property
    def blind_spots(self) -> dict[str, int]:
        """How many of each kind."""
        return {row["kind"]: row["count"] for row in self.report["coverage"]["blind_spots"]}

    def at(self, address: str) -> dict[str, Any]:
        """The one device with an address, not counting what only a recorder tells of."""
        (found,) = (
            device
            for device in self.report["devices"]
            if address in device["addresses"] and not device.get("hidden")
        )
        return dict(found)


def scanned(site: Site, home: Path, *options: str) -> Seen:
    evidence = home / "evidence.pcapng"
    with site.listening(evidence, home):
        done = site.run([*SCAN, *options], home)
    assert done.returncode in {0, 4}, done.stderr
    assert "Traceback" not in done.stderr
    kept = b"".join(
        path.read_bytes() for path in home.rglob("*") if path.is_file() and path.suffix != ".toml"
    )
    return Seen(json.loads(done.stdout), done.stdout + done.stderr, kept)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The site, for all tests of this file."""
    missing = missing_tools() if os.geteuid() == 0 else ["root"]
    if missing and os.environ.get("CI"):
        pytest.fail(f"the site needs {', '.join(missing)}; nothing may be skipped in CI")
    if missing:
        pytest.skip(f"the site needs {', '.join(missing)}")
    with Site() as stands:
        yield stands


@pytest.fixture(scope="module")
def seen(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """One scan with a login for the recorder."""
    home = tmp_path_factory.mktemp("with-login")
    path = home / "credentials.toml"
    path.touch(0o600)
    path.write_text(
        f'[[login]]\nname = "recorders"\nhosts = ["10.10.10.20"]\nusername = "{LOGIN[0]}"\npassword = "{LOGIN[1]}"\n'
    )
    return scanned(site, home, "--credentials", str(path))


@pytest.fixture(scope="module")
def without(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """One scan without any login."""
    return scanned(site, tmp_path_factory.mktemp("without-login"))


@pytest.mark.parametrize("camera", Site.cameras, ids=lambda camera: camera.role)
def test_every_camera_is_found_or_counted(seen: Seen, camera: Any) -> None:
    """Each stands in the report with its maker, or is one of the hosts that a blind spot counts by name."""
    address = camera.addresses[0] if camera.addresses else None
    if address is None:
        found = next(device for device in seen.report["devices"] if camera.device.mac in device["macs"])
    else:
        found = seen.at(address)
    if found["manufacturer"] is None:
        told = [row["id"] for row in seen.report["coverage"]["unidentified_hosts"]]
        assert found["id"] in told
        assert seen.blind_spots["unidentified"] == len(told)
        assert camera.role == "only port 8000"
    else:
        assert found["manufacturer"] == camera.device.manufacturer
        assert found["finding"] in ({"flagged", "suspected"} if camera.device.flagged else {"clear"})


def test_the_port_that_one_has_is_told(seen: Seen) -> None:
    """A host of which nothing but port 8000 is known, behind a router, is listed with that port."""
    rows = seen.report["coverage"]["unidentified_hosts"]
    assert next(row["ports"] for row in rows if row["addresses"] == ["10.10.20.60"]) == [8000]


def test_hidden_cameras_are_devices_behind_the_recorder(seen: Seen) -> None:
    """The eight cameras on the recorder's own ports are told by maker, model, firmware and address."""
    hidden = [device for device in seen.report["devices"] if device.get("hidden")]
    assert [device["addresses"] for device in hidden] == [[f"192.168.254.{at}"] for at in range(2, 10)]
    recorder = seen.at("10.10.10.20")["id"]
    assert {row["recorder"] for device in hidden for row in device["behind"]} == {recorder}
    assert all(device["model"] and device["firmware"] for device in hidden)
    assert [device["manufacturer"] == "Hikvision" for device in hidden] == [True] * 7 + [False]
    assert seen.blind_spots["channels"] == 1


def test_without_a_login_the_channels_are_counted(without: Seen) -> None:
    """Without credentials the recorder's own statement counts eight channels that nobody saw."""
    assert not [device for device in without.report["devices"] if device.get("hidden")]
    (row,) = without.report["coverage"]["recorders"]
    assert (row["channels"], row["cameras"], row["listed"]) == (8, 0, False)
    assert without.blind_spots["channels"] == 8


def test_a_factory_address_is_out_of_scope(seen: Seen) -> None:
    """A camera that nobody set up is seen, told of as out of scope, and asked nothing more."""
    rows = {row["address"]: row for row in seen.report["coverage"]["out_of_scope"]}
    assert rows["192.168.1.64"]["factory_address_of"] == "Hikvision"
    assert seen.blind_spots["out-of-scope"] == len(rows)


def test_one_device_with_two_addresses(seen: Seen) -> None:
    """The camera with a foot in two VLANs is one device."""
    found = seen.at("10.10.10.50")
    assert found["addresses"] == ["10.10.10.50", "10.10.20.50"]
    assert found["serial"]


def test_two_devices_with_one_mac(seen: Seen) -> None:
    """Two cameras that carry one invented MAC stay two, and each is shown as the other's conflict."""
    one, other = seen.at("10.10.10.40"), seen.at("10.10.10.41")
    assert one["id"] != other["id"]
    assert one["macs"] == other["macs"] == [INVENTED]
    for mine, theirs in ((one, other), (other, one)):
        conflicts = [(row["claim"], row["against"]) for row in mine["conflicts"]]
        assert ("identity", theirs["id"]) in conflicts


def test_what_the_router_hides_is_counted(seen: Seen) -> None:
    """Hosts of the routed VLANs have no MAC here; each is counted, with the step that would tell it."""
    told = [device for device in seen.report["devices"] if not device["macs"] and not device.get("hidden")]
    assert seen.blind_spots["without-mac"] == len(told)
    assert {subnet["subnet"] for subnet in seen.report["coverage"]["subnets"]} >= set(Site.subnets)


def test_no_password_is_written_anywhere(seen: Seen) -> None:
    """The report, what was said on the way, the inventory and the capture that `listen` kept hold none."""
    assert len(seen.evidence) > 10_000
    assert b"/ISAPI/ContentMgmt/InputProxy/channels" in seen.evidence
    for form in (LOGIN[1], base64.b64encode(":".join(LOGIN).encode()).decode()):
        assert form not in seen.written
        assert form.encode() not in seen.evidence


def test_each_subnet_tells_what_was_asked_and_what_was_filtered(seen: Seen) -> None:
    """Per subnet: hosts asked and silent in each protocol, TCP ports open, refused or filtered."""
    rows = {row["subnet"]: row for row in seen.report["coverage"]["subnets"]}
    for subnet in Site.subnets:
        assert rows[subnet]["asked"]["sadp"] >= rows[subnet]["timed_out"].get("sadp", 0) > 0
        assert rows[subnet]["tcp_ports"]["open"] > 0
        assert rows[subnet]["tcp_ports"]["refused"] > 0
    assert seen.report["coverage"]["silent_subnets"] == []

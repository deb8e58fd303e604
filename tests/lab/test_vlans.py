"""Tests that a trunk port is asked VLAN by VLAN: simulated devices behind a switch of tagged ports."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from simulator.device import Device, load
from tests.lab.network import INTERFACE, Lab, missing_tools
from tests.lab.trunk import Trunk

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make network namespaces"),
    pytest.mark.timeout(180),
]

# The lab deals them out in turn: the first to VLAN 20, the second to 30, the third to 10, and so on.
VLANS = (10, 20, 30)
DEVICES = (
    "hikvision-ds-2cd2385g1-i",
    "hikvision-ds-7804hqh-k1",
    "dahua-dh-ipc-hdw1230t2",
    "axis-m2036-le",
    "dahua-hcvr",
    "uniview-ipc2122lb",
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Six devices in three VLANs that share one net, the scanner on the trunk."""
    missing = missing_tools()
    if missing:
        pytest.skip(f"missing tool: {', '.join(missing)}")
    with Lab([load(name) for name in DEVICES], (), tmp_path_factory.mktemp("vlans"), VLANS) as network:
        yield network


def scanned(lab: Lab, *words: str) -> dict[str, Any]:
    """The report of a scan on the trunk."""
    argv = [sys.executable, "-m", "agent.cli", "scan", "--interface", INTERFACE, "--format", "json", *words]
    done = lab.run(argv)
    assert done.returncode in {0, 4}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def seen(report: dict[str, Any]) -> set[tuple[str, int, str | None]]:
    """MAC, VLAN and maker of each device."""
    return {(row["macs"][0], row["vlans"][0], row["manufacturer"]) for row in report["devices"]}


def planted(lab: Lab, *vlans: int) -> set[tuple[str, int | None, str | None]]:
    """The same of the devices that stand in these VLANs."""
    return {
        (member.mac, member.vlan, member.truth.manufacturer)
        for member in lab.devices
        if member.vlan in vlans and isinstance(member.truth, Device)
    }


def switch(lab: Lab) -> Trunk:
    """What carries the frames."""
    assert lab.trunk is not None
    return lab.trunk


def test_hosts_of_listed_vlans_are_found_and_labelled(lab: Lab) -> None:
    """Each device of VLANs 10 and 20 has maker, address and VLAN; nothing is sent to, nor said of, VLAN 30."""
    switch(lab).tags.clear()
    report = scanned(lab, "--vlans", f"10={lab.scanner_ip}/24,20={lab.scanner_ip}/24")
    assert seen(report) == planted(lab, 10, 20)
    addresses = {ip for row in report["devices"] for ip in row["addresses"]}
    assert addresses >= {member.ip for member in lab.devices if member.vlan in {10, 20}}
    # Frames without a tag are the kernel's own, such as IPv6 makes them.
    assert switch(lab).tags - {None} == {10, 20}
    assert {row["vlan"]: row["alive"] for row in report["coverage"]["trunk"]["vlans"]} == {10: 2, 20: 2}
    assert report["coverage"]["incomplete"] is False
    assert report["coverage"]["out_of_scope"] == []


def test_an_address_is_learned(lab: Lab) -> None:
    """Who speaks in a VLAN tells its net; an address is taken that nobody has and nobody excluded."""
    switch(lab).tags.clear()
    with ThreadPoolExecutor(1) as pool:
        scan = pool.submit(scanned, lab, "--vlans", "10", "--exclude", "10.77.0.128-10.77.0.254")
        while not scan.done():
            lab.announce()
            time.sleep(0.5)
        report = scan.result()
    assert seen(report) == planted(lab, 10)
    trunk = report["coverage"]["trunk"]
    (vlan,) = trunk["vlans"]
    assert vlan["learned"] is True
    assert vlan["address"] not in {member.ip for member in lab.devices}
    assert ipaddress.ip_address(vlan["address"]) in ipaddress.ip_network("10.77.0.0/25")
    assert trunk["vlans_heard_not_listed"] == [20, 30]
    assert "vlans" in {spot["kind"] for spot in report["coverage"]["blind_spots"]}
    assert switch(lab).tags - {None} == {10}


def test_a_silent_vlan_is_a_named_gap(lab: Lab) -> None:
    """Where nothing is heard no address is learned: nothing is sent, and the Problem says what to do."""
    switch(lab).tags.clear()
    report = scanned(lab, "--vlans", "40")
    assert report["devices"] == []
    assert report["coverage"]["incomplete"] is True
    assert [row["where"] for row in report["problems"]] == [f"{INTERFACE} VLAN 40"]
    assert "--vlans 40=ADDRESS/PREFIX" in report["problems"][0]["what"]
    assert switch(lab).tags - {None} == set()


def test_an_address_that_is_taken_is_left_alone(lab: Lab) -> None:
    """Nobody is asked from the address of a device that is there; the Problem names who has it."""
    (taken,) = (member for member in lab.devices if member.name == "hikvision-ds-2cd2385g1-i")
    report = scanned(lab, "--vlans", f"{taken.vlan}={taken.ip}/24")
    assert [row["what"] for row in report["problems"]] == [
        f"is not asked: {taken.ip} is taken, {taken.mac} has it"
    ]
    assert report["coverage"]["incomplete"] is True
    assert report["coverage"]["trunk"]["vlans"][0]["asked"] == {}


def test_a_device_that_ignores_groups_is_asked_by_itself(lab: Lab) -> None:
    """A recorder that drops every packet to a group answers ARP, then its maker's question to itself."""
    if shutil.which("nft") is None:
        pytest.skip("missing tool: nft")
    (deaf,) = (member for member in lab.devices if member.name == "hikvision-ds-2cd2385g1-i")
    rules = """table inet deaf {
        chain input {
            type filter hook input priority 0
            ip daddr { 224.0.0.0/4, 255.255.255.255 } drop
        }
    }
    """
    nft = ["ip", "netns", "exec", deaf.namespace, "nft"]
    subprocess.run([*nft, "-f", "-"], input=rules, text=True, check=True)
    try:
        report = scanned(lab, "--vlans", f"20={lab.scanner_ip}/24")
    finally:
        subprocess.run([*nft, "delete", "table", "inet", "deaf"], check=True)
    assert seen(report) == planted(lab, 20)

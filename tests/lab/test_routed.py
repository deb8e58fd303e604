"""Tests that what a router and a switch know closes what they hide: their own tables, by their own snmpd."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.switches.snmp_site import COMMUNITY, missing
from tests.lab import bridge_mib, namespaces
from tests.lab.network import missing_tools
from tests.lab.site import Site

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

HIDDEN = "10.10.20.60"
"""The camera of which port 8000 alone is open, behind the router."""
SWITCH = "10.10.10.2"


@contextlib.contextmanager
def snmpd(namespace: str, folder: Path, *more: str) -> Iterator[None]:
    """A real snmpd in a namespace."""
    folder.mkdir()
    (folder / "snmpd.conf").write_text(
        "\n".join((f"rocommunity {COMMUNITY}", f"sysName {folder.name}", *more, ""))
    )
    command = ["/usr/sbin/snmpd", "-f", "-Lo", "-C", "-c", str(folder / "snmpd.conf"), "udp:161"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", namespace, *command],
            env={"SNMP_PERSISTENT_DIR": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdout=log,
            stderr=log,
        )
        try:
            until = time.monotonic() + 20
            while "NET-SNMP version" not in (folder / "log").read_text():
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One scan of three cameras behind the router, with its tables and those of the switch."""
    lacking = missing_tools() if os.geteuid() == 0 else ["root"]
    if lacking or missing():
        pytest.skip(f"missing tool: {', '.join(lacking) or 'snmpd'}")
    folder = tmp_path_factory.mktemp("routed")
    credentials = folder / "credentials.toml"
    credentials.write_text(f'[[snmp-community]]\nhosts = ["10.10.10.0/24"]\ncommunity = "{COMMUNITY}"\n')
    credentials.chmod(0o600)
    with Site() as site, contextlib.ExitStack() as stack:
        namespaces.ip([f"addr add {SWITCH}/24 dev br10"], site._switch)
        stack.enter_context(snmpd(site._router, folder / "router"))
        bridge = f"pass_persist .1.3.6.1.2.1.17 {sys.executable} {bridge_mib.__file__}"
        stack.enter_context(snmpd(site._switch, folder / "switch", bridge))
        argv = [
            sys.executable,
            "-m",
            "agent.cli",
            "scan",
            "10.10.20.60-61",
            "10.10.30.70",
            "--format",
            "json",
        ]
        argv += ["--switch", f"10.10.10.1,{SWITCH}", "--credentials", str(credentials)]
        done = site.run(argv, folder)
    assert done.returncode in {0, 4}, done.stderr
    assert COMMUNITY not in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_router_tells_the_macs_that_it_hides(report: dict[str, Any]) -> None:
    """Every camera of the routed VLANs has its MAC; the one that says nothing has its maker by that."""
    cameras = {nic.ip: camera for camera in Site.cameras for nic in camera.nics if nic.ip}
    found = {device["addresses"][0]: device for device in report["devices"] if device["addresses"]}
    for ip in (HIDDEN, "10.10.20.61", "10.10.30.70"):
        assert found[ip]["macs"] == [cameras[ip].device.mac]
        assert found[ip]["manufacturer"] == cameras[ip].device.manufacturer
    assert found[HIDDEN]["finding"] == "flagged"
    assert not [row for row in report["coverage"]["blind_spots"] if row["kind"] == "without-mac"]


def test_the_switch_tells_their_ports(report: dict[str, Any]) -> None:
    """Each stands on the port of the bridge that its cable is in, alone."""
    found = {
        device["addresses"][0]: device["location"] for device in report["devices"] if device["addresses"]
    }
    for at, camera in enumerate(Site.cameras):
        for number, nic in enumerate(camera.nics):
            if nic.ip in {HIDDEN, "10.10.20.61", "10.10.30.70"}:
                place = found[nic.ip]
                assert (place["switch"], place["port"], place["macs"]) == ("switch", f"c{at}x{number}", 1)

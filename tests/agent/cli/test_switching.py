"""Tests of ``camcensus scan --switch``, with real switches' tables behind a real snmpd."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent.cli.app import run
from tests.agent.switches.snmp_site import COMMUNITY, missing
from tests.netns import run_apart

# The site of test_switches on its own loopback, where port 161 is free, with one of its cameras there.
_SCRIPT = """
import pathlib, subprocess, sys
from tests.agent.switches.snmp_site import serving
from tests.agent.switches.test_switches import ACCESS, CAMERA, site
from agent.cli.app import run
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
folder = pathlib.Path(sys.argv[1])
tables = site()
tables[ACCESS].neighbour(1, "127.88.9.7", CAMERA)
with serving(tables, folder, 161):
    code = run(["scan", "127.88.9.7", "--interface", "lo", "--ports", "9", "--quiet", "--format", "json", *sys.argv[2:]])
sys.exit(code)
"""


def scanned(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of a scan beside the served switches."""
    done = run_apart(_SCRIPT, str(folder), *words)
    assert done.stdout, done.stderr
    assert COMMUNITY not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make network namespaces")
def test_a_technician_can_walk_to_the_camera(tmp_path: Path) -> None:
    """A host that says nothing gets MAC, maker, switch, port and watts out of the switches' tables."""
    if missing():
        pytest.skip("missing tool: snmpd")
    path = tmp_path / "credentials.toml"
    path.write_text(f'[[snmp-community]]\nhosts = ["127.88.0.0/24"]\ncommunity = "{COMMUNITY}"\n')
    path.chmod(0o600)
    code, report = scanned(tmp_path, "--switch", "127.88.0.1-127.88.0.2", "--credentials", str(path))
    assert code == 0, report["problems"]
    found = {device["addresses"][0]: device for device in report["devices"] if device["addresses"]}
    camera = found["127.88.9.7"]
    assert (camera["manufacturer"], camera["macs"]) == ("Hikvision", ["44:47:cc:00:00:07"])
    assert camera["location"] == {
        "switch": "sw-127.88.0.2",
        "port": "Gi1/0/7",
        "description": "camera gate",
        "vlan": 10,
        "macs": 1,
        "poe_watts": 6.3,
        "poe_class": 3,
    }
    assert [row["name"] for row in report["coverage"]["switches"]] == ["sw-127.88.0.1", "sw-127.88.0.2"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--switch", "10.0.0.1"), "--credentials"),
        (("--switch", "10.0.0.0/20", "--credentials", "x"), "name the switches"),
        (("--switch", "11.0.0.1", "--credentials", "x"), "11.0.0.1"),
    ],
)
def test_switches_are_named_and_allowed(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without credentials, with too many or with a public address nothing is sent."""
    assert run(["scan", "127.0.0.77", "--interface", "lo", *words]) == 2
    assert says in capsys.readouterr().err

"""Tests of what brings knowledge to a command."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from agent.cli.app import run
from tests.places import REPO, SHARED, needs_shared


@needs_shared
def test_a_replay_tells_who_phones_home(capsys: pytest.CaptureFixture[str]) -> None:
    """A recorded camera that looks up its maker's cloud has its calls counted, with the time of the last."""
    run(["replay", "--quiet", "--format", "json", str(SHARED / "pcaps/pos-dlink-dcs935l-setup-B-1.pcap")])
    report = json.loads(capsys.readouterr().out)
    calls = {call["name"]: call for call in report["phone_home"]}
    call = calls["signal.mydlink.com"]
    assert call["maker"] == "D-Link"
    assert call["count"] > 0
    assert call["device"] in {device["id"] for device in report["devices"]}


def test_the_list_of_clouds_is_read_when_a_name_is_asked_for() -> None:
    """A census that meets no name does not pay for the list."""
    code = (
        "import sys; from agent.cli.wiring import prepare; prepare(None, None).tally();"
        "sys.exit('fingerprints.clouds' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO, check=False).returncode == 0

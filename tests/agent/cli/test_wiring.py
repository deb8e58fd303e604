"""Tests of what brings knowledge to a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.utils import PcapReader

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


@needs_shared
def test_a_replay_tells_how_much_a_device_sends_home(capsys: pytest.CaptureFixture[str]) -> None:
    """The bytes of a recorded camera's connections to its cloud are those that another reader counts."""
    capture = SHARED / "pcaps" / "pos-360-camera.pcap"
    run(["replay", "--quiet", "--format", "json", str(capture)])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["phone_home"]}
    for name, connections in (("up2.jia.360.cn", 5), ("ota3.jia.360.cn", 1)):
        row = rows[name]
        assert row["connections_measured"] == connections
        assert (row["bytes_sent"], row["bytes_received"]) == said_in_connections(capture, name.encode())
    assert {row["bytes_sent"] for row in rows.values() if not row["connections_measured"]} <= {None}


def said_in_connections(capture: Path, name: bytes) -> tuple[int, int]:
    """Distinct bytes both ways in the TCP connections in whose first segment a name stands."""
    said: dict[frozenset[tuple[str, int]], dict[tuple[str, int], set[int]]] = {}
    caller: dict[frozenset[tuple[str, int]], tuple[str, int]] = {}
    with PcapReader(str(capture)) as frames:
        for frame in frames:
            if TCP not in frame or IP not in frame:
                continue
            ip, segment = frame[IP], frame[TCP]
            size = ip.len - 4 * ip.ihl - 4 * segment.dataofs
            here = (ip.src, segment.sport)
            ends = frozenset((here, (ip.dst, segment.dport)))
            if name in bytes(segment.payload)[:size]:
                caller.setdefault(ends, here)
            said.setdefault(ends, {}).setdefault(here, set()).update(range(segment.seq, segment.seq + size))
    sent = sum(len(said[ends][here]) for ends, here in caller.items())
    total = sum(len(places) for ends in caller for places in said[ends].values())
    return sent, total - sent


def test_the_list_of_clouds_is_read_when_a_name_is_asked_for() -> None:
    """A census that meets no name does not pay for the list."""
    code = (
        "import sys; from agent.cli.wiring import prepare; prepare(None, None).tally();"
        "sys.exit('fingerprints.clouds' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO, check=False).returncode == 0

"""Tests of the benchmarks' seeded captures."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent.cli.app import run
from bench.camera_network import VLAN, size_of, write

KINDS = [{}, {"pcapng": True}, {"hard": True}]


@pytest.mark.parametrize("kind", KINDS, ids=["pcap", "pcapng", "hard"])
def test_every_planted_device_is_found(
    kind: dict[str, bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replay names every device of a capture as what it is, with its VLAN, and flags no other."""
    path = tmp_path / "network.cap"
    planted = write(path, size_of("3m"), **kind)
    assert run(["replay", str(path), "--format", "json"]) == 0
    found: dict[str, Any] = {row["mac"]: row for row in json.loads(capsys.readouterr().out)["devices"]}
    for truth in planted:
        device = found.pop(truth.mac)
        if truth.manufacturer is not None:
            assert device["manufacturer"] == truth.manufacturer, truth
        assert (device["finding"] == "flagged") == truth.flagged, truth
        assert device["vlans"] == ([truth.vlan] if truth.vlan else []), truth
    assert not [device for device in found.values() if device["finding"] in {"flagged", "suspected"}]


@pytest.mark.parametrize("kind", KINDS, ids=["pcap", "pcapng", "hard"])
def test_other_tools_read_it(kind: dict[str, bool], tmp_path: Path) -> None:
    """A capture is read whole by tcpdump, too, and a part of its frames is tagged."""
    tcpdump = shutil.which("tcpdump")
    if tcpdump is None:
        pytest.skip("missing tool: tcpdump")
    path = tmp_path / "network.cap"
    write(path, size_of("1m"), **kind)
    read = [tcpdump, "-n", "-r", str(path), "--count"]
    every, tagged = (
        subprocess.run([*read, *what], capture_output=True, text=True, check=True, timeout=60)
        for what in ([], [f"vlan {VLAN}"])
    )
    assert "truncated" not in every.stderr
    assert 0 < int(tagged.stdout.split()[0]) < int(every.stdout.split()[0])


def test_the_size_is_what_was_asked_for(tmp_path: Path) -> None:
    """A capture is as long as asked for, to the length of one talk; the same seed gives the same bytes."""
    first, second = tmp_path / "first.pcap", tmp_path / "second.pcap"
    write(first, size_of("2m"))
    write(second, size_of("2m"))
    assert first.read_bytes() == second.read_bytes()
    assert abs(first.stat().st_size - 2_000_000) < 200_000


@pytest.mark.parametrize(("text", "size"), [("1g", 10**9), ("1.5m", 1_500_000), ("20K", 20_000), ("7", 7)])
def test_sizes(text: str, size: int) -> None:
    """Sizes are decimal, with a letter or without."""
    assert size_of(text) == size

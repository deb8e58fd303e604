"""Tests that the recorded captures are small and hold every host that their index promises."""

from __future__ import annotations

import tomllib

import pytest

from tests.lab.record import FOLDER, MOST_BYTES, RECORDINGS, Recording

INDEX = tomllib.loads((FOLDER / "index.toml").read_text())


def test_the_index_has_every_capture() -> None:
    """Index and folder have the same captures, and no other."""
    captures = {path.stem for path in FOLDER.glob("*.pcap")}
    assert set(INDEX) == captures
    assert captures <= {recording.name for recording in RECORDINGS}


@pytest.mark.parametrize(
    "recording", [each for each in RECORDINGS if each.name in INDEX], ids=lambda recording: recording.name
)
def test_a_capture_holds_its_hosts(recording: Recording) -> None:
    """It is a small pcap file in which every promised host sends something from its MAC."""
    path = FOLDER / f"{recording.name}.pcap"
    recorded = path.read_bytes()
    assert recorded.startswith(bytes.fromhex("d4c3b2a1"))
    assert len(recorded) <= MOST_BYTES
    hosts = INDEX[recording.name]["host"]
    assert [host["name"] for host in hosts if host["name"] in recording.devices] == list(recording.devices)
    for host in hosts:
        assert bytes.fromhex(host["mac"].replace(":", "")) in recorded, host["name"]

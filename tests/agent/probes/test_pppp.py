"""Tests of P2P beacons."""

from __future__ import annotations

import pytest

from agent.probes.pppp import PPPP
from tests.frames import datagrams
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways

BEACON = b"\xf1\x31\0\x14ABCDEF\0\0" + (42).to_bytes(4) + b"GHIJK\0\0\0"


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in PPPP.dissect(payload, b"")]


def test_a_beacon_tells_its_id() -> None:
    """Prefix, number and check code make the id; other types and cut ones tell none."""
    assert facts(BEACON) == [("pppp.id", "ABCDEF-000042-GHIJK")]
    assert facts(b"\xf1\x32" + BEACON[2:]) == []
    assert facts(BEACON[:-1]) == []
    three_ways(PPPP, BEACON)
    only_malformed(PPPP, BEACON)


@needs_shared
@pytest.mark.parametrize("file", ["pos-yi-camera-setup-lan.pcap", "pos-yi-camera-recording.pcap"])
def test_recorded_cameras(file: str) -> None:
    """Recorded Yi cameras tell one id of their network each."""
    said = {fact for payload in datagrams(SHARED / "pcaps" / file, 32100, 32108) for fact in facts(payload)}
    assert len(said) == 1
    assert said.pop()[1].startswith("TNPUSA")

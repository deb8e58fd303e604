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


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (0x10, [("pppp.registration", "device"), ("pppp.id", "ABCDEF-000042-GHIJK")]),
        (0x14, [("pppp.registration", "device"), ("pppp.id", "ABCDEF-000042-GHIJK")]),
        (0x12, [("pppp.registration", "device")]),
        (0x20, []),
    ],
)
def test_a_registration_is_a_cameras(kind: int, said: list[tuple[str, str]]) -> None:
    """A camera that registers says so, with its id where it is not encrypted; who asks for one is none."""
    payload = bytes([0xF1, kind, 0, 0x28]) + BEACON[4:] + bytes(20)
    assert facts(payload) == said
    three_ways(PPPP, payload)


@needs_shared
@pytest.mark.parametrize("file", ["pos-yi-camera-setup-lan.pcap", "pos-yi-camera-recording.pcap"])
def test_recorded_cameras(file: str) -> None:
    """Recorded Yi cameras tell one id of their network each."""
    said = {fact for payload in datagrams(SHARED / "pcaps" / file, 32100, 32108) for fact in facts(payload)}
    assert {field for field, _ in said} == {"pppp.id", "pppp.registration"}
    (name,) = (text for field, text in said if field == "pppp.id")
    assert name.startswith("TNPUSA")


@needs_shared
@pytest.mark.parametrize(
    ("file", "said"),
    [
        (
            "pos-hichip-battery-camera.pcap",
            {("pppp.registration", "device"), ("pppp.id", "NNNN-979403-CEEDF")},
        ),
        ("pos-imilab-y2-update.pcap", {("pppp.registration", "device")}),
    ],
)
def test_recorded_cameras_register(file: str, said: set[tuple[str, str]]) -> None:
    """HiChip's registration shows the id, Imilab's hides it."""
    assert {fact for payload in datagrams(SHARED / "pcaps" / file, 32100) for fact in facts(payload)} == said

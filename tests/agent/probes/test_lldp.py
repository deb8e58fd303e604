"""Tests of LLDP."""

from __future__ import annotations

import pytest

from agent.probes.lldp import LLDP
from agent.wire import Malformed
from tests.frames import link_payloads
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways


def tlv(kind: int, value: bytes) -> bytes:
    return (kind << 9 | len(value)).to_bytes(2) + value


START = tlv(1, b"\x04\x28\x57\xbe\0\0\1") + tlv(2, b"\x07eth0") + tlv(3, b"\0\x78")
WHOLE = (
    START
    + tlv(5, b"cam")
    + tlv(6, b"Linux")
    + tlv(7, b"\0\x80\0\x80")
    + tlv(8, b"\5\1\xc0\0\2\7\2\0\0\0\1\0")
    + tlv(127, b"\0\x12\xbb\x09Maker")
    + tlv(127, b"\0\x12\xbb\x0aModel")
    + tlv(0, b"")
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in LLDP.dissect(payload, b"")]


def test_every_tlv_is_read() -> None:
    """Identifiers, texts, capabilities, addresses and MED inventory are facts in their order."""
    assert facts(WHOLE) == [
        ("lldp.chassis-id", "28:57:be:00:00:01"),
        ("lldp.port-id", "eth0"),
        ("lldp.system-name", "cam"),
        ("lldp.system-description", "Linux"),
        ("lldp.capabilities", "station"),
        ("lldp.management-address", "192.0.2.7"),
        ("lldp.organisation", "00:12:bb 9"),
        ("lldp.manufacturer", "Maker"),
        ("lldp.organisation", "00:12:bb 10"),
        ("lldp.model", "Model"),
    ]


def test_hostile_bytes() -> None:
    """Three ways hold; no bytes raise anything but Malformed; endless and short TLVs stop the reading."""
    three_ways(LLDP, WHOLE)
    only_malformed(LLDP, WHOLE)
    with pytest.raises(Malformed):
        facts(START + tlv(9, b"") * 200)
    with pytest.raises(Malformed):
        facts(START[:16] + tlv(3, b"\0"))


@needs_shared
def test_recorded_switches() -> None:
    """Recorded switches say their names, and every frame bears three ways."""
    said = []
    for file in ("neg-arkime-lldp.pcap", "neg-lldp-cdp-switches.pcap"):
        for payload in link_payloads(SHARED / "pcaps" / file, b"\x88\xcc"):
            three_ways(LLDP, payload)
            said += facts(payload)
    names = {text for field, text in said if field == "lldp.system-name"}
    assert {"Summit300-48", "ProCurve Switch 2600-8-PWR", "S2.cisco.com"} <= names
    assert ("lldp.chassis-id", "00:01:30:f9:ad:a0") in said

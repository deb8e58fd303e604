"""Tests of TP-Link's beacon."""

from __future__ import annotations

import pytest

from agent.probes.tplink_beacon import TPLINK_BEACON
from agent.wire import Malformed
from tests.frames import datagrams
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways


def beacon(*elements: tuple[int, bytes]) -> bytes:
    """A beacon in the form of the recorded ones."""
    body = b"".join(kind.to_bytes(2) + len(value).to_bytes(2) + value for kind, value in elements)
    return bytes.fromhex("01010e00 00000000 ff1f") + len(body).to_bytes(2) + bytes(2) + body


SAID = beacon(
    (0x0E, b"MIPC351-4 3.0"),
    (0x06, b"MIPC351-4"),
    (0x05, b"90-76-9f-00-00-01"),
    (0x07, b"\x0f"),
    (0x08, b"192.0.2.7"),
    (0x0D, b"uuid:3fa1fe68-0000-0000-0000-90769f000001"),
    (0x12, b"http://192.0.2.7:80/onvif/device_service"),
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in TPLINK_BEACON.dissect(payload, b"")]


def test_a_beacon_names_model_mac_and_onvif_service() -> None:
    """Known elements are facts; the others are passed over."""
    assert TPLINK_BEACON.mine(SAID)
    assert facts(SAID) == [
        ("discovery.tplink-beacon.hardware", "MIPC351-4 3.0"),
        ("discovery.tplink-beacon.model", "MIPC351-4"),
        ("discovery.tplink-beacon.mac", "90-76-9f-00-00-01"),
        ("onvif.endpoint", "uuid:3fa1fe68-0000-0000-0000-90769f000001"),
        ("onvif.xaddr", "http://192.0.2.7:80/onvif/device_service"),
    ]


def test_three_ways() -> None:
    """Whole, cut at every byte and with a tail, a beacon never tells more than it says."""
    three_ways(TPLINK_BEACON, SAID)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(TPLINK_BEACON, SAID)


def test_an_element_beyond_the_beacon_is_malformed() -> None:
    """A length that cannot be raises Malformed where its element starts."""
    broken = bytearray(beacon((0x06, b"MIPC351-4"), (0x05, b"90-76-9f-00-00-01")))
    broken[30] = 0x40
    with pytest.raises(Malformed) as caught:
        facts(bytes(broken))
    assert caught.value.offset == 27


@pytest.mark.parametrize("payload", [b"", SAID[:14], b"\1\1\x0e\1" + SAID[4:], b"iperf" * 9])
def test_other_traffic_of_the_port_says_nothing(payload: bytes) -> None:
    """UDP 5001 is other programs' as well."""
    assert facts(payload) == []


@needs_shared
def test_a_recorded_camera_broadcasts_itself() -> None:
    """Every recorded beacon of a Mercury camera gives its model, MAC and ONVIF service."""
    payloads = set(datagrams(SHARED / "pcaps" / "pos-mercury-mipc351-onvif-hello.pcap", 5001))
    assert payloads
    for payload in payloads:
        assert facts(payload) == [
            ("discovery.tplink-beacon.hardware", "MIPC351-4 3.0"),
            ("discovery.tplink-beacon.model", "MIPC351-4"),
            ("discovery.tplink-beacon.mac", "90-76-9f-50-27-d9"),
            ("onvif.endpoint", "uuid:3fa1fe68-b915-4053-a3e1-90769f5027d9"),
            ("onvif.xaddr", "http://192.168.1.153:80/onvif/device_service"),
        ]
        three_ways(TPLINK_BEACON, payload)

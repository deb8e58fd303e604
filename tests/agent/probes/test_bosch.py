"""Tests of Bosch's discovery."""

from __future__ import annotations

import pytest

from agent.probes.bosch import BOSCH
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways

BINARY = bytes.fromhex("9939a427 0a0b0c0d 00075f000001 03ff c0000207 ffffff00 c0000201 00030071")
XML = b"""<?xml version="1.0" encoding="UTF-8"?><root xmlns="OEMExt00:device-1-0"><device>\
<friendlyName>DINION (hall)</friendlyName><unitName></unitName><serialNumber>044 &amp; 1</serialNumber>\
<physAddress>00-07-5F-00-00-01</physAddress><unitIPAddress>192.0.2.7</unitIPAddress>\
<inner><serialNumber>none of its own</serialNumber></inner></device></root>"""


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(BOSCH, payload)
    return [(fact.field.removeprefix("discovery.bosch."), fact.text) for fact in found]


def test_the_binary_answer_gives_mac_and_address() -> None:
    """The form of 32 bytes says who answers, nothing else."""
    assert facts(BINARY) == [("mac", "00:07:5f:00:00:01"), ("ipv4-address", "192.0.2.7")]
    three_ways(BOSCH, BINARY)


def test_the_xml_answer_gives_what_the_device_says_of_itself() -> None:
    """Elements of the device are read, those of a part of it are not."""
    assert facts(XML) == [
        ("name", "DINION (hall)"),
        ("serial", "044 & 1"),
        ("mac", "00-07-5F-00-00-01"),
        ("ipv4-address", "192.0.2.7"),
    ]
    three_ways(BOSCH, XML)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(BOSCH, BINARY, XML)


@pytest.mark.parametrize(
    "payload",
    [b"", BINARY[:20], b"\x99\x39\xa4\x28" + BINARY[4:], b"<root><device><UDN>u</UDN></device></root>"],
)
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """Too few bytes, another magic and a UPnP description are not Bosch's answers."""
    assert facts(payload) == []


def test_the_only_question_is_the_search() -> None:
    """The one request built here is the word 0xff0006de, "who is there", with a number of its own."""
    assert BOSCH.hello is not None
    first, second = (BOSCH.hello(Target("255.255.255.255", 1757))[0].payload for _ in range(2))
    assert first[:4] == bytes.fromhex("9939a427")
    assert first[8:] == bytes.fromhex("ff0006de")
    assert len(first) == 12
    assert first[4:8] != second[4:8]


@needs_shared
def test_recorded_answers() -> None:
    """Both recorded forms give address and MAC; the XML has name, serial and IPv6 address, too."""
    binary, text = ((SHARED / "replies" / name).read_bytes() for name in ("bosch-bin.bin", "bosch-xml.bin"))
    assert facts(binary) == [("mac", "00:11:22:33:44:55"), ("ipv4-address", "240.0.7.0")]
    assert facts(text) == [
        ("device-type", "OEMExt00:device:deviceID0"),
        ("name", "Virtual (XML)"),
        ("serial", "12345678:12345678"),
        ("mac", "00-11-22-33-44-55"),
        ("ipv4-address", "240.0.7.1"),
        ("ipv6-address", "fe80::1"),
    ]
    three_ways(BOSCH, binary)
    three_ways(BOSCH, text)

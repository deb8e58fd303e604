"""Tests of Hikvision's SADP."""

from __future__ import annotations

import re

import pytest

from agent.probes.sadp import SADP
from agent.wire import Malformed, Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways

# The form of a recorded answer, with its own numbers changed.
ANSWER = (
    b'<?xml version="1.0" encoding="UTF-8"?>\r\n<ProbeMatch>\r\n<Uuid>11223344-5566-7788-9900-112233445566</Uuid>\r\n'
    b"<Types>inquiry</Types>\r\n<DeviceDescription>DS-2CD2385G1-I</DeviceDescription>\r\n"
    b"<DeviceSN>DS-2CD2385G1-I20200414AAWRE00000000</DeviceSN>\r\n<MAC>58-50-ed-00-00-01</MAC>\r\n"
    b"<IPv4Address>192.0.2.7</IPv4Address>\r\n<IPv6Address></IPv6Address>\r\n<Novelty>1</Novelty>\r\n"
    b"<SoftwareVersion>V5.6.2build 190701</SoftwareVersion>\r\n<DetailOEMCode>1</DetailOEMCode>\r\n</ProbeMatch>\r\n"
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in SADP.dissect(payload, b"")]


def test_an_answer_gives_every_declared_key() -> None:
    """Each scalar is a fact in kebab case; empty elements and unknown keys are not."""
    assert facts(ANSWER) == [
        ("sadp.uuid", "11223344-5566-7788-9900-112233445566"),
        ("sadp.types", "inquiry"),
        ("sadp.device-description", "DS-2CD2385G1-I"),
        ("sadp.device-sn", "DS-2CD2385G1-I20200414AAWRE00000000"),
        ("sadp.mac", "58-50-ed-00-00-01"),
        ("sadp.ipv4-address", "192.0.2.7"),
        ("sadp.software-version", "V5.6.2build 190701"),
        ("sadp.detail-oem-code", "1"),
    ]
    assert SADP.mine(ANSWER)


def test_three_ways() -> None:
    """Whole, cut at every byte and with a tail, the answer never tells more than it says."""
    three_ways(SADP, ANSWER)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(SADP, ANSWER)


def test_a_fragment_is_read_as_far_as_it_goes() -> None:
    """Part of an answer, as a log quotes it, still gives its facts."""
    part = (
        b"ypes>\n<DeviceDescription>DS-KH6210-L</DeviceDescription><CommandPort>8000</CommandPort><MAC>00-1"
    )
    assert facts(part) == [("sadp.device-description", "DS-KH6210-L"), ("sadp.command-port", "8000")]


@pytest.mark.parametrize(
    "payload",
    [
        b"<Probe><Uuid>1</Uuid><Types>inquiry</Types></Probe>",
        b"<Probe><Types>update</Types><DeviceSN>x</DeviceSN><MAC>58-50-ed-00-00-01</MAC></Probe>",
        b"<d:ProbeMatch xmlns:d='http://schemas.xmlsoap.org/ws/2005/04/discovery'><d:Types>x</d:Types></d:ProbeMatch>",
        b"<s:Envelope><s:Body><ProbeMatches><ProbeMatch><Types>x</Types></ProbeMatch></ProbeMatches></s:Body></s:Envelope>",
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """Requests, reading or writing, say nothing of who sent them; WS-Discovery is not SADP."""
    assert facts(payload) == []
    assert not SADP.mine(payload)


def test_a_broken_answer_keeps_what_was_certain() -> None:
    """Facts before the broken place stand, then Malformed is raised."""
    broken = ANSWER.replace(b"<MAC>", b"<MAC<>")
    reading = SADP.dissect(broken, b"")
    assert [next(reading).field for _ in range(4)][-1] == "sadp.device-sn"
    with pytest.raises(Malformed) as caught:
        next(reading)
    assert broken[caught.value.offset - 4 :].startswith(b"<MAC<")


def test_the_only_question_is_an_inquiry() -> None:
    """SADP writes as well: the one request built here is the inquiry, with a fresh id each time."""
    assert SADP.hello is not None
    (first,), (second,) = SADP.hello(Target("192.0.2.7", 37020)), SADP.hello(Target("239.255.255.250", 37020))
    form = rb'<\?xml version="1.0" encoding="utf-8"\?><Probe><Uuid>[0-9A-F-]{36}</Uuid><Types>inquiry</Types></Probe>'
    assert re.fullmatch(form, first.payload)
    assert re.fullmatch(form, second.payload)
    assert first.payload != second.payload
    assert facts(first.payload) == []


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives its model, serial, firmware, MAC and addresses, and is nobody else's."""
    payload = (SHARED / "replies" / "hikvision.bin").read_bytes()
    found = facts(payload)
    assert len(found) == 28
    assert {
        ("sadp.types", "inquiry"),
        ("sadp.device-description", "Virtual"),
        ("sadp.device-sn", "Virtual-123456789"),
        ("sadp.software-version", "V1.0build 200101"),
        ("sadp.mac", "00-11-22-33-44-55"),
        ("sadp.ipv4-address", "240.0.5.0"),
        ("sadp.ipv6-address", "::"),
    } <= set(found)
    three_ways(SADP, payload)


def test_a_device_that_comes_up_says_hello() -> None:
    """A Hello has the same elements as an answer; without any that is SADP's own it is somebody else's."""
    own = b"<Hello><Types>hello</Types><DeviceSN>X1</DeviceSN><MAC>28-57-be-00-00-01</MAC></Hello>"
    assert SADP.mine(own)
    assert [(fact.field, fact.text) for fact in SADP.dissect(own, b"")] == [
        ("sadp.types", "hello"),
        ("sadp.device-sn", "X1"),
        ("sadp.mac", "28-57-be-00-00-01"),
    ]
    assert not SADP.mine(b"<Hello><Types>dn:NetworkVideoTransmitter</Types></Hello>")

"""Tests of Sony's discovery."""

from __future__ import annotations

import pytest

from agent.probes.sony import SONY
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways

ANSWER = (
    b"\x02MAC:08-00-46-00-00-01\xffMODEL:SNC-CH140\xffSERIAL:100001\xffINFO:allinfo\xff"
    b"IPADR:192.0.2.11\xffGATEWAY:\xffSOFTVERSION:1.79.00\xff\x03"
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(SONY, payload)
    return [(fact.field.removeprefix("discovery.sony."), fact.text) for fact in found]


def test_an_answer_gives_its_lines() -> None:
    """Lines that describe the device are read; empty ones and the others are left aside."""
    assert facts(ANSWER) == [
        ("mac", "08-00-46-00-00-01"),
        ("model", "SNC-CH140"),
        ("serial", "100001"),
        ("ipv4-address", "192.0.2.11"),
        ("firmware", "1.79.00"),
    ]
    three_ways(SONY, ANSWER)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(SONY, ANSWER)


@pytest.mark.parametrize("payload", [b"", b"\x02", ANSWER[1:], b"\x02ENQ:allinfo\xff\x03"])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """Without its first byte, or with a question in it, a datagram is no answer."""
    assert facts(payload) == []
    assert not SONY.mine(payload)


def test_the_only_question_is_the_enquiry() -> None:
    """The one request built here is ENQ:allinfo, which only reads."""
    assert SONY.hello is not None
    (ask,) = SONY.hello(Target("255.255.255.255", 2380))
    assert ask.payload == b"\x02ENQ:allinfo\xff\x03"


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives model, serial, MAC, address, port and firmware."""
    payload = (SHARED / "replies" / "sony.bin").read_bytes()
    assert facts(payload) == [
        ("mac", "aa-bb-cc-dd-ee-ff"),
        ("model", "Virtual"),
        ("serial", "123456789"),
        ("ipv4-address", "240.0.11.0"),
        ("http-port", "80"),
        ("firmware", "3.0.0"),
    ]
    three_ways(SONY, payload)

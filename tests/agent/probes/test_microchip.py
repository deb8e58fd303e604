"""Tests of the discovery in Microchip's network software."""

from __future__ import annotations

import pytest

from agent.probes.microchip import MICROCHIP
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways

SHORT = b"RELAY1         \r\n00-04-A3-00-00-01\r\n"
LONG = b"IPX800_V4\n00-04-A3-00-00-02\n80\nIPX800 V4\nmore"


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(MICROCHIP, payload)
    return [(fact.field.removeprefix("discovery.microchip."), fact.text) for fact in found]


def test_a_short_answer_gives_name_and_mac() -> None:
    """Two lines, padded or not, are name and MAC."""
    assert facts(SHORT) == [("name", "RELAY1"), ("mac", "00-04-A3-00-00-01")]
    three_ways(MICROCHIP, SHORT)


def test_a_long_answer_gives_port_and_product() -> None:
    """Five lines have the port and the product, too."""
    assert facts(LONG) == [
        ("name", "IPX800_V4"),
        ("mac", "00-04-A3-00-00-02"),
        ("http-port", "80"),
        ("product", "IPX800 V4"),
    ]
    three_ways(MICROCHIP, LONG)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(MICROCHIP, SHORT, LONG)


@pytest.mark.parametrize(
    "payload", [b"", b"Discover GCE Devices", b"name\nno mac\n", b"\n00-04-A3-00-00-01\n"]
)
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """The question, and lines without a name or a MAC, say nothing."""
    assert facts(payload) == []
    assert not MICROCHIP.mine(payload)


def test_the_only_question_is_the_search() -> None:
    """The one request built here is the line of text that searches."""
    assert MICROCHIP.hello is not None
    (ask,) = MICROCHIP.hello(Target("255.255.255.255", 30303))
    assert ask.payload == b"Discover GCE Devices"


@needs_shared
def test_recorded_answers() -> None:
    """The recorded answers, of two lines and of five, give what stands in them."""
    short, long = ((SHARED / "replies" / name).read_bytes() for name in ("microchip.bin", "gce.bin"))
    assert facts(short) == [("name", "Virtual"), ("mac", "00-11-22-33-44-55")]
    assert facts(long) == [
        ("name", "hostname"),
        ("mac", "00-11-22-33-44-55"),
        ("http-port", "80"),
        ("product", "Virtual"),
    ]
    three_ways(MICROCHIP, short)
    three_ways(MICROCHIP, long)

"""Tests of Eden Innovations' discovery."""

from __future__ import annotations

import pytest

from agent.probes.eden import EDEN
from agent.wire import Malformed, Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways

ANSWER = (
    b"BOX|<root><serialNumber>00:04:a3:00:00:01</serialNumber><network><dhcp>0</dhcp>"
    b"<adresseIP>192.0.2.26</adresseIP><passerelle>192.0.2.1</passerelle></network>"
    b"<portWeb>80</portWeb></root>"
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(EDEN, payload)
    return [(fact.field.removeprefix("discovery.eden."), fact.text) for fact in found]


def test_an_answer_gives_its_elements() -> None:
    """MAC, address and port are read; the gateway is not the device's address."""
    assert facts(ANSWER) == [
        ("mac", "00:04:a3:00:00:01"),
        ("ipv4-address", "192.0.2.26"),
        ("http-port", "80"),
    ]
    three_ways(EDEN, ANSWER)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(EDEN, ANSWER)


def test_broken_xml_is_malformed_where_it_breaks() -> None:
    """The offset counts from the datagram's own beginning."""
    with pytest.raises(Malformed) as caught:
        list(EDEN.dissect(b"BOX|<root><a></root><<", b""))
    assert caught.value.offset >= len(b"BOX|<root><a>")


@pytest.mark.parametrize("payload", [b"", b"DETECT BOX", b"BOX|", ANSWER[4:], b"BOX|<other/>"])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """The question, and XML without the word before it, say nothing."""
    assert facts(payload) == []
    assert not EDEN.mine(payload)


def test_the_only_question_is_the_search() -> None:
    """The one request built here is DETECT BOX."""
    assert EDEN.hello is not None
    (ask,) = EDEN.hello(Target("255.255.255.255", 8088))
    assert ask.payload == b"DETECT BOX"


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives MAC, address and port."""
    payload = (SHARED / "replies" / "eden.bin").read_bytes()
    assert facts(payload) == [
        ("mac", "00:11:22:33:44:55"),
        ("ipv4-address", "240.0.26.0"),
        ("http-port", "80"),
    ]
    three_ways(EDEN, payload)

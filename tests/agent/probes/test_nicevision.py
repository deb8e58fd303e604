"""Tests of NiceVision's discovery."""

from __future__ import annotations

import pytest

from agent.probes.nicevision import NICEVISION
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways

HEAD = b"NICE\0\1\0\1\0\x48" + bytes.fromhex("000e17000001") + bytes([192, 0, 2, 14])
ANSWER = HEAD.ljust(0x4A, b"\0") + b"SVR8040".ljust(16, b"\0") + bytes(500)


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(NICEVISION, payload)
    return [(fact.field.removeprefix("discovery.nicevision."), fact.text) for fact in found]


def test_an_answer_gives_its_places() -> None:
    """MAC, address and name are read, each from its place."""
    assert facts(ANSWER) == [
        ("mac", "00:0e:17:00:00:01"),
        ("ipv4-address", "192.0.2.14"),
        ("name", "SVR8040"),
    ]
    three_ways(NICEVISION, ANSWER)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(NICEVISION, ANSWER)


@pytest.mark.parametrize("payload", [b"", b"NICE", b"NICE to meet you all", b"NICE\0\1\1\x08" + bytes(80)])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """Another word that begins alike, and the question's kind, say nothing."""
    assert facts(payload) == []
    assert not NICEVISION.mine(payload)


def test_the_only_question_is_the_search() -> None:
    """The one request built here is kind 0x0108, the search, with the port that we listen on."""
    assert NICEVISION.hello is not None
    (ask,) = NICEVISION.hello(Target("255.255.255.255", 2007))
    assert ask.payload[:8] == b"NICE\0\1\1\x08"
    assert int.from_bytes(ask.payload[12:14]) == NICEVISION.reply_port


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives name, MAC and address."""
    payload = (SHARED / "replies" / "nicevision.bin").read_bytes()
    assert facts(payload) == [
        ("mac", "00:11:22:33:44:55"),
        ("ipv4-address", "240.0.14.0"),
        ("name", "Virtual"),
    ]
    three_ways(NICEVISION, payload)

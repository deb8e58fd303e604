"""Tests of Advantech's discovery."""

from __future__ import annotations

import pytest

from agent.probes.advantech import ADVANTECH
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways


def answer(mark: int = 0x80, kind: int = 0x20) -> bytes:
    """An answer in the layout of the recorded one."""
    head = b"MADA\0\0\0\x83\1\0\x60\x50\0" + bytes.fromhex("00d0c9000001")
    return head.ljust(0x34, b"\0") + bytes([mark, kind, 0, 0x41]) + bytes(50) + b"EKI-1521\0"


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(ADVANTECH, payload)
    return [(fact.field.removeprefix("discovery.advantech."), fact.text) for fact in found]


def test_an_answer_gives_mac_and_model() -> None:
    """The MAC of the header and the product behind it are read."""
    assert facts(answer()) == [("mac", "00:d0:c9:00:00:01"), ("model", "EKI-1521")]
    three_ways(ADVANTECH, answer())


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(ADVANTECH, answer())


@pytest.mark.parametrize("payload", [b"", b"MADA", answer(mark=0), answer(kind=0x10)])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """A question, and an answer about something else, say nothing."""
    assert facts(payload) == []
    assert not ADVANTECH.mine(payload)


def test_the_only_question_is_for_the_product() -> None:
    """The one request built here is kind 0x20, the product, marked as a question; nothing follows it."""
    assert ADVANTECH.hello is not None
    (ask,) = ADVANTECH.hello(Target("255.255.255.255", 5048))
    assert len(ask.payload) == 60
    assert ask.payload[0x34:] == bytes([0, 0x20]) + bytes(6)


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives MAC and model."""
    payload = (SHARED / "replies" / "advantech.bin").read_bytes()
    assert facts(payload) == [("mac", "00:11:22:33:44:55"), ("model", "Virtual device")]
    three_ways(ADVANTECH, payload)

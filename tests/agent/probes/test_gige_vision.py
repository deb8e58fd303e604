"""Tests of GigE Vision's discovery."""

from __future__ import annotations

import pytest

from agent.probes.gige_vision import GIGE_VISION
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways


def answer(status: int = 0, maker: bytes = b"Basler") -> bytes:
    """An acknowledgement in the layout of the recorded one."""
    head = status.to_bytes(2) + bytes.fromhex("000300f8 0001 0001 0002")
    places = {0: head, 0x12: bytes.fromhex("003053000001"), 0x2C: bytes([192, 0, 2, 17]), 0x50: maker}
    payload = bytearray(256)
    for start, text in {**places, 0x70: b"acA1300-30gc", 0x90: b"106.5", 0xE0: b"21000001"}.items():
        payload[start : start + len(text)] = text
    return bytes(payload)


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(GIGE_VISION, payload)
    return [(fact.field.removeprefix("discovery.gigevision."), fact.text) for fact in found]


def test_an_acknowledgement_gives_its_places() -> None:
    """Maker, model, version, serial, MAC and address are read; an empty name is none."""
    assert facts(answer()) == [
        ("mac", "00:30:53:00:00:01"),
        ("ipv4-address", "192.0.2.17"),
        ("manufacturer", "Basler"),
        ("model", "acA1300-30gc"),
        ("version", "106.5"),
        ("serial", "21000001"),
    ]
    three_ways(GIGE_VISION, answer())


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(GIGE_VISION, answer())


@pytest.mark.parametrize("payload", [b"", answer()[:9], answer(status=0x8001), b"\x42" + answer()[1:]])
def test_what_is_not_an_acknowledgement_says_nothing(payload: bytes) -> None:
    """A refusal, a command and a header alone say nothing."""
    assert facts(payload) == []


def test_the_only_question_is_the_discovery_command() -> None:
    """The one request built here is command 0x0002, discovery; registers are neither read nor written."""
    assert GIGE_VISION.hello is not None
    (ask,) = GIGE_VISION.hello(Target("255.255.255.255", 3956))
    assert ask.payload == bytes.fromhex("4211000200000001")


@needs_shared
def test_recorded_acknowledgement() -> None:
    """The recorded acknowledgement gives all that the standard has in it."""
    payload = (SHARED / "replies" / "gigevision.bin").read_bytes()
    assert facts(payload) == [
        ("mac", "00:11:22:33:44:55"),
        ("ipv4-address", "240.0.17.0"),
        ("manufacturer", "GigEVision"),
        ("model", "Virtual device"),
        ("version", "version: 1.0"),
        ("serial", "123456789"),
        ("name", "My Virtual dev."),
    ]
    three_ways(GIGE_VISION, payload)

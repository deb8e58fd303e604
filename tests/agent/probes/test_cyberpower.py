"""Tests of CyberPower's discovery."""

from __future__ import annotations

import pytest

from agent.probes.cyberpower import CYBERPOWER
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways


def answer(key: int = 0, name: bytes = b"Rack", stated: int | None = None) -> bytes:
    """An answer in the layout of the recorded one."""
    body = b"\xa0" + bytes.fromhex("000c15000001") + b"\0" + bytes([192, 0, 2, 28]) + bytes(12)
    body += bytes([len(name) if stated is None else stated]) + name + b"\4hall\0\0\0\0\0\0"
    hidden = bytes(byte ^ key for byte in body)
    return bytes([0x51, key, 32]) + b"0123456789abcdef" * 2 + bytes(8) + hidden


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(CYBERPOWER, payload)
    return [(fact.field.removeprefix("discovery.cyberpower."), fact.text) for fact in found]


@pytest.mark.parametrize("key", [0, 0x5A])
def test_an_answer_gives_its_values_under_any_key(key: int) -> None:
    """The key that the answer brings takes its obfuscation off."""
    assert facts(answer(key)) == [
        ("mac", "00:0c:15:00:00:01"),
        ("ipv4-address", "192.0.2.28"),
        ("name", "Rack"),
    ]
    three_ways(CYBERPOWER, answer(key))


def test_a_name_longer_than_the_answer_is_none() -> None:
    """A length that leads beyond the end gives no text."""
    assert "name" not in dict(facts(answer(stated=255)))


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(CYBERPOWER, answer(), answer(9))


@pytest.mark.parametrize("payload", [b"", b"\x11\0\0", b"Q\0 " + b"x" * 60, answer()[:43]])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """The question, and a text that begins alike, say nothing."""
    assert facts(payload) == []
    assert not CYBERPOWER.mine(payload)


def test_the_only_question_is_the_search() -> None:
    """The one request built here is 0x11, the search, with its two equal bytes."""
    assert CYBERPOWER.hello is not None
    (ask,) = CYBERPOWER.hello(Target("255.255.255.255", 53566))
    assert ask.payload == b"\x11\0\0"


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives name, MAC and address."""
    payload = (SHARED / "replies" / "cyberpower.bin").read_bytes()
    assert facts(payload) == [
        ("mac", "00:11:22:33:44:55"),
        ("ipv4-address", "240.0.28.0"),
        ("name", "Virtual"),
    ]
    three_ways(CYBERPOWER, payload)

"""Tests of Hanwha's discovery."""

from __future__ import annotations

import pytest

from agent.probes.hanwha import HANWHA
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways


def answer(model: bytes = b"SNB-5004", mac: bytes = b"00:16:6c:00:00:01") -> bytes:
    """An answer in the layout of the recorded one."""
    places = {0x13: mac, 0x25: b"192.0.2.9", 0x35: b"255.255.255.0", 0x6D: model, 0x85: b"http://192.0.2.9/"}
    payload = bytearray(262)
    payload[0] = 0x0B
    for start, text in places.items():
        payload[start : start + len(text)] = text
    return bytes(payload)


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(HANWHA, payload)
    return [(fact.field.removeprefix("discovery.hanwha."), fact.text) for fact in found]


def test_an_answer_gives_its_texts() -> None:
    """MAC, address, model and page are read, each from its place."""
    assert facts(answer()) == [
        ("mac", "00:16:6c:00:00:01"),
        ("ipv4-address", "192.0.2.9"),
        ("model", "SNB-5004"),
        ("url", "http://192.0.2.9/"),
    ]
    three_ways(HANWHA, answer())


def test_a_model_that_fills_its_place_is_not_trusted() -> None:
    """Ten characters may be the beginning of a longer model."""
    assert "model" not in dict(facts(answer(b"XNV-8081RE" + b"X")))


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(HANWHA, answer())


@pytest.mark.parametrize("payload", [b"", b"\x0b", b"\x0b" + bytes(261), b"\x01" + answer()[1:]])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """Without the kind of an answer and a MAC where it belongs, nothing is said."""
    assert facts(payload) == []
    assert not HANWHA.mine(payload)


def test_the_only_question_is_the_search() -> None:
    """The one request built here is kind 1, the search, with nothing set behind it."""
    assert HANWHA.hello is not None
    (ask,) = HANWHA.hello(Target("255.255.255.255", 7701))
    assert ask.payload == b"\1" + bytes(261)


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives model, MAC, address and page."""
    payload = (SHARED / "replies" / "hanwha.bin").read_bytes()
    assert facts(payload) == [
        ("mac", "00:11:22:33:44:55"),
        ("ipv4-address", "240.0.9.0"),
        ("model", "Virtual"),
        ("url", "http://127.0.0.1/index.htm"),
    ]
    three_ways(HANWHA, payload)

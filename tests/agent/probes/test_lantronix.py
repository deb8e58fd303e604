"""Tests of Lantronix' discovery."""

from __future__ import annotations

import pytest

from agent.probes.lantronix import LANTRONIX
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways


def answer(variant: int = 0, model: bytes = b"\0\0") -> bytes:
    """An answer in the layout of the recorded ones."""
    return (bytes([0, 0, variant, 0xF7]) + bytes(8) + model).ljust(24, b"\0") + bytes.fromhex("00204a000001")


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(LANTRONIX, payload)
    return [(fact.field.removeprefix("discovery.lantronix."), fact.text) for fact in found]


def test_an_answer_gives_mac_and_variant() -> None:
    """Whose answer it is stands beside the MAC."""
    assert facts(answer()) == [("mac", "00:20:4a:00:00:01"), ("variant", "00")]
    assert facts(answer(0x13)) == [("mac", "00:20:4a:00:00:01"), ("variant", "13")]
    three_ways(LANTRONIX, answer())


def test_vauban_s_answer_has_a_model() -> None:
    """The newer variant has two bytes for the model."""
    assert facts(answer(0x15, b"\2\4"))[-1] == ("model-code", "0204")


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(LANTRONIX, answer(), answer(0x15))


@pytest.mark.parametrize("payload", [b"", b"\0\0\0\xf6", answer()[:29], answer(0x77), b"\1" + answer()[1:]])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """The question, a cut answer and a variant that nobody knows say nothing."""
    assert facts(payload) == []
    assert not LANTRONIX.mine(payload)


def test_the_only_question_is_the_query() -> None:
    """The one request built here is kind 0xf6, the query; kinds that write a setup are never built."""
    assert LANTRONIX.hello is not None
    (ask,) = LANTRONIX.hello(Target("255.255.255.255", 30718))
    assert ask.payload == bytes.fromhex("000000f6")


@needs_shared
def test_recorded_answers() -> None:
    """The recorded answers of Lantronix and Vauban give MAC, variant and model."""
    own, other = ((SHARED / "replies" / name).read_bytes() for name in ("lantronix.bin", "vauban.bin"))
    assert facts(own) == [("mac", "00:11:22:33:44:55"), ("variant", "00")]
    assert facts(other) == [("mac", "11:22:33:44:55:66"), ("variant", "15"), ("model-code", "0204")]
    three_ways(LANTRONIX, own)
    three_ways(LANTRONIX, other)

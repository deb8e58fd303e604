"""Tests of 360 Vision Technology's discovery."""

from __future__ import annotations

import pytest

from agent.probes.vision_360 import VISION_360
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways

ANSWER = b"DISCOVER TYPE=IPDOME KEY='00:11:aa:00:00:01' ID=1001 NOTE=\"two words\"\r\n"


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(VISION_360, payload)
    return [(fact.field.removeprefix("discovery.360vision."), fact.text) for fact in found]


def test_an_answer_gives_its_words() -> None:
    """Values are read with quotes and without; keys that nobody knows are left aside."""
    assert facts(ANSWER) == [("type", "IPDOME"), ("mac", "00:11:aa:00:00:01"), ("id", "1001")]
    three_ways(VISION_360, ANSWER)


def test_only_the_first_line_counts() -> None:
    """What stands on another line is not the answer's."""
    assert facts(ANSWER + b"ID=other \n") == facts(ANSWER)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(VISION_360, ANSWER)


@pytest.mark.parametrize("payload", [b"", b"DISCOVER\n", b"DISCOVER me", b"TYPE=IPDOME ID=1 \n"])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """The question, and lines that begin otherwise, say nothing."""
    assert facts(payload) == []
    assert not VISION_360.mine(payload)


def test_the_only_question_is_the_word() -> None:
    """The one request built here is DISCOVER, alone on its line."""
    assert VISION_360.hello is not None
    (ask,) = VISION_360.hello(Target("255.255.255.255", 3600))
    assert ask.payload == b"DISCOVER\n"


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives type, MAC and id."""
    payload = (SHARED / "replies" / "360vision.bin").read_bytes()
    assert facts(payload) == [("type", "IPDOME"), ("mac", "00:11:22:33:44:55"), ("id", "1234567890")]
    three_ways(VISION_360, payload)

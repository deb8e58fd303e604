"""Tests of Vivotek's discovery."""

from __future__ import annotations

import pytest

from agent.probes.vivotek import VIVOTEK
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways

MAGIC = bytes.fromhex("4a5d8f1c")
# Tag 4 has no length: what follows it is its value.
ANSWER = b"\7" + MAGIC + b"\2\6\0\2\xd1\0\0\1" + b"\4\x1b" + b"\3\4\xc0\0\2\x0a" + b"\x09\6FD8134"


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(VIVOTEK, payload)
    return [(fact.field.removeprefix("discovery.vivotek."), fact.text) for fact in found]


def test_an_answer_gives_its_values() -> None:
    """Values behind the tag without a length are read as well as those before it."""
    assert facts(ANSWER) == [
        ("mac", "00:02:d1:00:00:01"),
        ("ipv4-address", "192.0.2.10"),
        ("model", "FD8134"),
    ]
    three_ways(VIVOTEK, ANSWER)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(VIVOTEK, ANSWER)


@pytest.mark.parametrize("payload", [b"", b"\7", MAGIC, b"\7" + MAGIC, b"MO_I" + bytes(80)])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """Too few bytes, the question and what others say on that port tell nothing."""
    assert facts(payload) == []


def test_the_only_question_is_the_search() -> None:
    """The one request built here is a session number with the magic number: no value goes with it."""
    assert VIVOTEK.hello is not None
    (ask,) = VIVOTEK.hello(Target("255.255.255.255", 10000))
    assert ask.payload == b"\1" + MAGIC


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives model, name, MAC and address."""
    payload = (SHARED / "replies" / "vivotek.bin").read_bytes()
    assert facts(payload) == [
        ("name", "Virtual-Virtual-1"),
        ("mac", "00:11:22:33:44:55"),
        ("ipv4-address", "240.0.10.0"),
        ("model", "Virtual"),
    ]
    three_ways(VIVOTEK, payload)

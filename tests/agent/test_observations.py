"""Recorded lines become facts; what cannot be used becomes a Problem of its line."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.observations import MAX_OBSERVATIONS, read_sample
from agent.wire import Malformed, Probe
from fingerprints.model import Fact
from fingerprints.rules import Field, Knowledge


def read(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """The payload as one fact; a NUL is broken, nothing says nothing."""
    if payload.startswith(b"\0"):
        raise Malformed("a NUL", 0)
    if payload:
        yield Fact("http.server", payload.decode("utf-8", "replace"))


FIELDS = {
    "http.server": Field("http.server", "http", "", also=("their.server",)),
    "mac": Field("mac", "oui", ""),
    "echo.piece": Field("echo.piece", "http", "", read_as="echo"),
}
KNOWLEDGE = Knowledge("test", FIELDS, {}, ())
PROBES = (
    Probe("echo", "udp", (), (), lambda payload: payload.startswith(b"hello"), read, aliases=("echo-2",)),
)


def sample(*observations: object, **more: object) -> tuple[list[Fact], list[str]]:
    """Facts and problem kinds of a line with these observations."""
    line = json.dumps({"id": 1, "observations": list(observations), **more})
    got = read_sample(line, "f:1", KNOWLEDGE, PROBES)
    return list(got.facts), [problem.kind for problem in got.problems]


def test_facts_and_payloads() -> None:
    """Facts are taken as they are, payloads are read by their protocol, MACs get one spelling."""
    facts, problems = sample(
        {"field": "http.server", "text": "x"},
        {"field": "mac", "text": "2857BE000001"},
        {"protocol": "echo", "payload": "hello"},
        {"protocol": "echo-2", "payload_hex": "6869"},
    )
    assert [fact.text for fact in facts] == ["x", "28:57:be:00:00:01", "hello", "hi"]
    assert problems == []


@pytest.mark.parametrize(
    ("observation", "kind"),
    [
        ({"field": "colour", "text": "x"}, "unknown-field"),
        ({"field": "mac", "text": "nonsense"}, "malformed"),
        ({"field": "http.server", "text": []}, "malformed"),
        ({"protocol": "morse", "payload": "x"}, "unknown-protocol"),
        ({"protocol": "echo", "payload_hex": "0"}, "malformed"),
        ({"protocol": "echo", "payload_hex": "00"}, "malformed"),
        ({"protocol": "echo", "payload": ""}, "unread"),
        ({"protocol": "echo"}, "malformed"),
        ({}, "malformed"),
        ("text", "malformed"),
    ],
)
def test_one_bad_observation_hides_no_other(observation: object, kind: str) -> None:
    """The bad one is named; the good one beside it is read."""
    facts, problems = sample(observation, {"field": "http.server", "text": "x"})
    assert [fact.text for fact in facts] == ["x"]
    assert problems == [kind]


def test_a_foreign_name_is_a_problem_but_the_bytes_may_tell() -> None:
    """A payload under a name we do not have is read by the protocol that knows its first bytes."""
    facts, problems = sample({"protocol": "their-echo", "payload": "hello"})
    assert [fact.text for fact in facts] == ["hello"]
    assert problems == ["unknown-protocol"]


def test_others_names_of_a_field_and_pieces_of_messages() -> None:
    """A field under another tool's name is ours; a piece of a message is read by its protocol."""
    facts, problems = sample({"field": "their.server", "text": "x"}, {"field": "echo.piece", "text": "hello"})
    assert facts == [Fact("http.server", "x"), Fact("echo.piece", "hello"), Fact("http.server", "hello")]
    assert problems == []


@pytest.mark.parametrize("line", ["", "{", "[]", "7", '{"id": 1}', '{"observations": {}}', "[" * 100_000])
def test_bad_lines_are_problems(line: str) -> None:
    """A line that is no sample gives no facts and says so."""
    got = read_sample(line, "f:1", KNOWLEDGE, PROBES)
    assert got.facts == ()
    assert got.problems[0].where == "f:1"


def test_too_many_observations_are_cut() -> None:
    """Only so many are read, and that is said."""
    facts, problems = sample(*[{"field": "http.server", "text": "x"}] * (MAX_OBSERVATIONS + 1))
    assert len(facts) == MAX_OBSERVATIONS
    assert problems == ["oversize"]


@given(st.text())
def test_nothing_escapes(line: str) -> None:
    """Any line at all gives a Sample."""
    read_sample(line, "f:1", KNOWLEDGE, PROBES)

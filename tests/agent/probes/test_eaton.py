"""Tests of Eaton's discovery."""

from __future__ import annotations

import pytest

from agent.probes.eaton import EATON
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways

ANSWER = (
    b'<FILE url="upsprop.xml"><SUMMARY><OBJECT name="UPS.PowerSummary.iModel">5PX 1500i</OBJECT>\n'
    b'<OBJECT name="UPS.PowerSummary.PercentLoad">50</OBJECT><OBJECT name="UPS.PowerSummary.iVersion"></OBJECT>'
    b'<OBJECT name="UPS.PowerSummary.iSerialNumber">G000K00001</OBJECT></SUMMARY></FILE>'
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(EATON, payload)
    return [(fact.field.removeprefix("discovery.eaton."), fact.text) for fact in found]


def test_an_answer_gives_its_objects() -> None:
    """Values are known by the names beside them; an empty one lends its name to no other."""
    assert facts(ANSWER) == [("model", "5PX 1500i"), ("serial", "G000K00001")]
    three_ways(EATON, ANSWER)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(EATON, ANSWER)


@pytest.mark.parametrize("payload", [b"", b"<SCAN_REQUEST/>", b"<FILE><OBJECT name='x'>y</OBJECT></FILE>"])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """The question, and another FILE, say nothing."""
    assert facts(payload) == []
    assert not EATON.mine(payload)


def test_the_only_question_is_the_scan_request() -> None:
    """The one request built here is SCAN_REQUEST, without anything inside."""
    assert EATON.hello is not None
    (ask,) = EATON.hello(Target("255.255.255.255", 4679))
    assert ask.payload == b"<SCAN_REQUEST/>"


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives product, model, serial, version and description."""
    payload = (SHARED / "replies" / "eaton.bin").read_bytes()
    assert facts(payload) == [
        ("product", "Eaton"),
        ("model", "Virtual"),
        ("serial", "123456789"),
        ("firmware", "1.0.0"),
        ("description", "Eaton Virtual"),
    ]
    three_ways(EATON, payload)

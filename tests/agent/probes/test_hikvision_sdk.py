"""Tests of Hikvision's SDK protocol."""

from __future__ import annotations

import pytest

from agent.probes.hikvision_sdk import HIKVISION_SDK
from tests.probe_cases import only_malformed, three_ways

# As two public scanners have them; no recording of the exchange is known.
OPENING = bytes.fromhex("00000020 63") + bytes(27)
NOT_UNDERSTOOD = bytes.fromhex("00000010 0000001e 0000001e 00000000")
ANSWER = bytes.fromhex("00000010 00000001 00000000 00000000")


def facts(payload: bytes, asked: bytes = b"") -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in HIKVISION_SDK.dissect(payload, asked)]


def test_the_answer_to_what_makes_no_sense() -> None:
    """The answer that a public scanner knows the port by needs no question."""
    assert HIKVISION_SDK.mine(NOT_UNDERSTOOD)
    assert facts(NOT_UNDERSTOOD) == [("discovery.hikvision-sdk.answer", "30")]
    three_ways(HIKVISION_SDK, NOT_UNDERSTOOD)


def test_an_answer_to_an_opening() -> None:
    """Another result counts only where it answers the SDK's opening: sixteen bytes alone are anybody's."""
    assert facts(ANSWER, OPENING) == [("discovery.hikvision-sdk.answer", "1")]
    assert facts(ANSWER) == facts(ANSWER, b"GET / HTTP/1.1\r\n\r\n") == []
    three_ways(HIKVISION_SDK, ANSWER, OPENING)


@pytest.mark.parametrize("payload", [b"", OPENING, ANSWER[:12], b"\0" + NOT_UNDERSTOOD])
def test_what_is_no_answer_says_nothing(payload: bytes) -> None:
    """A client's opening, a cut answer and one that begins elsewhere give no fact."""
    assert not HIKVISION_SDK.mine(payload)
    assert facts(payload, OPENING) == []


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(HIKVISION_SDK, NOT_UNDERSTOOD, ANSWER)

"""Tests of SADP in frames of its own."""

from __future__ import annotations

import struct

import pytest

from agent.probes.sadp_raw import SADP_RAW
from tests.probe_cases import facts_of, only_malformed, three_ways


def answer(*, operation: int = 4, extended: bool = True, mark: int = 0x21) -> bytes:
    """An answer in the layout that the sources describe."""
    head = bytes([mark, 2, 1, 246]) + bytes(4) + bytes([6, 4, operation, 0]) + bytes(2)
    head += bytes.fromhex("2857be000001") + bytes([192, 0, 2, 64]) + bytes(10) + bytes([255, 255, 255, 0])
    text = b"DS-2CD2032-I20140101CCWR000000001".ljust(48, b"\0") + struct.pack(">4I", 1, 8000, 1, 0)
    text += b"V5.1.0build 131202".ljust(48, b"\0") + b"V4.0".ljust(48, b"\0") + b"2014-01-01".ljust(48, b"\0")
    more = bytes(104) + b"DS-2CD2032-I".ljust(24, b"\0") + bytes(24)
    return head + text + (more if extended else b"")


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(SADP_RAW, payload)
    return [(fact.field.removeprefix("discovery.sadp-raw."), fact.text) for fact in found]


@pytest.mark.parametrize("extended", [False, True])
def test_an_answer_gives_its_places(*, extended: bool) -> None:
    """The older form gives serial and firmware, the newer the model as well."""
    payload = answer(extended=extended)
    assert facts(payload) == [
        ("mac", "28:57:be:00:00:01"),
        ("ipv4-address", "192.0.2.64"),
        ("serial", "DS-2CD2032-I20140101CCWR000000001"),
        ("firmware", "V5.1.0build 131202"),
        *([("model", "DS-2CD2032-I")] if extended else []),
    ]
    three_ways(SADP_RAW, payload)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(SADP_RAW, answer())


@pytest.mark.parametrize("operation", [2, 3, 5, 6, 7, 10, 11, 16])
def test_questions_and_changes_say_nothing(operation: int) -> None:
    """Only the answer to an inquiry describes who sent it."""
    assert facts(answer(operation=operation)) == []


def test_another_mark_is_not_sadp() -> None:
    """A frame that begins otherwise says nothing."""
    assert facts(answer(mark=0x22)) == []
    assert not SADP_RAW.mine(b"")


def test_nothing_is_asked() -> None:
    """The same frames set addresses and passwords: none is built here."""
    assert SADP_RAW.hello is None
    assert SADP_RAW.ethertypes == {0x8033}

"""Tests of Panasonic's discovery."""

from __future__ import annotations

import pytest

from agent.probes.panasonic import PANASONIC
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways


def answer(*values: tuple[int, bytes], operation: int = 14) -> bytes:
    """An answer in the layout of the recorded one."""
    body = b"".join(tag.to_bytes(2) + len(value).to_bytes(2) + value for tag, value in values)
    head = b"\0\1" + len(body).to_bytes(2) + operation.to_bytes(2) + bytes.fromhex("d42dc5000001")
    return head.ljust(48, b"\0") + body + b"\xff\xff\x12\x34"


ANSWER = answer(
    (0, b"\2"),
    (0x20, bytes([192, 0, 2, 12])),
    (0xA7, b"WV-X22700-V2L\0\0\0"),
    (0xA9, b"3.67\0"),
    (0xD1, b"XBV00001\0"),
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(PANASONIC, payload)
    return [(fact.field.removeprefix("discovery.panasonic."), fact.text) for fact in found]


def test_an_answer_gives_its_values() -> None:
    """The MAC of the header and the values behind it are read."""
    assert facts(ANSWER) == [
        ("mac", "d4:2d:c5:00:00:01"),
        ("ipv4-address", "192.0.2.12"),
        ("model", "WV-X22700-V2L"),
        ("firmware", "3.67"),
        ("serial", "XBV00001"),
    ]
    three_ways(PANASONIC, ANSWER)


def test_what_stands_behind_the_stated_length_is_no_value() -> None:
    """Values end where the header says, whatever follows."""
    smuggled = (0xA7).to_bytes(2) + b"\0\5OTHER"
    assert facts(ANSWER + smuggled) == facts(ANSWER)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(PANASONIC, ANSWER)


@pytest.mark.parametrize("payload", [b"", ANSWER[:48], b"\0\2" + ANSWER[2:], answer(operation=13)])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """A header alone, another version and a question are no answers."""
    assert facts(payload) == []
    assert not PANASONIC.mine(payload)


def test_the_only_question_is_the_search() -> None:
    """The one request built here is operation 13, the search; it carries no value."""
    assert PANASONIC.hello is not None
    (ask,) = PANASONIC.hello(Target("255.255.255.255", 10670))
    assert int.from_bytes(ask.payload[4:6]) == 13
    assert int.from_bytes(ask.payload[2:4]) == 0
    assert ask.payload[48:] == bytes.fromhex("ffff0000")


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives names, firmware, MAC and both addresses."""
    payload = (SHARED / "replies" / "panasonic.bin").read_bytes()
    assert facts(payload) == [
        ("mac", "00:11:22:33:44:55"),
        ("ipv4-address", "240.0.15.0"),
        ("ipv6-address", "fe80::1"),
        ("model", "Virtual"),
        ("name", "Virtual"),
        ("firmware", "1.46"),
    ]
    three_ways(PANASONIC, payload)

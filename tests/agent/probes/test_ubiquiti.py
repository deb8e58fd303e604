"""Tests of Ubiquiti's discovery."""

from __future__ import annotations

import pytest

from agent.probes.ubiquiti import UBIQUITI
from agent.wire import Malformed, Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways


def answer(*values: tuple[int, bytes], version: bytes = b"\1\0") -> bytes:
    """An answer in the layout of the recorded one."""
    body = b"".join(bytes([tag]) + len(value).to_bytes(2) + value for tag, value in values)
    return version + len(body).to_bytes(2) + body


MAC = bytes.fromhex("dc9fdb000001")
ANSWER = answer(
    (2, MAC + bytes([192, 0, 2, 12])), (1, MAC), (0x0B, b"Yard"), (0x0C, b"AirCam"), (0x16, b"3.1.4")
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(UBIQUITI, payload)
    return [(fact.field.removeprefix("discovery.ubiquiti."), fact.text) for fact in found]


@pytest.mark.parametrize("version", [b"\1\0", b"\2\6", b"\2\x09", b"\2\x0b"])
def test_every_version_gives_its_values(version: bytes) -> None:
    """Answers of version 1 and what version 2 answers or announces are read alike, each fact once."""
    payload = version + ANSWER[2:]
    assert facts(payload) == [
        ("mac", "dc:9f:db:00:00:01"),
        ("ipv4-address", "192.0.2.12"),
        ("name", "Yard"),
        ("platform", "AirCam"),
        ("firmware", "3.1.4"),
    ]
    three_ways(UBIQUITI, payload)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(UBIQUITI, ANSWER)


def test_an_address_of_another_size_is_malformed() -> None:
    """What came before the broken value stands; the offset names the value."""
    reading = UBIQUITI.dissect(answer((1, MAC), (2, MAC)), b"")
    assert next(reading).text == "dc:9f:db:00:00:01"
    with pytest.raises(Malformed) as caught:
        next(reading)
    assert caught.value.offset == 4 + 3 + 6


@pytest.mark.parametrize(
    "payload", [b"", b"\1\0\0\0", b"\2\x08\0\0", b"\3" + ANSWER[1:], answer((0x7F, b"other"))]
)
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """Questions, another version and values that no answer begins with tell nothing."""
    assert facts(payload) == []
    assert not UBIQUITI.mine(payload)


def test_the_only_questions_are_the_two_searches() -> None:
    """The requests built here are the empty searches of version 1 (command 0) and version 2 (command 8)."""
    assert UBIQUITI.hello is not None
    asks = UBIQUITI.hello(Target("233.89.188.1", 10001))
    assert [ask.payload.hex() for ask in asks] == ["01000000", "02080000"]


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives model, firmware, name, MAC and address."""
    payload = (SHARED / "replies" / "ubiquiti.bin").read_bytes()
    assert facts(payload) == [
        ("mac", "00:11:22:33:44:55"),
        ("ipv4-address", "240.0.12.0"),
        ("name", "UBNT"),
        ("platform", "VIRTUAL"),
        ("firmware-string", "Firmware_version.1.0"),
        ("firmware", "1.0"),
        ("model", "VIRTUAL"),
    ]
    three_ways(UBIQUITI, payload)

"""Tests of VStarcam's discovery."""

from __future__ import annotations

import pytest

from agent.probes.vstarcam import VSTARCAM
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways


def answer(serial: bytes = b"VSTA000001ABCDE") -> bytes:
    """An answer in the layout of the recorded one."""
    places = {
        0: b"\x44\x48\x01\x08",
        4: b"192.0.2.18",
        0x54: bytes.fromhex("48022a000001"),
        0x5A: b"\x90\x1f",
    }
    payload = bytearray(304)
    for start, text in {**places, 0x5C: serial, 0x7C: b"Porch", 0xCC: b"48.53.75.92"}.items():
        payload[start : start + len(text)] = text
    return bytes(payload)


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(VSTARCAM, payload)
    return [(fact.field.removeprefix("discovery.vstarcam."), fact.text) for fact in found]


def test_an_answer_gives_its_places() -> None:
    """MAC, address, serial, name, firmware and port are read, each from its place."""
    assert facts(answer()) == [
        ("mac", "48:02:2a:00:00:01"),
        ("ipv4-address", "192.0.2.18"),
        ("serial", "VSTA000001ABCDE"),
        ("name", "Porch"),
        ("firmware", "48.53.75.92"),
        ("http-port", "8080"),
    ]
    three_ways(VSTARCAM, answer())


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(VSTARCAM, answer())


@pytest.mark.parametrize("payload", [b"", b"DH\1", b"DH\1\1", b"DHIP" + bytes(300)])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """The question, and Dahua's protocol that begins with the same letters, are no answers."""
    assert facts(payload) == []
    assert not VSTARCAM.mine(payload)


def test_the_only_question_is_the_search() -> None:
    """The one request built here is the number 0x0101, the search."""
    assert VSTARCAM.hello is not None
    (ask,) = VSTARCAM.hello(Target("255.255.255.255", 8600))
    assert ask.payload == bytes.fromhex("44480101")


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives serial, name, firmware, MAC, address and port."""
    payload = (SHARED / "replies" / "vstarcam.bin").read_bytes()
    assert facts(payload) == [
        ("mac", "11:22:33:44:55:66"),
        ("ipv4-address", "240.0.18.0"),
        ("serial", "123456789"),
        ("name", "Virtual Camera"),
        ("firmware", "1.0"),
        ("http-port", "8080"),
    ]
    three_ways(VSTARCAM, payload)

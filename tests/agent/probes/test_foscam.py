"""Tests of Foscam's discovery."""

from __future__ import annotations

from itertools import cycle

import pytest

from agent.probes.foscam import FOSCAM
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways

KEY = b"\x5fSecret\x7f"


def answer(*, hidden: bool = False, kind: int = 1, serial: bytes = b"00626E000001") -> bytes:
    """An answer in the layout of the recorded ones; `hidden` as the obfuscated one."""
    body = serial.ljust(13, b"\0")[:13] + b"Shop".ljust(21, b"\0") + bytes([192, 0, 2, 20]) + bytes(12)
    body += bytes([65, 0, 0, 0, 11, 14, 2, 28, 2, 4, 8, 1]) + (8080).to_bytes(2)
    if hidden:
        body = bytes(byte ^ key for byte, key in zip(body, cycle(KEY), strict=False))
    flag = b"\1" + KEY if hidden else bytes(9)
    return b"MO_I" + kind.to_bytes(2, "little") + flag + b"\x40" + bytes(7) + body


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(FOSCAM, payload)
    return [(fact.field.removeprefix("discovery.foscam."), fact.text) for fact in found]


@pytest.mark.parametrize("hidden", [False, True], ids=["plain", "obfuscated"])
def test_both_forms_say_the_same(*, hidden: bool) -> None:
    """The obfuscated form is read with the key that it brings."""
    payload = answer(hidden=hidden)
    assert facts(payload) == [
        ("serial", "00626E000001"),
        ("mac", "00:62:6E:00:00:01"),
        ("name", "Shop"),
        ("ipv4-address", "192.0.2.20"),
        ("firmware", "11.14.2.28"),
        ("http-port", "8080"),
    ]
    three_ways(FOSCAM, payload)


def test_a_serial_that_fills_its_place_is_not_trusted() -> None:
    """Thirteen characters may be the beginning of a longer serial."""
    assert "serial" not in dict(facts(answer(serial=b"0" * 14)))


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(FOSCAM, answer(), answer(hidden=True))


@pytest.mark.parametrize("payload", [b"", b"MO_I", answer()[:-1], answer(kind=0), answer(kind=2)])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """A message that is cut, and one of another kind, say nothing for certain."""
    assert facts(payload) == []


def test_the_only_question_is_the_search() -> None:
    """The one request built here is of kind 0, the search: 23 bytes of header and the number 1."""
    assert FOSCAM.hello is not None
    (ask,) = FOSCAM.hello(Target("255.255.255.255", 10000))
    assert ask.payload == b"MO_I" + bytes(11) + b"\4" + bytes(7) + b"\0\0\0\1"


@needs_shared
@pytest.mark.parametrize(
    ("file", "name", "address"),
    [("foscam.bin", "Virtual device", "240.0.20.0"), ("foscam_cipher.bin", "*Virtual device*", "240.0.20.1")],
)
def test_recorded_answers(file: str, name: str, address: str) -> None:
    """Both recorded forms give serial, name, address, firmware and port."""
    payload = (SHARED / "replies" / file).read_bytes()
    assert facts(payload) == [
        ("serial", "0123456789"),
        ("name", name),
        ("ipv4-address", address),
        ("firmware", "1.0.0.0"),
        ("http-port", "80"),
    ]
    three_ways(FOSCAM, payload)

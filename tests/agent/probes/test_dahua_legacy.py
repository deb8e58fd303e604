"""Tests of Dahua's older discovery."""

from __future__ import annotations

import struct

import pytest

from agent.probes.dahua_legacy import DAHUA_LEGACY
from agent.wire import Malformed, Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways


def answer(
    kind: bytes = b"IPC-HFW2100",
    second: bytes = b"90:02:a9:00:00:01IPC-HFW2100",
    text: bytes = b"Name:cam\r\nSerialNo:1\r\n",
) -> bytes:
    """An answer in the layout of the recorded one."""
    head = struct.pack("<BxBxI8xIH10x", 0xB3, len(second), 0x58, 2, len(text))
    first = bytes(8) + kind.ljust(16, b"\0")[:16] + bytes([192, 0, 2, 7])
    return head + first.ljust(0x58, b"\0") + second + text


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [
        (fact.field.removeprefix("dahua-legacy."), fact.text) for fact in DAHUA_LEGACY.dissect(payload, b"")
    ]


def test_an_answer_gives_all_three_sections() -> None:
    """Type, address, MAC and the text lines are read, each from its section."""
    assert facts(answer()) == [
        ("device-type", "IPC-HFW2100"),
        ("ipv4-address", "192.0.2.7"),
        ("mac", "90:02:a9:00:00:01"),
        ("device-type", "IPC-HFW2100"),
        ("name", "cam"),
        ("serial-no", "1"),
    ]


def test_a_type_that_fills_its_place_is_not_trusted() -> None:
    """Sixteen characters may be a cut name: the whole one stands in section 2."""
    long = b"DH-IPC-HFW2100P-VX"
    found = facts(answer(long, b"90:02:a9:00:00:01" + long))
    assert [text for name, text in found if name == "device-type"] == [long.decode()]


def test_a_blank_type_is_no_type() -> None:
    """Spaces where the type should be give no fact."""
    assert [name for name, _ in facts(answer(b"  ", b"90:02:a9:00:00:01  "))] == [
        "ipv4-address",
        "mac",
        "name",
        "serial-no",
    ]


def test_three_ways() -> None:
    """Whole, cut at every byte and with a tail, the answer never tells more than it says."""
    three_ways(DAHUA_LEGACY, answer())


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(DAHUA_LEGACY, answer())


def test_text_lines_alone_are_read() -> None:
    """The text section by itself, as a log quotes it, gives its facts."""
    assert facts(b"Name:cam\r\nIPv6Addr:fe80::1/64;gateway:fe80::\r\nSerialNo:12") == [
        ("name", "cam"),
        ("ipv6-address", "fe80::1/64"),
    ]


def test_a_section_without_a_mac_is_malformed() -> None:
    """An answer whose second section holds no MAC is broken there."""
    with pytest.raises(Malformed) as caught:
        facts(answer(second=b"x" * 20))
    assert caught.value.offset == 0x78


@pytest.mark.parametrize("payload", [b"", b"\xb3", b"\xb3" + bytes(300), b"\xa3\x01\x00\x01" + bytes(28)])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """Too few bytes, other bytes under the same mark and the question itself are not answers."""
    assert facts(payload) == []
    assert not DAHUA_LEGACY.mine(payload)


def test_the_only_question_is_the_device_search() -> None:
    """The one request built here is the 32-byte search."""
    assert DAHUA_LEGACY.hello is not None
    (ask,) = DAHUA_LEGACY.hello(Target("255.255.255.255", 5050))
    assert ask.payload == bytes.fromhex("a3010001" + "00" * 12 + "02" + "00" * 15)


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives its type, name, serial, MAC and both addresses."""
    payload = (SHARED / "replies" / "dahua1.bin").read_bytes()
    assert facts(payload) == [
        ("device-type", "Virtual"),
        ("ipv4-address", "240.0.3.0"),
        ("mac", "00:11:22:33:44:55"),
        ("device-type", "Virtual"),
        ("name", "Dahua"),
        ("device-type", "Virtual"),
        ("ipv6-address", "fe80::1/64"),
        ("serial-no", "123456789"),
    ]
    three_ways(DAHUA_LEGACY, payload)

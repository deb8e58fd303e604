"""Tests of reading fixed places of binary answers."""

from __future__ import annotations

import struct

import pytest

from agent.binary import address_text, mac_text, placed_text, plain_text, tagged

BYTES = struct.Struct("BB")


def test_a_text_ends_at_its_first_nul() -> None:
    """What stands behind the NUL belongs to nobody; bytes that are no text are replaced."""
    assert plain_text(b" a \0b") == "a"
    assert plain_text(b"\xff") == "�"


def test_a_text_that_fills_its_place_may_have_been_cut() -> None:
    """Only a NUL inside the place makes a text certain."""
    assert placed_text(b"xxabc\0", 2, 4) == "abc"
    assert placed_text(b"xxabcd\0", 2, 4) == ""
    assert placed_text(b"xxab", 2, 4) == ""


@pytest.mark.parametrize("raw", [b"", bytes(5), bytes(6), b"\xff" * 6, bytes(7)])
def test_no_mac_without_six_bytes_that_say_something(raw: bytes) -> None:
    """Too few bytes, zeros and the broadcast address are no device's MAC."""
    assert mac_text(raw) == ""


def test_a_mac_has_colons() -> None:
    """Six bytes are written in the one form that the rules know."""
    assert mac_text(bytes.fromhex("001a070a0b0c")) == "00:1a:07:0a:0b:0c"


def test_an_address_has_four_bytes_or_sixteen() -> None:
    """Both versions are read; nothing set is no address, other sizes are none either."""
    assert address_text(bytes([192, 0, 2, 1])) == "192.0.2.1"
    assert address_text(bytes.fromhex("fe80" + "00" * 13 + "01")) == "fe80::1"
    assert [address_text(raw) for raw in (b"", bytes(4), bytes(5), bytes(16))] == [""] * 4


def test_tagged_values_end_at_a_cut() -> None:
    """Whole values are given with their offsets; one that is cut is not."""
    payload = b"\0\1\2ab\3\0\4\5cut"
    assert list(tagged(payload, 1, BYTES)) == [(1, 1, b"ab"), (5, 3, b"")]
    assert list(tagged(payload, 99, BYTES)) == []

"""Tests that ARP frames are written and read as RFC 826 has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.interfaces import Interface
from agent.sweep import arp

# A reply of 192.0.2.7 (28:57:be:00:00:07) to 192.0.2.1, laid out by hand after RFC 826.
REPLY = bytes.fromhex(
    "02fc00000001 2857be000007 0806 0001 0800 06 04 0002 2857be000007 c0000207 02fc00000001 c0000201".replace(
        " ", ""
    )
)


def test_request_as_on_the_wire() -> None:
    """A request is a broadcast frame of 60 bytes that names who asks and for whom."""
    frame = arp.request("02:fc:00:00:00:01", "192.0.2.1", "192.0.2.7")
    assert frame == bytes.fromhex(
        "ffffffffffff02fc00000001080600010800060400010" + "2fc00000001c0000201000000000000c0000207"
    ).ljust(60, b"\0")


def test_answer_is_read() -> None:
    """An answer tells its sender's address with the source MAC of the frame; padding is no matter."""
    assert arp.read(REPLY) == ("192.0.2.7", "28:57:be:00:00:07")
    assert arp.read(REPLY + bytes(18)) == ("192.0.2.7", "28:57:be:00:00:07")


@pytest.mark.parametrize(
    ("at", "byte"),
    [(6, 0x29), (13, 0x00), (15, 0x06), (17, 0xDD), (18, 0x08), (19, 0x10)],
    ids=["group source", "ethertype", "hardware", "protocol", "hardware length", "protocol length"],
)
def test_other_frames_are_nothing(at: int, byte: int) -> None:
    """A frame that is not ARP for IPv4 over Ethernet from one host says nothing."""
    frame = bytearray(REPLY)
    frame[at] = byte
    assert arp.read(bytes(frame)) is None


def test_probe_without_address_is_nothing() -> None:
    """An address probe (sender 0.0.0.0, RFC 5227) names no address."""
    assert arp.read(REPLY[:28] + bytes(4) + REPLY[32:]) is None


@given(st.binary(max_size=80))
def test_any_bytes(frame: bytes) -> None:
    """No frame raises, however short or broken."""
    arp.read(frame)


def test_no_link_no_socket() -> None:
    """Where ARP is not spoken, or there is no address to ask from, no socket is opened."""
    assert arp.open_link(Interface("lo", 1, ("127.0.0.1/8",), None, ethernet=False)) is None
    assert arp.open_link(Interface("none0", 999, ("192.0.2.1/24",), "02:fc:00:00:00:01")) is None

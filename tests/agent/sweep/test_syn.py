"""Tests that SYNs are written as RFC 9293 has them and that only answers to them count."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP

from agent.sweep import syn

KEY = b"k" * 16
PORT = 40_000


def answer(source: str, port: int, flags: int, acknowledged: int, to: int = PORT) -> bytes:
    """An IPv4 packet with a TCP segment in it, laid out by hand."""
    address = socket.inet_aton(source)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, address, socket.inet_aton("192.0.2.1"))
    return header + struct.pack("!HHIIBBHHH", port, to, 7, acknowledged, 0x50, flags, 0, 0, 0)


def expected(source: str, port: int) -> int:
    return (syn.cookie(KEY, socket.inet_aton(source), port) + 1) & 0xFFFFFFFF


@given(st.integers(0, 2**32 - 1), st.integers(1, 65_535), st.integers(0, 2**32 - 1))
def test_a_segment_is_whole(target: int, port: int, sequence: int) -> None:
    """Scapy reads the packet as a SYN with these numbers, and computes the same checksum."""
    there = socket.inet_ntoa(target.to_bytes(4))
    packet = IP(syn.segment("192.0.2.1", there, (PORT, port), sequence))
    tcp = packet[TCP]
    assert (packet.src, packet.dst, packet.len) == ("192.0.2.1", there, 44)
    assert (tcp.sport, tcp.dport, tcp.seq, str(tcp.flags)) == (PORT, port, sequence, "S")
    assert tcp.options == [("MSS", 1460)]
    told = tcp.chksum
    del tcp.chksum
    again = IP(bytes(packet))[TCP].chksum
    # Zero has two spellings in one's complement.
    assert told % 0xFFFF == again % 0xFFFF


@pytest.mark.parametrize("flags", [0x12, 0x14], ids=["SYN-ACK", "RST"])
def test_answers_count(flags: int) -> None:
    """An open port is life, so is a refusal; the host is told."""
    packet = answer("192.0.2.7", 80, flags, expected("192.0.2.7", 80))
    assert syn.read(packet, KEY, PORT) == int.from_bytes(socket.inet_aton("192.0.2.7"))


@pytest.mark.parametrize(
    "packet",
    [
        answer("192.0.2.7", 80, 0x12, expected("192.0.2.7", 80) + 1),
        answer("192.0.2.8", 80, 0x12, expected("192.0.2.7", 80)),
        answer("192.0.2.7", 81, 0x12, expected("192.0.2.7", 80)),
        answer("192.0.2.7", 80, 0x10, expected("192.0.2.7", 80)),
        answer("192.0.2.7", 80, 0x02, expected("192.0.2.7", 80)),
        answer("192.0.2.7", 80, 0x12, expected("192.0.2.7", 80), to=PORT + 1),
    ],
    ids=["other number", "other host", "other port", "ACK alone", "SYN alone", "not to us"],
)
def test_forged_answers_do_not_count(packet: bytes) -> None:
    """Who does not know the number that was sent to a port of that host is no answer."""
    assert syn.read(packet, KEY, PORT) is None


@given(st.binary(max_size=120))
def test_any_bytes(packet: bytes) -> None:
    """No packet raises, however short or broken."""
    syn.read(packet, KEY, PORT)

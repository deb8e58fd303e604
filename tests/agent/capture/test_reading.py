"""Frames become Messages by the probes' records, each payload once, in bounded memory."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from agent.capture.reading import Reading
from agent.capture.savefile import Frame
from agent.probes import ALL
from agent.wire import SIGHTING, Message, Probe

MAC = "28:57:be:00:00:01"


def probe(name: str, transport: Any, **more: Any) -> Probe:
    """A protocol that takes whatever is offered to it."""
    return Probe(name, transport, more.pop("ports", ()), (), lambda _: True, lambda *_: iter(()), **more)


def frame(data: bytes, at: float = 1.0, number: int = 1) -> Frame:
    """An Ethernet frame from `MAC` with these bytes behind its addresses."""
    return Frame(
        at, 1, b"\1\x80\xc2\0\0\x0e" + bytes.fromhex(MAC.replace(":", "")) + data, len(data), number, 0
    )


def datagram(payload: bytes, at: float = 1.0, source: int = 1, port: int = 37_020) -> Frame:
    """A UDP datagram from 10.0.x.y."""
    udp = struct.pack("!HHHH", port, port, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBHIi", 0x45, 0, 20 + len(udp), 0, 0, 9, 17, 0, (10 << 24) + source, -1)
    return frame(b"\x08\x00" + ip + udp, at)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x88\xcc" + b"\x02\x07lldp", "lldp"),
        (b"\x81\x00\x00\x07\x88\xcc" + b"\x02\x07lldp", "lldp"),
        (b"\x00\x20\xaa\xaa\x03\x00\x00\x0c\x20\x00" + b"\x02cdp", "cdp"),
        (
            b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, 24, 58, 255) + bytes(32) + b"\x88" + bytes(23),
            "nd",
        ),
    ],
)
def test_protocols_without_ip_or_ports(data: bytes, name: str) -> None:
    """An ethertype, a SNAP id or ICMPv6 brings a protocol its payload, with the frame's own sender."""
    probes = (
        probe("lldp", "ethernet", ethertypes=frozenset({0x88CC})),
        probe("cdp", "ethernet", ethertypes=frozenset({0x00000C2000})),
        probe("nd", "icmp6"),
    )
    (message,) = [message for message in Reading(probes, "x").frame(frame(data)) if message.payload]
    assert (message.protocol, message.sender.mac) == (name, MAC)
    assert data.endswith(message.payload)
    other = Reading((), "x")
    assert not other.frame(frame(data))
    assert sum(other.stats.unread.values()) == (name != "nd")


def test_a_payload_is_decoded_once() -> None:
    """What the same host says again is no Message again; when it was last seen is told in the end."""
    probes = (probe("beacon", "udp", ports=(37_020,)),)
    one = Reading(probes, "x")
    said = [message for at in range(1, 101) for message in one.frame(datagram(b"here I am", float(at)))]
    said += [
        message for at in range(1, 3) for message in one.frame(datagram(b"me, too", float(at), source=2))
    ]
    assert [(m.protocol, m.payload) for m in said] == [
        (SIGHTING, b""),
        ("beacon", b"here I am"),
        (SIGHTING, b""),
        ("beacon", b"me, too"),
    ]
    assert one.stats.repeats == 100
    ended = list(one.close())
    assert [(m.protocol, m.sender.ip, m.at) for m in ended] == [
        (SIGHTING, "10.0.0.1", 100.0),
        (SIGHTING, "10.0.0.2", 2.0),
    ]


def test_sightings_can_be_asked_for_at_any_time() -> None:
    """Each tells of the hosts that were seen since the last."""
    one = Reading((probe("beacon", "udp", ports=(37_020,)),), "x")
    for at in (1.0, 2.0, 5.0):
        one.frame(datagram(b"here", at))
    assert [m.at for m in one.sightings()] == [5.0]
    assert list(one.sightings()) == []
    one.frame(datagram(b"here", 4.0))
    assert list(one.sightings()) == []
    one.frame(datagram(b"here", 9.0))
    assert [m.at for m in one.sightings()] == [9.0]


def test_weeks_of_new_hosts() -> None:
    """More hosts than there is room for: the oldest gives way with its last time, and is counted."""
    one = Reading((probe("beacon", "udp", ports=(37_020,)),), "x", max_hosts=10)
    one.frame(datagram(b"here", 1.0, source=1))
    one.frame(datagram(b"here", 2.0, source=1))
    said: list[Message] = [m for n in range(2, 52) for m in one.frame(datagram(b"here", 3.0, source=n))]
    told = [m for m in said if m.protocol == SIGHTING and m.sender.ip == "10.0.0.1"]
    assert [m.at for m in told] == [2.0]
    assert one.settle().hosts_given_up == 41
    # One that comes back is sighted again, however many came between.
    assert SIGHTING in {m.protocol for m in one.frame(datagram(b"here", 4.0, source=1))}


def test_broken_frames_are_counted() -> None:
    """Noise gives no Message and no exception, but a number in the coverage."""
    one = Reading(ALL, "x")
    assert not one.frame(frame(b"\x08\x00\x45"))
    assert not one.frame(Frame(None, 1, b"", 0, 1, 0))
    assert one.stats.unread["frames too short or broken"] == 2

"""Frames of a VLAN are what scapy, which nobody here wrote, reads in them."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether

from agent.trunk.frames import BROADCAST, Sender, group_mac, read

MAC = bytes.fromhex("00e04c3600fa")
OURS = Sender(20, MAC, ipaddress.IPv4Address("10.0.20.250"))
CAMERA = bytes.fromhex("4447cc112233")


def test_a_datagram_is_whole() -> None:
    """Tag, addresses, ports and payload, one hop far, with the checksums that scapy computes."""
    frame = OURS.datagram(group_mac("239.255.255.250"), "239.255.255.250", (37020, 37020), b"question")
    assert frame is not None
    packet = Ether(frame)
    assert (packet.dst, packet.src, packet[Dot1Q].vlan, packet[Dot1Q].prio) == (
        "01:00:5e:7f:ff:fa",
        "00:e0:4c:36:00:fa",
        20,
        0,
    )
    assert (packet[IP].src, packet[IP].dst, packet[IP].ttl) == ("10.0.20.250", "239.255.255.250", 1)
    assert (packet[UDP].sport, packet[UDP].dport, bytes(packet[UDP].payload)[:8]) == (
        37020,
        37020,
        b"question",
    )
    given = packet[IP].chksum, packet[UDP].chksum
    again = packet.copy()
    del again[IP].chksum, again[UDP].chksum
    again = Ether(bytes(again))
    assert given == (again[IP].chksum, again[UDP].chksum)


def test_what_no_frame_holds_is_not_sent() -> None:
    """A payload beyond one frame, or a sender without an address, gives nothing to send."""
    assert OURS.datagram(CAMERA, "10.0.20.7", (1, 2), bytes(1473)) is None
    assert Sender(20, MAC).datagram(CAMERA, "10.0.20.7", (1, 2), b"x") is None


def test_arp_asks_and_answers() -> None:
    """A question to all, a probe that claims no address (RFC 5227), an answer to one host."""
    question = Ether(OURS.who_has("10.0.20.7"))
    assert (question.dst, question[Dot1Q].vlan) == ("ff:ff:ff:ff:ff:ff", 20)
    assert (question[ARP].op, question[ARP].psrc, question[ARP].pdst) == (1, "10.0.20.250", "10.0.20.7")
    assert Ether(Sender(20, MAC).who_has("10.0.20.7"))[ARP].psrc == "0.0.0.0"
    answer = Ether(OURS.here(CAMERA, socket.inet_aton("10.0.20.7")))
    assert (answer.dst, answer[ARP].op) == ("44:47:cc:11:22:33", 2)
    assert (answer[ARP].psrc, answer[ARP].hwsrc) == ("10.0.20.250", "00:e0:4c:36:00:fa")
    assert (answer[ARP].pdst, answer[ARP].hwdst) == ("10.0.20.7", "44:47:cc:11:22:33")


@pytest.mark.parametrize(
    ("group", "mac"),
    [
        ("224.0.0.251", "01005e0000fb"),
        ("239.255.255.250", "01005e7ffffa"),
        ("255.255.255.255", "ffffffffffff"),
    ],
)
def test_groups_have_their_mac(group: str, mac: str) -> None:
    """The lower 23 bits of an address behind 01:00:5e (RFC 1112); everybody is everybody."""
    assert group_mac(group).hex() == mac


def test_senders_are_read_out_of_frames() -> None:
    """ARP tells who asks for whom; a packet to a group comes from this link, one to a host may not."""
    request = bytes(
        Ether(src=CAMERA.hex(":"), dst=BROADCAST.hex(":"))
        / ARP(op=1, hwsrc=CAMERA.hex(":"), psrc="10.0.20.7", pdst="10.0.20.1")
    )
    found = read(request)
    assert found is not None
    assert (found.mac, str(found.ip), str(found.asks)) == (CAMERA, "10.0.20.7", "10.0.20.1")
    to_group = bytes(
        Ether(src=CAMERA.hex(":"), dst="01:00:5e:00:00:fb") / IP(src="10.0.20.7", dst="224.0.0.251") / UDP()
    )
    found = read(to_group)
    assert found is not None
    assert (str(found.ip), found.asks) == ("10.0.20.7", None)
    to_host = bytes(
        Ether(src=CAMERA.hex(":"), dst=MAC.hex(":")) / IP(src="198.51.100.7", dst="10.0.20.250") / UDP()
    )
    assert read(to_host) is None
    for length in range(34):
        assert read(request[:length]) is None

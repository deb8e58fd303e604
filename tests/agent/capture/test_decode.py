"""Frames are taken apart as scapy puts them together, and nothing that is cut or nested does harm."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.capture.decode import Fragment, NonIp, Packet, Unread, decode
from agent.capture.savefile import read_frames
from tests.places import SHARED, needs_shared

PAYLOAD = b"hello, camera"
MAC, TO = "28:57:be:00:00:01", "02:00:00:00:00:02"
LINK_TYPES = (0, 1, 9, 12, 50, 101, 104, 105, 108, 113, 127, 228, 229, 276, 147)


def crafted() -> dict[str, tuple[int, bytes]]:
    """A frame of each kind with one UDP datagram in it, crafted by scapy: link type with bytes."""
    from scapy.all import (  # type: ignore[attr-defined]  # noqa: PLC0415 - heavy, GPL: only in this test
        ARP,
        GRE,
        IP,
        LLC,
        PPP,
        SNAP,
        UDP,
        CookedLinux,
        CookedLinuxV2,
        Dot1AD,
        Dot1Q,
        Dot11,
        Dot11QoS,
        Ether,
        IPv6,
        IPv6ExtHdrDestOpt,
        Loopback,
        PPPoE,
        RadioTap,
        Raw,
    )
    from scapy.contrib.geneve import GENEVE  # noqa: PLC0415 - as above
    from scapy.contrib.mpls import MPLS  # noqa: PLC0415 - as above
    from scapy.layers.vxlan import VXLAN  # noqa: PLC0415 - as above

    inner: Any = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=37020, dport=9) / Raw(PAYLOAD)
    inner6: Any = IPv6(src="fe80::1", dst="ff02::c") / UDP(sport=37020, dport=9) / Raw(PAYLOAD)
    extended: Any = (
        IPv6(src="fe80::1", dst="ff02::c") / IPv6ExtHdrDestOpt() / UDP(sport=37020, dport=9) / Raw(PAYLOAD)
    )
    ether: Any = Ether(src=MAC, dst=TO)
    outer: Any = Ether(src=TO, dst=TO) / IP(src="192.168.9.9", dst="192.168.9.8")
    erspan2 = struct.pack("!II", (1 << 28) | 5, 7)
    tzsp = b"\x01\x00\x00\x01" + b"\x01"
    whole: Any = bytes(ether / inner)
    return {
        "ethernet": (1, whole),
        "vlan": (1, bytes(ether / Dot1Q(vlan=20) / inner)),
        "qinq": (1, bytes(ether / Dot1AD(vlan=100) / Dot1Q(vlan=20) / inner)),
        "snap": (
            1,
            bytes(
                Ether(src=MAC, dst=TO, type=len(inner) + 8)
                / LLC(dsap=0xAA, ssap=0xAA, ctrl=3)
                / SNAP(OUI=0, code=0x0800)
                / inner
            ),
        ),
        "ipv6": (1, bytes(ether / inner6)),
        "ipv6 options": (1, bytes(ether / extended)),
        "mpls": (1, bytes(ether / MPLS(label=5, s=1) / inner)),
        "pppoe": (1, bytes(ether / PPPoE(sessionid=1) / PPP(proto=0x21) / inner)),
        "cooked": (
            113,
            bytes(CookedLinux(src=bytes.fromhex(MAC.replace(":", "")), lladdrlen=6, proto=0x0800) / inner),
        ),
        "cooked 2": (
            276,
            bytes(CookedLinuxV2(src=bytes.fromhex(MAC.replace(":", "")), lladdrlen=6, proto=0x0800) / inner),
        ),
        "raw": (101, bytes(inner)),
        "loopback": (0, bytes(Loopback(type=2) / inner)),
        "radiotap": (
            127,
            bytes(
                RadioTap()
                / Dot11(type=2, subtype=0, FCfield=2, addr1=TO, addr2=TO, addr3=MAC)
                / LLC(dsap=0xAA, ssap=0xAA, ctrl=3)
                / SNAP(OUI=0, code=0x0800)
                / inner
            ),
        ),
        "802.11 qos": (
            105,
            bytes(
                Dot11(type=2, subtype=8, FCfield=1, addr1=TO, addr2=MAC, addr3=TO)
                / Dot11QoS()
                / LLC(dsap=0xAA, ssap=0xAA, ctrl=3)
                / SNAP(OUI=0, code=0x0800)
                / inner
            ),
        ),
        "gre": (1, bytes(outer / GRE(proto=0x0800) / inner)),
        "erspan": (1, bytes(outer / GRE(proto=0x88BE, seqnum_present=1) / Raw(erspan2 + whole))),
        "vxlan": (1, bytes(outer / UDP(sport=5, dport=4789) / VXLAN(vni=7, flags=8) / Ether(whole))),
        "geneve": (1, bytes(outer / UDP(sport=5, dport=6081) / GENEVE(vni=7, proto=0x6558) / Ether(whole))),
        "tzsp": (1, bytes(outer / UDP(sport=5, dport=37008) / Raw(tzsp + whole))),
        "radiotap padding": (
            127,
            bytes.fromhex("00000a0002000000 2000")
            + bytes(Dot11(type=2, subtype=8, FCfield=2, addr1=TO, addr2=TO, addr3=MAC) / Dot11QoS())
            + b"\0\0"
            + bytes(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x0800) / inner),
        ),
        "802.11 aggregate": (
            105,
            bytes(
                Dot11(type=2, subtype=8, FCfield=2, addr1=TO, addr2=TO, addr3=TO) / Dot11QoS(A_MSDU_Present=1)
            )
            + bytes.fromhex((TO + MAC).replace(":", ""))
            + struct.pack("!H", 8 + len(inner))
            + bytes(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x0800) / inner),
        ),
        "ppp": (9, bytes(PPP(proto=0x21) / inner)),
        "ppp hdlc": (50, b"\xff\x03" + bytes(PPP(proto=0x21) / inner)),
        "cisco hdlc": (104, b"\x0f\0\x08\0" + bytes(inner)),
        "cisco hdlc in ppp": (9, b"\x8f\0\x08\0" + bytes(inner)),
        "erspan I": (1, bytes(outer / GRE(proto=0x88BE) / Raw(whole))),
        "erspan III": (
            1,
            bytes(
                outer
                / GRE(proto=0x22EB, seqnum_present=1)
                / Raw(struct.pack("!III", 2 << 28, 0, 1) + bytes(8) + whole)
            ),
        ),
        "geneve ip": (1, bytes(outer / UDP(sport=5, dport=6081) / GENEVE(vni=7, proto=0x0800) / inner)),
        "gre bridge": (1, bytes(outer / GRE(proto=0x6558, key_present=1, key=4) / Raw(whole))),
        "arp": (1, bytes(ether / ARP(hwsrc=MAC, psrc="10.0.0.1", pdst="10.0.0.2"))),
    }


FRAMES = crafted()
BARE = {"raw", "loopback", "gre", "geneve ip", "ppp", "ppp hdlc", "cisco hdlc", "cisco hdlc in ppp"}
"""Kinds in which no MAC stands beside the datagram."""


@pytest.mark.parametrize("kind", [kind for kind in FRAMES if kind != "arp"])
def test_scapys_frames_are_read(kind: str) -> None:
    """The datagram inside comes out with its ports, its addresses and, where the link has one, its MAC."""
    link_type, data = FRAMES[kind]
    found = decode(data, link_type)
    assert isinstance(found, Packet)
    assert (found.payload, found.source_port) == (PAYLOAD, 37020)
    assert found.source == ("fe80::1" if "ipv6" in kind else "10.0.0.1")
    assert found.mac == (None if kind in BARE else MAC)
    assert found.vlan == {"vlan": (20,), "qinq": (100, 20)}.get(kind, ())
    assert bool(found.tunnel) == kind.startswith(("gre", "erspan", "vxlan", "geneve", "tzsp"))


def test_arp() -> None:
    """ARP comes out whole, with the frame's own sender."""
    found = decode(FRAMES["arp"][1], 1)
    assert isinstance(found, NonIp)
    assert found.kind == 0x0806
    assert found.mac == MAC
    assert found.payload.startswith(b"\0\1\x08\0\x06\x04")


@pytest.mark.parametrize("kind", FRAMES)
def test_cut_anywhere(kind: str) -> None:
    """A frame that the capture cut gives a beginning of its payload, marked as such, or nothing."""
    link_type, data = FRAMES[kind]
    for at in range(len(data)):
        try:
            found = decode(data[:at], link_type)
        except (IndexError, ValueError, struct.error):
            continue
        if isinstance(found, Packet) and found.source_port == 37020:
            assert PAYLOAD.startswith(found.payload)
            assert found.payload == PAYLOAD or found.missing


def test_fragments_share_a_key() -> None:
    """Two fragments of one packet have the same key and their offsets in bytes."""
    head = bytes.fromhex("4500001c000720000011000 0".replace(" ", "")) + b"\x0a\0\0\1\x0a\0\0\2"
    tail = bytes.fromhex("4500001c000700010011000 0".replace(" ", "")) + b"\x0a\0\0\1\x0a\0\0\2"
    first, second = decode(head + b"12345678", 101), decode(tail + b"12345678", 101)
    assert isinstance(first, Fragment)
    assert isinstance(second, Fragment)
    assert first.key == second.key
    assert [(part.offset, part.more) for part in (first, second)] == [(0, True), (8, False)]


def test_what_is_not_read_is_named() -> None:
    """Unknown link types, ethertypes and protocols have a name for the coverage."""
    assert decode(b"x" * 40, 147) == Unread("link type 147")
    frame = bytes.fromhex("0200000000022857be00000188cc") + b"lldp"
    found = decode(frame, 1)
    assert found == NonIp(0x88CC, b"lldp", MAC, ())
    assert found.name == "ethertype 0x88cc"


def test_nesting_ends() -> None:
    """A frame that is tunnelled in itself again and again ends in a name, not in a recursion."""
    inner = FRAMES["ethernet"][1]
    for _ in range(40):
        ip = struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, 24 + len(inner), 0, 0, 9, 47, 0, b"\x0a\0\0\1", b"\x0a\0\0\2"
        )
        inner = bytes(12) + b"\x08\x00" + ip + b"\0\0\x65\x58" + inner
    assert isinstance(decode(inner, 1), Unread)


def test_a_frame_in_itself_without_tunnels() -> None:
    """SNAP that announces SNAP, thousands deep in one frame, ends in a name as well."""
    frame = bytes(12) + b"\x01\x00" + (b"\xaa\xaa\x03\0\0\0" + b"\x01\x00") * 8_000
    assert isinstance(decode(frame, 1), Unread)
    labels = bytes(12) + b"\x88\x47" + b"\0\0\0\x40" * 8_000
    assert isinstance(decode(labels, 1), Unread)


def test_a_priority_is_no_vlan() -> None:
    """A tag with VLAN number 0 gives only a priority: the host stands where it stood untagged."""
    plain = FRAMES["ethernet"][1]
    tagged = plain[:12] + b"\x81\x00\xa0\x00" + plain[12:]
    assert decode(tagged, 1) == decode(plain, 1)


@pytest.mark.parametrize("protocol", [4, 41])
def test_a_tunnel_hides_the_addresses_of_its_ends(protocol: int) -> None:
    """What comes out of IP in IP has neither the MAC of the tunnel's sender nor of its receiver."""
    inner = FRAMES["raw"][1] if protocol == 4 else FRAMES["ipv6"][1][14:]
    ip = struct.pack("!BBHHHBBH8s", 0x45, 0, 20 + len(inner), 0, 0, 9, protocol, 0, bytes(8))
    found = decode(FRAMES["ethernet"][1][:12] + b"\x08\x00" + ip + inner, 1)
    assert isinstance(found, Packet)
    assert (found.mac, found.to_mac, found.tunnel, found.payload) == (None, None, "IP in IP", PAYLOAD)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(LINK_TYPES), st.binary(max_size=200))
def test_random_frames(link_type: int, data: bytes) -> None:
    """Any bytes on any link: a result, or one of the three errors that the reader counts."""
    try:
        decode(data, link_type)
    except (IndexError, ValueError, struct.error):
        return


@needs_shared
@pytest.mark.parametrize(
    ("name", "protocol", "count", "tunnel", "tags"),
    [
        ("rob-arkime-80211http.pcap", 6, 26, "", 0),
        ("rob-zeek-radiotap.pcap", 17, 3, "", 0),
        ("rob-pcpp-null-loopback.pcap", 17, 2, "", 0),
        ("rob-pcpp-raw-ip.pcap", 6, 92, "", 0),
        ("rob-ndpi-ossfuzz-rawipv4.pcapng", 17, 13, "", 0),
        ("rob-pcpp-linktype-ipv6.pcap", 6, 1, "", 0),
        ("rob-pcpp-sll.pcap", 6, 483, "", 0),
        ("rob-pcpp-sll2.pcap", 6, 3, "", 0),
        ("rob-suri-chdlc.pcap", 6, 17, "", 0),
        ("rob-ndpi-dlt-ppp.pcap", 17, 1, "", 0),
        ("rob-zeek-qinqinq.pcap", 6, 14, "", 3),
        ("rob-arkime-twovlan.pcap", 6, 6, "", 2),
        ("rob-zeek-pppoe.pcap", 17, 4, "", 0),
        ("rob-zeek-vlan-mpls.pcap", 6, 33, "", 0),
        ("rob-arkime-gre-erspan-vxlan.pcap", 17, 7, "ERSPAN", 0),
        ("rob-ndpi-4in4.pcap", 17, 5, "IP in IP", 2),
        ("rob-ndpi-6in4.pcap", 6, 75, "IP in IP", 0),
        ("rob-tcpdump-gso-vxlan.pcap", 6, 1, "VXLAN", 0),
        ("rob-zeek-vxlan-triple.pcap", 17, 1, "VXLAN", 0),
    ],
)
def test_recorded_links_and_tunnels(name: str, protocol: int, count: int, tunnel: str, tags: int) -> None:
    """Recordings of each kind of link and tunnel give the datagrams and segments that are in them."""
    with (SHARED / "pcaps" / name).open("rb") as stream:
        found = [decode(frame.data, frame.link_type) for frame in read_frames(stream)]
    packets = [packet for packet in found if isinstance(packet, Packet) and packet.protocol == protocol]
    alike = [packet for packet in packets if packet.tunnel.startswith(tunnel) and len(packet.vlan) == tags]
    assert len(alike) == count


@needs_shared
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("rob-zeek-erspan1.pcap", 10),
        ("rob-zeek-erspan2.pcap", 4),
        ("rob-zeek-erspan3.pcap", 2),
        ("rob-zeek-gre-erspan3-dot1q.pcap", 2),
        ("rob-zeek-geneve.pcap", 6),
        ("rob-zeek-vxlan.pcap", 8),
    ],
)
def test_recorded_mirrors_of_icmp(name: str, count: int) -> None:
    """In mirrors that hold nothing but ICMP and ARP, it is the inner frame that is named."""
    with (SHARED / "pcaps" / name).open("rb") as stream:
        found = [decode(frame.data, frame.link_type) for frame in read_frames(stream)]
    named = [frame for frame in found if isinstance(frame, Unread) and frame.name == "IP protocol 1"]
    assert len(named) == count
    assert all(frame.mac for frame in named)


def test_neighbour_discovery_comes_from_the_link() -> None:
    """ICMPv6 is handed on from its type; discovery that a router passed on is not believed."""
    body = b"\x88\0\0\0" + bytes(20)
    packet = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + bytes(32) + body
    found = decode(bytes(12) + b"\x86\xdd" + packet, 1)
    assert isinstance(found, Packet)
    assert (found.protocol, found.payload, found.source_port) == (58, body, 0)
    far = packet[:7] + b"\x40" + packet[8:]
    assert isinstance(decode(bytes(12) + b"\x86\xdd" + far, 1), Unread)

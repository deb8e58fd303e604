"""Frames are taken apart as scapy puts them together, and nothing that is cut or nested does harm."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.capture.decode import Fragment, NonIp, Packet, Unread, decode

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
        "arp": (1, bytes(ether / ARP(hwsrc=MAC, psrc="10.0.0.1", pdst="10.0.0.2"))),
    }


FRAMES = crafted()


@pytest.mark.parametrize("kind", [kind for kind in FRAMES if kind != "arp"])
def test_scapys_frames_are_read(kind: str) -> None:
    """The datagram inside comes out with its ports, its addresses and, where the link has one, its MAC."""
    link_type, data = FRAMES[kind]
    found = decode(data, link_type)
    assert isinstance(found, Packet)
    assert (found.payload, found.source_port) == (PAYLOAD, 37020)
    assert found.source == ("fe80::1" if "ipv6" in kind else "10.0.0.1")
    assert found.mac == (None if kind in {"raw", "loopback", "gre"} else MAC)
    assert found.vlan == {"vlan": (20,), "qinq": (100, 20)}.get(kind, ())
    assert bool(found.tunnel) == (kind in {"gre", "erspan", "vxlan", "geneve", "tzsp"})


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

"""The filter is made of the probes' records, and passes all that the choice in Python wants."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agent.capture import libpcap
from agent.capture.filter import LINK_TYPES, WHOLE, Share, Wanted, expression, program
from agent.capture.savefile import Frame
from agent.probes import ALL
from agent.wire import Probe
from tests.places import REPO

needs_libpcap = pytest.mark.skipif(not libpcap.available(), reason="missing tool: libpcap")

NEW_UDP = Probe("new", "udp", (54_321,), (), lambda _: True, lambda *_: iter(()), prefixes=(b"NEWP",))
NEW_TCP = Probe(
    "newer", "tcp", (1,), (), lambda _: True, lambda *_: iter(()), prefixes=(b"\xf0\xde", b"NEWER")
)


def ipv4(protocol: int, body: bytes, *, options: int = 0) -> bytes:
    """An IPv4 packet from after its link header."""
    header = 20 + options
    start = struct.pack("!BBHHHBBH", 0x40 | header // 4, 0, header + len(body), 0, 0, 9, protocol, 0)
    return start + b"\x0a\0\0\1\x0a\0\0\2" + bytes(options) + body


def ipv6(protocol: int, body: bytes) -> bytes:
    """An IPv6 packet from after its link header."""
    return struct.pack("!IHBB", 6 << 28, len(body), protocol, 9) + bytes(32) + body


def udp(source: int, target: int, payload: bytes) -> bytes:
    """A UDP datagram."""
    return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload


def tcp(payload: bytes, *, flags: int = 0x18, options: int = 0, ports: tuple[int, int] = (5, 6)) -> bytes:
    """A TCP segment."""
    offset = (20 + options) // 4 << 4
    return struct.pack("!HHIIBBHHH", *ports, 1, 1, offset, flags, 0, 0, 0) + bytes(options) + payload


def tagged(*tags: int) -> Callable[[bytes], bytes]:
    """An Ethernet header with VLAN tags (802.1ad outside, 802.1Q inside) before an IP packet."""

    def frame(packet: bytes) -> bytes:
        kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
        kinds = [b"\x88\xa8"] * (len(tags) - 1) + [b"\x81\x00"] * bool(tags)
        marks = b"".join(mark + struct.pack("!H", tag) for mark, tag in zip(kinds, tags, strict=True))
        return bytes(12) + marks + kind + packet

    return frame


LINKS: list[tuple[int, Callable[[bytes], bytes]]] = [
    (1, tagged()),
    (1, tagged(7)),
    (1, tagged(7, 8)),
    (1, tagged(7, 8, 9)),
    (113, lambda packet: bytes(14) + (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet),
    (276, lambda packet: (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + bytes(18) + packet),
    (101, lambda packet: packet),
    (0, lambda packet: b"\2\0\0\0" + packet),
]


def all_of(savefile: libpcap.Savefile) -> list[Frame]:
    """Every frame that passes the filter which was set."""
    found: list[Frame] = []

    def take(frame: Frame) -> bool:
        found.append(frame)
        return False

    savefile.read(take)
    savefile.close()
    return found


def passed(
    frames: Sequence[bytes],
    probes: Sequence[Probe],
    path: Path,
    link_type: int,
    hungry: Sequence[int] = (),
    share: Share = WHOLE,
) -> list[int]:
    """Which of these frames libpcap lets through."""
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, link_type)
    for number, frame in enumerate(frames):
        data += struct.pack("<IIII", number + 1, 0, len(frame), len(frame)) + frame
    path.write_bytes(data)
    chosen = program(probes, link_type, 8, share=share)
    assert chosen is not None
    savefile = libpcap.Savefile(path)
    savefile.set_filter(chosen.hungry(hungry))
    return [int(frame.at or 0) - 1 for frame in all_of(savefile)]


@needs_libpcap
@pytest.mark.parametrize(("link_type", "frame"), LINKS)
@pytest.mark.parametrize("ip", [ipv4, ipv6])
def test_a_probe_brings_its_own_clause(
    link_type: int, frame: Callable[[bytes], bytes], ip: Callable[[int, bytes], bytes], tmp_path: Path
) -> None:
    """A new protocol's port and beginnings pass without another line of code, on every link."""
    packets = [
        ip(17, udp(9, 54_321, b"anything")),
        ip(17, udp(54_321, 9, b"anything")),
        ip(17, udp(9, 9, b"NEWP and more")),
        ip(6, tcp(b"\xf0\xde\xad\xbe")),
        ip(6, tcp(b"NEWER", options=12)),
        ip(6, tcp(b"", flags=2)),
        ip(17, udp(9, 9, b"video, video")),
        ip(6, tcp(b"video, video")),
        ip(6, tcp(b"\0\0\0\0")),
    ]
    frames = [frame(packet) for packet in packets]
    assert passed(frames, (NEW_UDP, NEW_TCP), tmp_path / "with.pcap", link_type) == [0, 1, 2, 3, 4, 5]
    assert passed(frames, (), tmp_path / "without.pcap", link_type) == [5]


@needs_libpcap
def test_hungry_directions_pass(tmp_path: Path) -> None:
    """A direction that is waited for passes whatever it says; the other direction does not."""
    frames = [
        tagged()(ipv4(6, tcp(b"goes on", ports=ports))) for ports in ((80, 4_000), (4_000, 80), (81, 4_000))
    ]
    path = tmp_path / "hungry.pcap"
    assert passed(frames, (), path, 1) == []
    assert passed(frames, (), path, 1, [80 << 16 | 4_000]) == [0]
    assert passed(frames, (), path, 1, [81 << 16 | 4_000, 80 << 16 | 4_000]) == [0, 2]
    assert passed(frames, (), path, 1, [0] * 7 + [4_000 << 16 | 80]) == [1]
    for ip in (ipv4, ipv6):
        bare = tagged()(ip(6, tcp(b"", flags=16, options=12, ports=(80, 4_000)))) + bytes(6)
        short = tagged()(ip(6, tcp(b"x", flags=16, options=12, ports=(80, 4_000)))) + bytes(6)
        # Cards that put segments together leave the length of the packet zero.
        place = 16 if ip is ipv4 else 18
        endless = short[:place] + b"\0\0" + short[place + 2 :]
        assert passed([bare, short, endless], (), path, 1, [80 << 16 | 4_000]) == [1, 2]


@needs_libpcap
def test_what_cannot_be_judged_passes(tmp_path: Path) -> None:
    """Fragments, tunnels, other protocols and ethertypes are left to the reader; IP options are looked behind."""
    link = tagged()
    fragment = bytearray(link(ipv4(17, udp(9, 9, b"xxxx"))))
    fragment[20] = 0x20
    frames = [
        bytes(fragment),
        link(ipv4(47, b"GRE?")),
        link(ipv6(44, bytes(20))),
        link(ipv6(58, bytes(20))),
        bytes(12) + b"\x88\xcc" + bytes(40),
        bytes(12) + b"\x00\x26" + bytes(40),
        link(ipv4(6, tcp(b"HTTP/1.1 200"), options=8)),
        link(ipv4(6, tcp(b"video, video"), options=8)),
    ]
    assert passed(frames, ALL, tmp_path / "odd.pcap", 1) == [0, 1, 2, 3, 4, 5, 6]


def from_to(packet: bytes, source: int, target: int) -> bytes:
    """The same IPv4 packet between two other hosts."""
    return packet[:12] + bytes([10, 0, 0, source, 10, 0, 0, target]) + packet[20:]


@needs_libpcap
@pytest.mark.parametrize(("link_type", "frame"), LINKS)
def test_each_frame_is_in_one_share(link_type: int, frame: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """What passes at all passes in one share: a connection's both directions in the same, a host's datagrams too."""
    hosts = range(1, 41)
    asked = [frame(from_to(ipv4(6, tcp(b"GET / HTTP/1.1")), 9, host)) for host in hosts]
    answered = [frame(from_to(ipv4(6, tcp(b"HTTP/1.1 200", options=8)), host, 9)) for host in hosts]
    pieces = [bytearray(from_to(ipv4(6, tcp(b"video")), 9, host)) for host in hosts]
    for piece in pieces:
        piece[6] = 0x20
    said = [frame(from_to(ipv4(17, udp(54_321, port, b"x")), host, 3)) for port in (7, 8) for host in hosts]
    last = [
        frame(from_to(ipv4(17, udp(7, 4_789, b"tunnel")), 5, 6)),
        frame(from_to(ipv4(47, b"GRE?"), 5, 7)),
        frame(ipv6(6, tcp(b"HTTP/1.1 200"))),
        frame(ipv6(17, udp(54_321, 1, b"x"))),
        *([frame(ipv4(6, b""))[:-20] + b"\x88\xcc"] if link_type == 1 else []),
    ]
    rows = [*asked, *answered, *(frame(bytes(piece)) for piece in pieces), *said, *last]
    count = len(hosts)
    whole = passed(rows, (NEW_UDP, *ALL), tmp_path / "whole.pcap", link_type)
    assert len(whole) >= len(rows) - 1
    shares = [
        passed(rows, (NEW_UDP, *ALL), tmp_path / "part.pcap", link_type, share=Share(number, 3))
        for number in range(3)
    ]
    assert sorted(row for rows in shares for row in rows) == whole
    owner = {row: number for number, rows in enumerate(shares) for row in rows}
    for at in range(count):
        assert owner[at] == owner[count + at] == owner[2 * count + at]
        assert owner[3 * count + at] == owner[4 * count + at]
    assert {owner[row] for row in whole if row >= 5 * count} == {0}
    # Nobody has nothing to do.
    assert all(len(rows) > count for rows in shares)


@needs_libpcap
@pytest.mark.parametrize("path", sorted((REPO / "pcaps").glob("*.pcap")), ids=lambda path: path.name)
def test_shares_of_a_capture_are_together_all_of_it(path: Path) -> None:
    """No frame of a recorded capture is lost or read twice."""
    counts = []
    for shares in ((WHOLE,), (Share(0, 2), Share(1, 2))):
        counts.append(Counter[Frame]())
        for share in shares:
            chosen = program(ALL, 1, share=share)
            assert chosen is not None
            savefile = libpcap.Savefile(path)
            savefile.set_filter(chosen.code)
            counts[-1].update(all_of(savefile))
    assert counts[0] == counts[1]
    assert counts[0]


def test_the_choice_in_python() -> None:
    """Ports of either side and beginnings of UDP; of TCP the beginnings, as a filter sees them."""
    wanted = Wanted.of((NEW_UDP, NEW_TCP))
    assert wanted.udp(1, 54_321, b"")
    assert wanted.udp(1, 2, b"NEWP and more")
    assert not wanted.udp(1, 2, b"other")
    assert wanted.begins(b"\xf0\xde\0\0")
    assert wanted.begins(b"NEWEST")
    assert not wanted.begins(b"\xf0\xde")
    assert not wanted.begins(b"")


def test_other_links_have_no_program() -> None:
    """Where IP has no fixed place, every frame is to be read."""
    assert program(ALL, 105) is None
    assert all(program(ALL, number) for number in LINK_TYPES)


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="missing tool: tcpdump")
@pytest.mark.parametrize("path", sorted((REPO / "pcaps").glob("*.pcap")), ids=lambda path: path.name)
def test_tcpdump_understands_the_filter(path: Path, tmp_path: Path) -> None:
    """The filter as text compiles elsewhere, and there passes what the program passes."""
    passing = tmp_path / "passing.pcap"
    subprocess.run(["tcpdump", "-r", path, "-w", passing, expression(ALL)], capture_output=True, check=True)
    chosen = program(ALL, 1)
    assert chosen is not None
    counts = []
    for capture in (path, passing):
        savefile = libpcap.Savefile(capture)
        savefile.set_filter(chosen.hungry(()))
        counts.append(all_of(savefile))
    assert counts[0] == counts[1] != []

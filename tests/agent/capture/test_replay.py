"""A capture becomes the same Messages however it is read."""

from __future__ import annotations

import gzip
import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from agent.capture import Replay, libpcap
from agent.probes import ALL
from agent.wire import OPEN_PORT, SIGHTING, Message
from tests.places import REPO, SHARED, needs_shared
from tests.told import told

OWN = sorted((REPO / "pcaps").glob("*.pcap"))


def messages(path: Path, *, unfiltered: bool = False) -> list[Message]:
    """The Messages of a capture, without frame numbers, which libpcap does not know."""
    return [replace(message, frame=None) for message in Replay(path, ALL, unfiltered=unfiltered)]


@pytest.mark.skipif(not libpcap.available(), reason="missing tool: libpcap")
@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_libpcap_and_plain_reading_agree(path: Path) -> None:
    """With the filter in libpcap and without it: the same Messages in the same order."""
    capture = Replay(path, ALL)
    filtered = [replace(message, frame=None) for message in capture]
    assert capture.stats.filtered
    assert filtered == messages(path, unfiltered=True)


@needs_shared
@pytest.mark.skipif(not libpcap.available(), reason="missing tool: libpcap")
def test_third_party_captures_agree() -> None:
    """Odd and broken files, too: the same is told, whether filtered, in bulk, or read in plain Python."""
    different = []
    for path in sorted((SHARED / "pcaps").glob("*.pcap*")):
        one, other = Replay(path, ALL), Replay(path, ALL, unfiltered=True)
        if told(one) != told(other) or one.problems != other.problems:
            different.append(path.name)
    assert different == []


def test_hosts_and_ports_are_told_once() -> None:
    """Each pair of MAC and address is sighted when first and when last seen, each open port named once."""
    found = messages(REPO / "pcaps" / "hikvision.pcap")
    sightings = Counter((m.sender.mac, m.sender.ip) for m in found if m.protocol == SIGHTING)
    ports = [(message.sender.ip, message.sender.port) for message in found if message.protocol == OPEN_PORT]
    assert len(ports) == len(set(ports))
    assert sightings
    assert set(sightings.values()) <= {1, 2}


def test_an_answer_has_its_question() -> None:
    """An HTTP answer comes with the request before it."""
    answers = [m for m in messages(REPO / "pcaps" / "hikvision.pcap") if m.payload.startswith(b"HTTP/1.1")]
    assert answers
    assert all(message.asked.startswith((b"GET ", b"POST ")) for message in answers)


def test_vlan_tags_are_kept() -> None:
    """Messages of a trunk carry their VLAN."""
    assert {m.sender.vlan for m in messages(REPO / "pcaps" / "trunk-vlan.pcap")} == {(10,), (20,), (30,)}


@needs_shared
@pytest.mark.parametrize(
    ("derived", "original"),
    [
        ("der-mercury-vlan80.pcap", "pos-mercury-mipc351-onvif-hello.pcap"),
        ("der-dlink-erspan2-mirror.pcap", "pos-dlink-dcs935l-setup-A-1.pcap"),
    ],
)
def test_mirrors_and_tags_change_nothing_inside(derived: str, original: str) -> None:
    """The same traffic behind a VLAN tag or in a mirror's tunnel gives the same payloads."""

    def payloads(name: str) -> set[tuple[str, bytes]]:
        return {(m.protocol, m.payload) for m in messages(SHARED / "pcaps" / name) if m.payload}

    assert payloads(derived) == payloads(original)


@pytest.mark.parametrize("unfiltered", [False, True])
def test_who_only_sends_video_is_seen(tmp_path: Path, unfiltered: bool) -> None:
    """A host of the site whose frames hold nothing that is read is there with its MAC; one of the internet is not."""
    path = tmp_path / "video.pcap"
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    ends = (bytes([192, 168, 1, 9]), bytes([203, 0, 113, 7]))
    for source, target, mac in ((*ends, b"\x28\x57\xbe\0\0\1"), (*ends[::-1], b"\0\x11\x22\0\0\2")):
        udp = struct.pack("!HHHH", 50_000, 50_001, 108, 0) + bytes(100)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 128, 0, 0, 9, 17, 0, source, target)
        frame = bytes(6) + mac + b"\x08\x00" + ip + udp
        data += struct.pack("<IIII", 1_700_000_000, 0, len(frame), len(frame)) + frame
    path.write_bytes(data)
    (told,) = messages(path, unfiltered=unfiltered)
    assert (told.protocol, told.sender.ip, told.sender.mac) == (SIGHTING, "192.168.1.9", "28:57:be:00:00:01")
    compressed = tmp_path / "video.pcap.gz"
    compressed.write_bytes(gzip.compress(data))
    assert [message.sender for message in messages(compressed)] == [told.sender]


def test_a_cut_file_names_its_offset(tmp_path: Path) -> None:
    """What was readable counts; the Problem has file and byte."""
    whole = (REPO / "pcaps" / "dahua.pcap").read_bytes()
    path = tmp_path / "cut.pcap"
    path.write_bytes(whole[:-7])
    for unfiltered in (False, True):
        capture = Replay(path, ALL, unfiltered=unfiltered)
        assert list(capture)
        (problem,) = capture.problems
        assert problem.where.startswith(f"{path}@")
        assert int(problem.where.rpartition("@")[2]) > 1_000


def test_a_capture_with_endless_tunnels_is_counted_within_bounds(tmp_path: Path) -> None:
    """Thousands of network numbers do not make the statistics grow without end; no frame goes uncounted."""
    inner = bytes.fromhex("0200000000020200000000010800") + bytes.fromhex(
        "450000200000000009110000 0a000001 0a000002 0e76 0e76 000c 0000 74657374"
    )
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    for number in range(1_000):
        udp = struct.pack(
            "!HHHHI4s", 9, 4789, 16 + len(inner), 0, 0x0800_0000, struct.pack("!I", number << 8)
        )
        ip = struct.pack("!BBHHHBBH8s", 0x45, 0, 20 + len(udp) + len(inner), 0, 0, 9, 17, 0, bytes(8))
        frame = bytes(12) + b"\x08\x00" + ip + udp + inner
        data += struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame
    path = tmp_path / "tunnels.pcap"
    path.write_bytes(data)
    capture = Replay(path, ALL)
    list(capture)
    assert len(capture.stats.tunnels) <= 257
    assert sum(capture.stats.tunnels.values()) == 1_000

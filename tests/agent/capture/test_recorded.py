"""Threads, parts and breaks change nothing about the Messages of a file."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from agent.capture import libpcap, recorded
from agent.capture.reading import Reading
from agent.capture.recorded import is_dense, read_recorded
from agent.capture.savefile import SaveFileError, read_frames
from agent.capture.split import Places
from agent.probes import ALL
from agent.wire import Message
from bench.camera_network import size_of, write

pytestmark = pytest.mark.skipif(not libpcap.available(), reason="missing tool: libpcap")

SERVER, CLIENT = b"\x0a\0\0\2", b"\x0a\0\0\1"


def tcp(
    source: bytes, target: bytes, ports: tuple[int, int], sequence: int, other: int, flags: int, data: bytes
) -> bytes:
    """An Ethernet frame with a TCP segment."""
    segment = struct.pack("!HHIIBBHHH", *ports, sequence, other, 0x50, flags, 0, 0, 0) + data
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 9, 6, 0) + source + target
    return b"\2\0\0\0\0" + target[3:] + b"\2\0\0\0\0" + source[3:] + b"\x08\x00" + ip + segment


def site(count: int) -> list[bytes]:
    """Connections that ask and are answered in three segments, with video between all of them."""
    chance = random.Random(1)  # noqa: S311 - stands for video
    frames: list[bytes] = []

    def video() -> None:
        frames.extend(
            tcp(SERVER, CLIENT, (555, 9_000), len(frames) * 1_400, 0, 0x18, chance.randbytes(1_400))
            for _ in range(20)
        )

    for number in range(count):
        ports, back = (10_000 + number, 80), (80, 10_000 + number)
        body = b"<html><title>camera %d</title>" % number + b" " * 3_000 + b"</html>"
        answer = (
            b"HTTP/1.1 200 OK\r\nServer: s%d\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b"
            % (
                number,
                len(body),
                body,
            )
        )
        frames.append(tcp(CLIENT, SERVER, ports, 9, 0, 0x02, b""))
        frames.append(tcp(SERVER, CLIENT, back, 99, 10, 0x12, b""))
        frames.append(tcp(CLIENT, SERVER, ports, 10, 100, 0x18, b"GET /%d HTTP/1.1\r\n\r\n" % number))
        for at in range(0, len(answer), 1_200):
            video()
            frames.append(tcp(SERVER, CLIENT, back, 100 + at, 60, 0x18, answer[at : at + 1_200]))
    return frames


def pcap(frames: list[bytes]) -> bytes:
    """A pcap file of these frames."""
    records = (
        struct.pack("<IIII", 1_700_000_000 + n // 1_000, n % 1_000, len(f), len(f)) + f
        for n, f in enumerate(frames)
    )
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1) + b"".join(records)


def block(kind: int, body: bytes) -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
INTERFACE = block(1, struct.pack("<HHI", 1, 0, 262_144))


def packet(number: int, frame: bytes, interface: int = 0) -> bytes:
    """A pcapng packet block, a millisecond after the one before."""
    ticks = 1_700_000_000_000_000 + number * 1_000
    return block(
        6, struct.pack("<IIIII", interface, ticks >> 32, ticks & 0xFFFF_FFFF, len(frame), len(frame)) + frame
    )


def pcapng(frames: list[bytes]) -> bytes:
    """A pcapng file of these frames."""
    return SECTION + INTERFACE + b"".join(packet(number, frame) for number, frame in enumerate(frames))


def messages(path: Path, threads: int) -> list[Message]:
    """The Messages of a file read with so many threads."""
    reading = Reading(ALL, "capture")
    return [*read_recorded(path, ALL, reading, threads=threads), *reading.close()]


@pytest.fixture(autouse=True)
def small_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of the small files here begin a little ahead, too."""
    monkeypatch.setattr(recorded, "_SEAM", 200_000)


@pytest.mark.parametrize("write", [pcap, pcapng])
def test_threads_change_nothing(write: object, tmp_path: Path) -> None:
    """With one, two or three threads: the same Messages in the same order, from every part."""
    assert callable(write)
    path = tmp_path / "capture"
    path.write_bytes(write(site(60)))
    one = messages(path, 1)
    assert sum(message.payload.startswith(b"HTTP/1.1 200") for message in one) == 60
    assert all(len(message.payload) > 3_000 for message in one if message.payload.startswith(b"HTTP"))
    assert recorded._parts(path, path.stat().st_size, 3) is not None
    assert messages(path, 2) == one
    assert messages(path, 3) == one


@pytest.mark.parametrize("write", [pcap, pcapng])
def test_places_are_beginnings_of_records(write: object, tmp_path: Path) -> None:
    """Wherever it looks, it finds a record's beginning, although frames hold what looks like records."""
    assert callable(write)
    frames = site(8)
    frames = [frame + write(frames[:2]) if number % 7 == 0 else frame for number, frame in enumerate(frames)]
    path = tmp_path / "capture"
    path.write_bytes(write(frames))
    with path.open("rb") as stream:
        starts = {frame.offset - (16 if write is pcap else 28) for frame in read_frames(stream)}
    with path.open("rb") as stream:
        places = Places(stream)
        found = [places.near(at) for at in range(1_000, path.stat().st_size // 2, 40_001)]
    assert found
    # A copy of a record inside a frame may be taken for one; but only there, and the reader notices.
    wrong = [at for at in found if at not in starts]
    assert len(wrong) < len(found)


@pytest.mark.parametrize("write", [pcap, pcapng])
def test_a_wrong_place_is_noticed(write: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that begins in the middle of a frame is read again by the first thread."""
    assert callable(write)
    path = tmp_path / "capture"
    path.write_bytes(write(site(20)))
    one = messages(path, 1)
    parts = recorded._parts(path, path.stat().st_size, 3)
    assert parts is not None
    head, ((ahead, begin), (second_ahead, second)) = parts
    for wrong in ([(ahead, begin + 5), (second_ahead, second)], [(ahead, begin), (second_ahead, second + 5)]):
        monkeypatch.setattr(recorded, "_parts", lambda *_, wrong=wrong: (head, wrong))
        assert messages(path, 3) == one


def test_too_much_for_a_scout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part in which nearly everything matters is read by the first thread, in bounded memory."""
    monkeypatch.setattr(recorded, "_MOST_SCOUTED", 10_000)
    path = tmp_path / "capture"
    path.write_bytes(pcap(site(20)))
    assert messages(path, 2) == messages(path, 1)


@pytest.mark.parametrize("write", [pcap, pcapng])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_cut_file_gives_what_it_has(write: object, threads: int, tmp_path: Path) -> None:
    """A file that ends in a frame: everything before it, and the byte at which it breaks."""
    assert callable(write)
    data = write(site(20))
    path = tmp_path / "capture"
    path.write_bytes(data[:-700])
    reading = Reading(ALL, "capture")
    found: list[Message] = []
    with pytest.raises(SaveFileError) as caught:
        found.extend(read_recorded(path, ALL, reading, threads=threads))
    assert len(data) - 2_000 < caught.value.offset < len(data)
    assert sum(message.payload.startswith(b"HTTP/1.1") for message in [*found, *reading.close()]) == 20


@pytest.mark.parametrize("threads", [1, 2])
def test_interfaces_that_appear_later(threads: int, tmp_path: Path) -> None:
    """A pcapng file in which another link type appears half way: read to its end, in order."""
    frames = site(20)
    half = len(frames) // 2
    path = tmp_path / "capture"
    path.write_bytes(
        pcapng(frames[:half])
        + block(1, struct.pack("<HHI", 101, 0, 65_535))
        + b"".join(packet(half + number, frame[14:], 1) for number, frame in enumerate(frames[half:]))
    )
    reading = Reading(ALL, "capture")
    with path.open("rb") as stream:
        plain = [message for frame in read_frames(stream) for message in reading.frame(frame)]
    found = messages(path, threads)
    assert [m.payload for m in found if m.payload] == [
        m.payload for m in [*plain, *reading.close()] if m.payload
    ]


def test_how_much_of_a_capture_matters_is_seen_in_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control traffic alone is dense, a camera network's video is not, nor is what no filter can look into."""
    for name, hard in (("hard", True), ("usual", False)):
        write(tmp_path / f"{name}.pcap", size_of("6m"), hard=hard)
    assert is_dense(tmp_path / "hard.pcap", ALL)
    assert not is_dense(tmp_path / "usual.pcap", ALL)
    data = (tmp_path / "hard.pcap").read_bytes()
    odd, short, cut = tmp_path / "odd.pcap", tmp_path / "short.pcap", tmp_path / "cut.pcap"
    odd.write_bytes(data[:20] + struct.pack("<I", 105) + data[24:])
    short.write_bytes(data[:100_000])
    cut.write_bytes(data[:30] + data[31:])
    assert not is_dense(odd, ALL)
    assert not is_dense(short, ALL)
    assert not is_dense(cut, ALL)
    monkeypatch.setattr(recorded, "has_streams", lambda: False)
    assert not is_dense(tmp_path / "hard.pcap", ALL)

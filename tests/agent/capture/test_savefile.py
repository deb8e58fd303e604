"""pcap and pcapng files are read as far as they go."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.capture.savefile import Frame, SaveFileError, read_frames
from tests.places import SHARED, needs_shared

FRAMES = [b"first frame", b"second, longer frame", b"3"]


def pcap(order: str = "<", magic: int = 0xA1B2C3D4, fraction: int = 500_000) -> bytes:
    """A pcap file of three frames, at 1000.5 seconds and on."""
    out = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65_535, 1)
    for number, data in enumerate(FRAMES):
        out += struct.pack(f"{order}IIII", 1_000 + number, fraction, len(data), len(data) + 5) + data
    return out


def block(order: str, kind: int, body: bytes) -> bytes:
    """A pcapng block."""
    padded = body + b"\0" * (-len(body) % 4)
    length = struct.pack(f"{order}I", len(padded) + 12)
    return struct.pack(f"{order}I", kind) + length + padded + length


def pcapng(order: str = "<", options: bytes = b"", ticks: int = 1_000_500_000) -> bytes:
    """A pcapng file with a section, an interface, an enhanced, a simple and an obsolete packet."""
    section = block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))
    interface = block(order, 1, struct.pack(f"{order}HHI", 1, 0, 65_535) + options)
    high, low = divmod(ticks, 1 << 32)
    first, second, third = FRAMES
    enhanced = block(order, 6, struct.pack(f"{order}IIIII", 0, high, low, len(first), 99) + first)
    simple = block(order, 3, struct.pack(f"{order}I", len(second)) + second)
    obsolete = block(order, 2, struct.pack(f"{order}HHIIII", 0, 0, high, low, len(third), 7) + third)
    return section + interface + enhanced + block(order, 0x0BAD, b"what") + simple + obsolete


def read(data: bytes) -> tuple[list[Frame], SaveFileError | None]:
    """What can be read, with how it broke."""
    frames = []
    try:
        for frame in read_frames(io.BytesIO(data)):
            frames.append(frame)  # noqa: PERF402 - what came before the break counts
    except SaveFileError as error:
        return frames, error
    return frames, None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "fraction"), [(0xA1B2C3D4, 500_000), (0xA1B23C4D, 500_000_000)])
def test_pcap(order: str, magic: int, fraction: int) -> None:
    """Both byte orders, micro- and nanoseconds."""
    frames, error = read(pcap(order, magic, fraction))
    assert error is None
    assert [frame.data for frame in frames] == FRAMES
    assert [frame.at for frame in frames] == [1000.5, 1001.5, 1002.5]
    assert [(frame.number, frame.link_type) for frame in frames] == [(1, 1), (2, 1), (3, 1)]
    assert pcap(order, magic, fraction)[frames[1].offset :].startswith(FRAMES[1])


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(order: str) -> None:
    """Every kind of packet block; unknown blocks are passed over; a simple packet has no time."""
    frames, error = read(pcapng(order))
    assert error is None
    assert [frame.data for frame in frames] == FRAMES
    assert [frame.at for frame in frames] == [1000.5, None, 1000.5]
    assert frames[0].length == 99


def test_pcapng_time_resolution_and_offset() -> None:
    """Nanosecond ticks and an offset in seconds, as an interface may state."""
    options = struct.pack("<HHBxxx", 9, 1, 9) + struct.pack("<HHq", 14, 8, 100)
    frames, _ = read(pcapng("<", options, ticks=1_000_500_000_000))
    assert frames[0].at == 1100.5


def test_pcap_with_frame_check_sequences() -> None:
    """The upper bits of the link type's word tell of check sequences, and are no part of the type."""
    flagged = pcap()[:20] + struct.pack("<I", 0x5400_0001) + pcap()[24:]
    assert [frame.link_type for frame in read(flagged)[0]] == [1, 1, 1]


def test_pcap_with_longer_record_headers() -> None:
    """The modified format has eight more bytes in front of every frame."""
    records = b"".join(
        struct.pack("<IIIIIHBB", 7, 0, len(data), len(data), 3, 0x0800, 0, 0) + data for data in FRAMES
    )
    frames, error = read(struct.pack("<IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65_535, 1) + records)
    assert error is None
    assert [frame.data for frame in frames] == FRAMES


def test_pcapng_sections_begin_anew() -> None:
    """A second section has its own byte order and interfaces; frames are counted on."""
    frames, error = read(pcapng("<") + pcapng(">", struct.pack(">HHBxxx", 9, 1, 0x80 | 10), 1024))
    assert error is None
    assert [frame.number for frame in frames] == [1, 2, 3, 4, 5, 6]
    assert frames[3].at == 1.0


def test_the_break_is_where_the_broken_record_starts() -> None:
    """A file cut inside its last record names that record's first byte, in both formats."""
    for whole, header in ((pcap(), 16), (pcapng(), 28)):
        complete, _ = read(whole)
        frames, error = read(whole[:-2])
        assert frames == complete[:-1]
        assert error is not None
        assert error.offset == complete[-1].offset - header


@pytest.mark.parametrize("whole", [pcap(), pcap(">"), pcapng(), pcapng(">")])
def test_cut_anywhere(whole: bytes) -> None:
    """Frames that were whole come out; then the break is named with its offset."""
    complete, _ = read(whole)
    for at in range(len(whole)):
        frames, error = read(whole[:at])
        assert frames == complete[: len(frames)]
        assert error is None or 0 <= error.offset <= at
        if at < 20:
            assert error is not None


@pytest.mark.parametrize(
    "data",
    [
        pcap()[:24] + struct.pack("<IIII", 0, 0, 0xFFFF_FFFF, 1),
        pcapng()[:28] + struct.pack("<II", 6, 0xFFFF_FFFF),
        pcapng()[:28] + struct.pack("<II", 6, 4),
        pcapng()[:28] + block("<", 6, struct.pack("<IIIII", 9, 0, 0, 1, 1) + b"x"),
        b"",
        b"hello, world",
    ],
)
def test_absurd_files_end_in_one_error(data: bytes) -> None:
    """Lengths that cannot be, interfaces that are not there, and what is no capture at all."""
    assert read(data)[1] is not None


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([pcap()[:24], pcap(">")[:24], pcapng()[:48], pcapng(">")[:28]]), st.binary(max_size=300)
)
def test_only_one_error_escapes(start: bytes, rest: bytes) -> None:
    """Whatever follows a good beginning."""
    read(start + rest)


@needs_shared
@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="missing tool: tcpdump")
@pytest.mark.parametrize(
    "name",
    [
        "pos-dahua-rtsp-tcp-digest.pcapng",
        "der-edimax-nanosecond.pcap",
        "rob-pcpp-qinq-8021ad.pcapng",
        "neg-sonos.pcapng",
    ],
)
def test_tcpdump_counts_the_same(name: str) -> None:
    """A reader nobody here wrote finds as many frames."""
    path = SHARED / "pcaps" / name
    done = subprocess.run(["tcpdump", "-nr", path, "-w", "-"], capture_output=True, check=True)
    with path.open("rb") as stream:
        assert len(list(read_frames(stream))) == len(read(done.stdout)[0])

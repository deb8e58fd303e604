"""Whatever order segments come in, the same talk comes out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.capture.decode import Packet
from agent.capture.streams import MAX_FLOWS, MAX_TURN, Streams, Turn

CLIENT, SERVER = ("10.0.0.1", 40_000), ("10.0.0.2", 80)
SYN, ACK, FIN, RST = 2, 16, 1, 4


def segment(
    sender: tuple[str, int],
    sequence: int,
    data: bytes = b"",
    flags: int = ACK,
    other: tuple[str, int] | None = None,
) -> Packet:
    """A TCP segment from `sender` to the other side."""
    target = other or (SERVER if sender == CLIENT else CLIENT)
    return Packet(
        6, sender[0], target[0], sender[1], target[1], data, flags=flags, sequence=sequence % (1 << 32)
    )


def with_acknowledgements(packets: list[Packet]) -> Iterator[Packet]:
    """The same segments, each saying how much of the other side was seen before it."""
    ends: dict[str, int] = {}
    for packet in packets:
        known = ends.get(packet.target)
        yield packet if known is None else packet._replace(acknowledged=known)
        length = len(packet.payload) + bool(packet.flags & (SYN | FIN))
        ends[packet.source] = (packet.sequence + length) % (1 << 32)


def turns(packets: list[Packet], starts: Callable[[bytes], bool] = bool) -> list[Turn]:
    """The turns that these segments make."""
    streams = Streams(starts)
    packets = list(with_acknowledgements(packets))
    found = [
        turn
        for number, packet in enumerate(packets, 1)
        for turn in streams.add(packet, float(number), number)
    ]
    return [*found, *streams.close()]


def talk(found: list[Turn]) -> list[tuple[str, bytes, bytes]]:
    """Who said what after what."""
    return [(turn.packet.source, turn.payload, turn.asked) for turn in found]


def test_an_answer_stands_beside_its_question() -> None:
    """Two exchanges on one connection are four turns, each with the one before it."""
    packets = [
        segment(CLIENT, 99, flags=SYN),
        segment(SERVER, 499, flags=SYN | ACK),
        segment(CLIENT, 100, b"GET / "),
        segment(CLIENT, 106, b"HTTP/1.1"),
        segment(SERVER, 500, b"HTTP/1.1 200"),
        segment(CLIENT, 114, b"GET /x"),
        segment(SERVER, 512, b"HTTP/1.1 404"),
    ]
    assert talk(turns(packets)) == [
        (CLIENT[0], b"GET / HTTP/1.1", b""),
        (SERVER[0], b"HTTP/1.1 200", b"GET / HTTP/1.1"),
        (CLIENT[0], b"GET /x", b"HTTP/1.1 200"),
        (SERVER[0], b"HTTP/1.1 404", b"GET /x"),
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.binary(min_size=1, max_size=400),
    st.integers(0, (1 << 32) - 1),
    st.lists(st.integers(1, 60), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_segments_in_any_order(data: bytes, start: int, sizes: list[int], chance: random.Random) -> None:
    """Cut anywhere, mixed up, repeated and overlapping, with sequence numbers that wrap: the same bytes."""
    pieces: list[Packet] = []
    at = 0
    while at < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(segment(SERVER, start + at, data[at : at + size]))
        at += size
    chance.shuffle(pieces)
    pieces = (
        pieces[:30] + [segment(SERVER, start + at, data[at : at + 7]) for at in range(0, len(data), 11)][:20]
    )
    if at and len(data) > sum(len(piece.payload) for piece in pieces):
        pieces.append(segment(SERVER, start, data))
    opened = [segment(SERVER, start - 1, flags=SYN | ACK)]
    found = turns([*opened, *pieces, segment(SERVER, start, data)])
    assert b"".join(turn.payload for turn in found) == data


def test_what_came_first_is_kept() -> None:
    """A later segment for bytes that were taken already changes nothing."""
    found = turns(
        [segment(SERVER, 9, flags=SYN), segment(SERVER, 10, b"real"), segment(SERVER, 10, b"FAKE-and-more")]
    )
    assert talk(found) == [(SERVER[0], b"real-and-more", b"")]


def test_a_connection_without_its_beginning() -> None:
    """A capture that starts in the middle reads on from the first segment it has."""
    assert talk(turns([segment(SERVER, 7_000, b"RTSP/1.0 401")])) == [(SERVER[0], b"RTSP/1.0 401", b"")]


def test_bounds() -> None:
    """One side's flood and very many connections are cut off, and counted."""
    flood = [segment(SERVER, number * 1_000, b"x" * 1_000) for number in range(200)]
    (turn,) = turns(flood)
    assert len(turn.payload) == MAX_TURN
    streams = Streams(bool)
    for number in range(MAX_FLOWS + 10):
        sender = ("10.0.0.1", 1 + number % 60_000)
        other = (f"10.1.{number // 250}.{number % 250}", 80)
        list(streams.add(segment(sender, 1, b"GET /", other=other), None, 0))
    assert streams.evicted == 10


def test_reset_and_finish_end_a_turn() -> None:
    """A reset gives what was said and forgets the connection; the same ports then start anew."""
    packets = [
        segment(CLIENT, 10, b"one"),
        segment(CLIENT, 13, flags=RST),
        segment(CLIENT, 500, b"two"),
        segment(CLIENT, 503, flags=FIN),
    ]
    assert talk(turns(packets)) == [(CLIENT[0], b"one", b""), (CLIENT[0], b"two", b"")]

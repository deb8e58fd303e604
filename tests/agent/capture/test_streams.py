"""Whatever order segments come in, the same talk comes out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.capture.decode import Packet
from agent.capture.streams import MAX_FLOWS, MAX_HUNGRY, MAX_TURN, Streams, Turn

CLIENT, SERVER, WORLD = ("10.0.0.1", 40_000), ("10.0.0.2", 80), ("203.0.113.2", 80)
SYN, ACK, FIN, RST = 2, 16, 1, 4


def segment(
    sender: tuple[str, int],
    sequence: int,
    data: bytes = b"",
    flags: int = ACK,
    other: tuple[str, int] | None = None,
    acknowledged: int = 0,
) -> Packet:
    """A TCP segment from `sender` to the other side."""
    target = other or (SERVER if sender == CLIENT else CLIENT)
    return Packet(
        6,
        sender[0],
        target[0],
        sender[1],
        target[1],
        data,
        flags=flags,
        sequence=sequence % (1 << 32),
        acknowledged=acknowledged,
    )


def with_acknowledgements(packets: list[Packet]) -> Iterator[Packet]:
    """The same segments, each saying how much of the other side was seen before it."""
    ends: dict[str, int] = {}
    for packet in packets:
        known = ends.get(packet.target)
        yield packet if known is None or packet.acknowledged else packet._replace(acknowledged=known)
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


def talks(data: bytes) -> bool:
    """A protocol whose messages begin with a word of four letters."""
    return data[:4] in {b"GET ", b"HTTP", b"RTSP"}


def exchange(*answer: tuple[int, bytes]) -> list[Packet]:
    """A question and the segments of its answer, each with its place, on a connection already open."""
    return [
        segment(CLIENT, 100, b"GET / HTTP/1.1\r\n\r\n", acknowledged=500),
        *(segment(SERVER, 500 + place, data, acknowledged=118) for place, data in answer),
    ]


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"


def said_by_server(packets: list[Packet]) -> list[bytes]:
    """The turns of the server."""
    return [turn.payload for turn in turns(packets, talks) if turn.packet.source == SERVER[0]]


def test_video_between_messages_is_passed_over() -> None:
    """Bytes behind a whole message are not read, and do not stand in the way of the next message."""
    packets = [
        *exchange((0, HEAD + b"nine more")),
        *(segment(SERVER, 600 + 1_000 * number, b"$video" * 100) for number in range(50)),
        segment(SERVER, 60_000, b"RTSP/1.0 200 OK\r\n\r\n"),
    ]
    assert said_by_server(packets) == [HEAD + b"nine more", b"RTSP/1.0 200 OK\r\n\r\n"]


def test_a_message_goes_on_until_it_is_whole() -> None:
    """As many bytes as the head announces are read, in whatever order they come."""
    late = exchange((len(HEAD), b"nine "), (0, HEAD), (len(HEAD) + 5, b"more"), (len(HEAD) + 9, b"video"))
    assert said_by_server(late) == [HEAD + b"nine more"]


def test_a_hole_of_the_capture_is_given_up() -> None:
    """What the other side acknowledges will not be seen again: the message before the hole stands alone."""
    packets = [
        *exchange((0, HEAD), (len(HEAD) + 5, b"more")),
        segment(CLIENT, 118, b"GET /next HTTP/1.1\r\n\r\n", acknowledged=500 + len(HEAD) + 9),
        segment(SERVER, 500 + len(HEAD) + 9, b"HTTP/1.1 404 No\r\n\r\n", acknowledged=140),
    ]
    assert said_by_server(packets) == [HEAD, b"HTTP/1.1 404 No\r\n\r\n"]


def test_a_message_behind_a_hole_is_read() -> None:
    """At the end of the capture, what begins like a protocol behind a hole is a turn of its own."""
    packets = exchange((0, HEAD), (len(HEAD) + 40, b"HTTP/1.1 500 Bad\r\n\r\n"))
    assert said_by_server(packets) == [HEAD, b"HTTP/1.1 500 Bad\r\n\r\n"]


def test_a_cut_segment_ends_its_message() -> None:
    """Where the capture left bytes out, the rest of the message is not waited for; the next is read."""
    cut = segment(SERVER, 500, HEAD[:30], acknowledged=118)._replace(missing=len(HEAD) + 9 - 30)
    following = segment(SERVER, 500 + len(HEAD) + 9, b"RTSP/1.0 200 OK\r\n\r\n", acknowledged=118)
    assert said_by_server([exchange()[0], cut, following]) == [HEAD[:30] + following.payload]


def test_hungry_directions_are_told_and_bounded() -> None:
    """Who asked is answered: that direction is hungry until the answer is whole; too many are given up."""
    streams = Streams(talks)
    question, answer = exchange((0, HEAD + b"nine more"))
    streams.add(question, None, 0)
    assert streams.hungry == (SERVER[1] << 16 | CLIENT[1],)
    streams.add(answer, None, 0)
    assert not streams.hungry
    for port in range(1, MAX_HUNGRY + 11):
        streams.add(segment((CLIENT[0], port), 1, b"GET / HTTP/1.1\r\n\r\n", acknowledged=1), None, 0)
    assert len(streams.hungry) == MAX_HUNGRY
    assert streams.starved == 10


def test_memory_is_bounded() -> None:
    """Connections that are never finished give way, the oldest first, and the bytes kept stay few."""
    streams = Streams(talks)
    body = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(40_000)
    kept = [
        turn
        for port in range(2_000)
        for turn in streams.add(segment(SERVER, 1, body, other=("10.0.0.3", port)), None, 0)
    ]
    assert streams.evicted == len(kept) > 1_000


def moved(packets: list[Packet]) -> list[tuple[str, bytes, tuple[int, int] | None]]:
    """Who opened a connection that ended, with what, and how much both sides said."""
    return [(turn.packet.source, turn.payload, turn.moved) for turn in turns(packets, talks) if turn.moved]


def far(
    sender: tuple[str, int], sequence: int, data: bytes = b"", flags: int = ACK, acknowledged: int = 0
) -> Packet:
    """A segment between a client of the site and a server of the internet."""
    return segment(sender, sequence, data, flags, WORLD if sender == CLIENT else CLIENT, acknowledged)


def opened(first: int = 99, other: int = 499) -> list[Packet]:
    """The handshake, and a question with the beginning of its answer."""
    return [
        far(CLIENT, first, flags=SYN),
        far(WORLD, other, flags=SYN | ACK, acknowledged=(first + 1) % (1 << 32)),
        far(CLIENT, first + 1, b"GET / HTTP/1.1\r\n\r\n", acknowledged=(other + 1) % (1 << 32)),
        far(WORLD, other + 1, HEAD + b"nine more", acknowledged=(first + 19) % (1 << 32)),
    ]


def at_home(packet: Packet) -> Packet:
    """The same segment where the server is one of the site."""
    if packet.source == WORLD[0]:
        return packet._replace(source=SERVER[0])
    return packet._replace(target=SERVER[0])


def test_the_end_of_a_connection_tells_how_much_was_said() -> None:
    """Between beginning and end nothing needs to be seen: sequence numbers count, though they wrap."""
    for first, other in ((99, 499), ((1 << 32) - 10, (1 << 32) - 1)):
        ends = [
            far(WORLD, other + 1 + 5_000_000, b"bye", flags=FIN | ACK, acknowledged=1),
            far(WORLD, other + 1 + 5_000_000, b"bye", flags=FIN | ACK, acknowledged=1),
            far(CLIENT, first + 1 + 70_000, flags=FIN | ACK, acknowledged=1),
        ]
        expected = [(CLIENT[0], b"GET / HTTP/1.1\r\n\r\n", (70_000, 5_000_003))]
        assert moved([*opened(first, other), *ends]) == expected
        assert moved([*opened(first, other), *reversed(ends)]) == expected


def test_a_reset_tells_what_was_heard() -> None:
    """Who resets says where the other side was."""
    reset = far(CLIENT, 100 + 70_000, flags=RST | ACK, acknowledged=500 + 9_000)
    assert [row[2] for row in moved([*opened(), reset])] == [(70_000, 9_000)]


def test_what_was_not_seen_is_not_guessed() -> None:
    """Without its beginning, without both ends, behind two gigabytes or within the site, it is not known."""
    client, server = (
        far(CLIENT, 100 + 70_000, flags=FIN | ACK, acknowledged=1),
        far(WORLD, 500 + 9_000, flags=FIN | ACK, acknowledged=1),
    )
    beyond = far(WORLD, 500 + (1 << 31) + 9_000, flags=FIN | ACK, acknowledged=1)
    assert moved([*opened()[2:], client, server]) == []
    assert moved([*opened(), client]) == []
    assert moved([*opened(), client, beyond]) == []
    assert moved([*opened(), client, far(WORLD, 600, flags=RST)]) != []
    assert moved([at_home(packet) for packet in (*opened(), client, server)]) == []

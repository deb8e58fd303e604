"""Frames that are taken in bulk say what they say one by one."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.capture import libpcap, recorded
from agent.capture.bulk import Bulk
from agent.capture.reading import Reading
from agent.capture.recorded import read_recorded
from agent.capture.savefile import Frame, read_frames
from agent.probes import ALL
from agent.wire import Message
from tests.places import REPO
from tests.told import told

SYN, ACK, FIN, RST, PSH = 2, 16, 1, 4, 8
QUESTION = b"GET /%d HTTP/1.1\r\nHost: camera\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nServer: DNVRS-Webs\r\nContent-Length: %d\r\n\r\n"
REFUSAL = (
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="c056e36e001a", nonce="%032x"\r\n'
    b"Content-Length: %d\r\n\r\n"
)
HELLO = (
    b'<?xml version="1.0"?><Envelope><Header><MessageID>urn:uuid:%08x</MessageID></Header><Body><Hello>'
    b"<XAddrs>http://10.0.0.5/discovery</XAddrs></Hello></Body></Envelope>"
)


def ethernet(source: int, target: int, protocol: int, body: bytes, vlan: int = 0) -> bytes:
    """A frame between two hosts of 10.0.0.0/24."""
    tag = struct.pack("!HH", 0x8100, vlan) if vlan else b""
    macs = bytes((2, 0, 0, 0, 0, target, 2, 0, 0, 0, 0, source))
    ends = bytes((10, 0, 0, source, 10, 0, 0, target))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0)
    return (macs + tag + b"\x08\x00" + ip + ends + body).ljust(60, b"\0")


def udp(source: int, target: int, ports: tuple[int, int], data: bytes) -> bytes:
    """A frame with a datagram."""
    return ethernet(source, target, 17, struct.pack("!HHHH", *ports, 8 + len(data), 0) + data)


@dataclass(frozen=True)
class Talk:
    """A connection: who asks for what, how it is cut into segments, and what goes wrong in it."""

    client: int
    server: int
    vlan: int
    path: int
    length: int
    cut: int
    begin: int
    end: str
    twist: str

    def frames(self, port: int) -> list[bytes]:
        """Its frames, from this port of the client."""
        places = {self.client: self.begin * 977, self.server: (1 << 32) - 90}
        found: list[bytes] = []

        def say(source: int, flags: int, data: bytes = b"") -> None:
            target = self.client + self.server - source
            ports = (port, 80) if source == self.client else (80, port)
            there, heard = places[source], places[target] if flags & ACK else 0
            segment = struct.pack("!HHIIBBHHH", *ports, there, heard, 0x50, flags, 0, 0, 0) + data
            found.append(ethernet(source, target, 6, segment, self.vlan))
            places[source] = (there + len(data) + (1 if flags & (SYN | FIN) else 0)) & 0xFFFF_FFFF

        say(self.client, SYN)
        say(self.server, SYN | ACK)
        say(self.client, ACK)
        for _ in range(2 if self.twist == "two questions" else 1):
            say(self.client, ACK | PSH, QUESTION % self.path)
            say(self.server, ACK)
            head = REFUSAL % (port, self.length) if self.twist == "a login" else ANSWER % self.length
            answer = head + b"x" * self.length
            for at in range(0, len(answer), self.cut):
                say(self.server, ACK | PSH, answer[at : at + self.cut])
        if self.end == "fin":
            say(self.server, FIN | ACK)
            say(self.client, FIN | ACK)
            say(self.server, ACK)
        elif self.end == "rst":
            say(self.client, RST | ACK)
        if self.twist == "twice":
            found[3:3] = found[3:4]
        elif self.twist == "a hole":
            del found[5]
        elif self.twist == "late":
            found[5:7] = reversed(found[5:7])
        elif self.twist == "middle":
            del found[:3]
        return found


TALKS = st.builds(
    Talk,
    client=st.integers(1, 2),
    server=st.integers(3, 4),
    vlan=st.sampled_from([0, 0, 30]),
    path=st.integers(0, 1),
    length=st.sampled_from([0, 40, 3_000]),
    cut=st.sampled_from([50, 1_000]),
    begin=st.integers(0, 1 << 20),
    end=st.sampled_from(["fin", "fin", "fin", "rst", "open"]),
    twist=st.sampled_from([*[""] * 6, "two questions", "twice", "a hole", "late", "middle"])
    | st.just("a login"),
)


@st.composite
def networks(draw: st.DrawFn) -> list[Frame]:
    """Connections of which many are alike, through one another, with datagrams between them."""
    kinds = draw(st.lists(TALKS, min_size=1, max_size=3))
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=12))
    waiting = [talk.frames(20_000 + number) for number, talk in enumerate(chosen)]
    reuse = draw(st.booleans())
    if reuse:
        waiting.append(chosen[0].frames(20_000))
    frames: list[bytes] = []
    order = draw(st.randoms(use_true_random=False))
    together = draw(st.integers(1, 4))
    while waiting:
        at = 0 if reuse else order.randrange(min(together, len(waiting)))
        frames.append(waiting[at].pop(0))
        if not waiting[at]:
            del waiting[at]
        if not order.randrange(9):
            frames.append(udp(5, order.randrange(6, 8), (3702, 3702), HELLO % order.randrange(4)))
    return [
        Frame(1_700_000_000 + number / 64, 1, data, len(data), 0, 0) for number, data in enumerate(frames)
    ]


def records(frames: Sequence[Frame]) -> bytes:
    """Frames as `Bulk.take` has them."""
    return b"".join(
        struct.pack(
            "=IIII", int(frame.at or 0), round((frame.at or 0) % 1 * 1e9), len(frame.data), frame.length
        )
        + frame.data
        for frame in frames
    )


def one_by_one(frames: Iterable[Frame]) -> tuple[list[Message], Reading]:
    """What frames say by the usual way."""
    reading = Reading(ALL, "capture")
    return [*(message for frame in frames for message in reading.frame(frame)), *reading.close()], reading


@settings(max_examples=100, deadline=None)
@given(frames=networks(), size=st.integers(1, 80))
def test_bulk_says_the_same(frames: list[Frame], size: int) -> None:
    """Connections cut, lost, late, twice, or open at the end: the same Messages as often, first and last."""
    plain, reading = one_by_one(frames)
    other = Reading(ALL, "capture")
    bulk = Bulk(other, 1, ALL)
    found = []
    for at in range(0, len(frames), size):
        found += bulk.take(records(frames[at : at + size]))
    found += [*bulk.finish(), *other.close()]
    assert told(found) == told(plain)
    assert other.stats == reading.stats


def test_what_comes_again_is_counted() -> None:
    """Of a hundred equal connections few are read, and the rest are told of once, with their number."""
    talk = Talk(1, 3, 0, 0, 40, 1_000, 5, "fin", "")
    frames = [data for number in range(100) for data in replace(talk, begin=number).frames(20_000 + number)]
    heard = [Frame(1_700_000_000 + n, 1, data, len(data), 0, 0) for n, data in enumerate(frames)]
    reading = Reading(ALL, "capture")
    bulk = Bulk(reading, 1, ALL)
    found = [*bulk.take(records(heard)), *bulk.finish(), *reading.close()]
    answers = [
        message for message in found if message.payload.startswith(b"HTTP/1.1 200") and not message.moved
    ]
    assert len(answers) < 10
    assert sum(message.count for message in answers) == 100


def test_what_is_drawn_anew_makes_nothing_new() -> None:
    """Of a hundred refusals and announcements that differ in a nonce or a number few are read."""
    talk = Talk(1, 3, 0, 0, 0, 1_000, 5, "fin", "a login")
    frames = [data for number in range(100) for data in talk.frames(20_000 + number)]
    frames += [udp(5, 6, (3702, 3702), HELLO % number) for number in range(100)]
    heard = [Frame(1_700_000_000 + n, 1, data, len(data), 0, 0) for n, data in enumerate(frames)]
    reading = Reading(ALL, "capture")
    bulk = Bulk(reading, 1, ALL)
    found = [*bulk.take(records(heard)), *bulk.finish(), *reading.close()]
    for beginning in (b"HTTP/1.1 401", b"<?xml"):
        said = [message for message in found if message.payload.startswith(beginning)]
        assert len(said) < 10
        assert sum(message.count for message in said) == 100


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that never end, and hosts without end, give way to others; nothing of them is lost."""
    for name in ("_MAX_KEPT", "_MAX_TALKS", "_MAX_KNOWN", "_MAX_HASHES"):
        monkeypatch.setattr(f"agent.capture.bulk.{name}", 2)
    monkeypatch.setattr("agent.capture.bulk._MAX_BYTES", 4_000)
    kinds = [
        Talk(1, server, 0, path, 40, 1_000, 0, end, "")
        for server in (3, 4, 5)
        for path in (0, 1)
        for end in ("fin", "open")
    ]
    frames = [data for n in range(48) for data in kinds[n % len(kinds)].frames(20_000 + n)]
    heard = [Frame(1_700_000_000 + n, 1, data, len(data), 0, 0) for n, data in enumerate(frames)]
    other = Reading(ALL, "capture")
    bulk = Bulk(other, 1, ALL)
    found = [*bulk.take(records(heard)), *bulk.finish(), *other.close()]
    assert told(found) == told(one_by_one(heard)[0])


def in_bulk(path: Path) -> list[Message]:
    """The Messages of a file of which bulk is taken as soon as it may be."""
    reading = Reading(ALL, "capture")
    return [*read_recorded(path, ALL, reading, threads=1), *reading.close()]


@pytest.mark.skipif(not libpcap.available(), reason="missing tool: libpcap")
def test_a_c_library_without_streams_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no stream of our own can be had, a dense capture is read frame by frame, in one part."""
    monkeypatch.setattr(recorded, "_SAMPLE", 1)
    monkeypatch.setattr(recorded, "_DENSE", 1 << 40)
    monkeypatch.setattr(libpcap, "_opener", lambda _: None)
    path = REPO / "pcaps" / "hikvision.pcap"
    reading = Reading(ALL, "capture")
    found = [*read_recorded(path, ALL, reading, threads=2), *reading.close()]
    with path.open("rb") as stream:
        assert told(found) == told(one_by_one(read_frames(stream))[0])


@pytest.mark.skipif(not libpcap.available(), reason="missing tool: libpcap")
@pytest.mark.parametrize("sample", [1, 7])
def test_files_say_the_same(sample: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole captures, of many link types, taken in bulk from their first frames on."""
    monkeypatch.setattr(recorded, "_SAMPLE", sample)
    monkeypatch.setattr(recorded, "_DENSE", 1 << 40)
    monkeypatch.setattr(recorded, "_SPARSE", 1 << 40)
    for path in sorted((REPO / "pcaps").glob("*.pcap*")):
        with path.open("rb") as stream:
            plain, _ = one_by_one(read_frames(stream))
        assert told(replace(message, via="capture") for message in in_bulk(path)) == told(plain), path.name

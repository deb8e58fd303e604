"""Reads frames of which nearly all matter, most of which say what was said before.

In control traffic the same few conversations come again and again, each from a new client port:
frame by frame they cost 15 microseconds a frame, as a whole 1. The frames of a TCP connection
are therefore kept until it ends. If it is, but for its client's port, sequence numbers, times and what
its protocols draw anew each time (`Probe.fresh`), one that was read before, it is counted with that
one; if not, its frames are read as any others are. Likewise a datagram or ARP frame that was a repeat
is known by its bytes when it comes again, and an announcement by all but what is fresh in it.
What a connection is known by leaves out nothing else that the reading of it depends on, so the
Messages are the same; those of known connections come at the end, with their count.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from agent.capture.decode import TUNNEL_PORTS, Fragment, Packet, address_text, decode
from agent.capture.reading import Host, Reading
from agent.capture.savefile import Frame
from agent.wire import ASKED, OPEN_PORT, SIGHTING, Message, Probe

__all__ = ["Bulk"]

_RECORD: Final = struct.Struct("=IIII")
_PLAIN: Final = struct.Struct("!12sHBxHxxHxBxx12sIIBB")
"""Ethernet, IPv4 without options, TCP: MACs, kind, version, length, fragment, protocol, ends, TCP's own."""
_ENDS: Final = struct.Struct("!4s4sHH")
_SAID: Final = struct.Struct("!BB12sIII")
"""Direction, flags, MACs, both sequence numbers, how many bytes follow: what a segment is known by."""
_SHORTEST: Final = 48
_IPV4, _ARP, _DOT1Q = 0x0800, 0x0806, 0x8100
_LAST_VLAN: Final = 0x0FFF
_TCP, _UDP = 6, 17
_FIN, _SYN, _RST, _SYN_ACK = 1, 2, 4, 0x12
_TOLD_ONCE: Final = frozenset({OPEN_PORT, ASKED})
_TELLING: Final = _FIN | _SYN | _RST
_BREAKING: Final = _SYN | _RST
_OPENING: Final = 0x17
_BOTH: Final = 3
_SPACE: Final = 0xFFFF_FFFF
_ETHERNET_LINK: Final = 1
_MAX_HASHES: Final = 65_536
_MAX_KNOWN: Final = 8_192
_LONGEST_KNOWN: Final = 2_048
_MAX_TALKS: Final = 4_096
_LONGEST_TALK: Final = 8_192
"""Bytes of frames of a connection that may be known when it comes again."""
_MAX_KEPT: Final = 4_096
"""Connections, open or ended, that are kept at one time."""
_MAX_FRAMES: Final = 48
_MAX_BYTES: Final = 8 * 1024 * 1024

_Segment = tuple[bytes, int, int, int, int, int, int, bytes, int, int, float | None]
"""One frame: bytes with its beginning and end in them, those of what it says, then the direction (1 is
the server's), flags, MACs, both sequence numbers and the time."""


class _Talk:
    """A connection that is kept: its frames, and what it will be known by.

    `key` is its client's direction and `answers` the other, `first` what is known by the first frame. `frames` are more than
    one while it goes on as usual; one that was counted has none any more, but `ends`: how far the
    sequence numbers of both sides came from where they began, `bases`. `ended` has a bit for each
    side that has ended, `copied` is how many frames are no longer part of a chunk.
    """

    __slots__ = ("answers", "bases", "copied", "ended", "ends", "first", "frames", "key")

    def __init__(self, key: bytes, first: bytes, frame: _Segment) -> None:
        self.key = key
        self.answers = _turned(key)
        self.first = first
        self.frames = [frame]
        self.bases = (frame[8], 0)
        self.ends = (0, 0)
        self.ended = 0
        self.copied = 0


class _Known:
    """A connection or datagram that was read before: what it said, and how often it came again since.

    `says` are its Messages and `seen` the hosts that it shows to be there, each with the place of the
    frame that told it. `last` are the latest times of its frames.
    """

    __slots__ = ("count", "ends", "first", "last", "says", "seen")

    def __init__(
        self,
        times: list[float],
        says: list[tuple[int, Message]],
        seen: list[tuple[int, Host]],
        ends: tuple[int, int] = (0, 0),
    ) -> None:
        self.first = times[0]
        self.last = times
        self.says = says
        self.seen = seen
        self.ends = ends
        self.count = 0

    def again(self, times: list[float]) -> None:
        """Count it once more, with the times of its frames, which are in order."""
        self.count += 1
        self.last = times if times[0] >= self.last[-1] else [*map(max, times, self.last)]
        for place, host in self.seen:
            host.seen(times[place])


_NOBODY: Final[tuple[int, _Talk | None]] = (0, None)


class Bulk:
    """Feeds a Reading with many frames at a time; all of one link, in their order.

    `probes` say what is fresh in their messages. While it holds connections nobody else may feed the
    Reading: `finish` first.
    """

    def __init__(self, reading: Reading, link_type: int, probes: Sequence[Probe]) -> None:
        self.useful = 0
        """Frames that were looked into; the others are the middle of something that nobody waits for."""
        self._reading = reading
        self._link_type = link_type
        self._same: dict[int, Host] = {}
        self._talks: dict[bytes, tuple[int, _Talk]] = {}
        self._open: dict[_Talk, None] = {}
        self._held = 0
        self._known: dict[int, _Known] = {}
        self._once: set[int] = set()
        self._met: set[int] = set()
        self._forgotten = reading.forgotten
        self._said: list[Message] = []
        self._fresh = {probe.name: probe.fresh for probe in probes if probe.fresh is not None}
        streams = [probe for probe in probes if probe.transport in {"tcp", "tls"}]
        self._fresh_words = tuple(dict.fromkeys(probe.fresh for probe in streams if probe.fresh is not None))
        self._fresh_ports = {
            port: probe.fresh
            for probe in probes
            if probe.transport == "udp" and probe.fresh is not None
            for port in probe.ports
        }

    def take(self, records: bytes) -> list[Message]:  # noqa: C901, PLR0912, PLR0915 - a call a frame costs more
        """What frames say: each after a header of its seconds, nanoseconds, kept and whole length, 32 bits each."""
        record, plain, same = _RECORD.unpack_from, _PLAIN.unpack_from, self._same
        talks, other, link_type = self._talks, self._other, self._link_type
        stats, ethernet = self._reading.stats, link_type == _ETHERNET_LINK
        at, size, count, length, repeats = 0, len(records), 0, 0, 0
        times: list[float] = []
        # One turn of this loop is what a frame costs: what is rare is done elsewhere.
        while at < size:
            seconds, fraction, captured, whole = record(records, at)
            start = at + 16
            at = start + captured
            count += 1
            length += whole
            time = None
            if seconds or fraction:
                # A clock that stands at zero is none.
                time = seconds + fraction / 1e9
                times.append(time)
            name = None
            if ethernet and captured >= _SHORTEST:
                macs, kind, version, total, fragment, protocol, ends, sequence, answered, head, flags = plain(
                    records, start
                )
                ip = start + 14
                if kind == _DOT1Q and captured >= _SHORTEST + 4:
                    tag, ip = records[ip : ip + 2], start + 18
                    _, kind, version, total, fragment, protocol, ends, sequence, answered, head, flags = (
                        plain(records, start + 4)
                    )
                    ends = tag + ends
                if kind == _IPV4:
                    if version == 0x45 and not fragment & 0x3FFF:
                        if protocol == _TCP:
                            words, end = ip + 20 + (head >> 2 & 0x3C), ip + total
                            if (
                                head >= 0x50
                                and words <= end <= at
                                and (ip == start + 14 or 0 < int.from_bytes(tag) <= _LAST_VLAN)
                            ):
                                side, talk = talks.get(ends, _NOBODY)
                                segment = (
                                    records,
                                    start,
                                    at,
                                    words,
                                    end,
                                    side,
                                    flags,
                                    macs,
                                    sequence,
                                    answered,
                                    time,
                                )
                                if talk is None:
                                    self._first(segment, whole, ends)
                                elif flags & _BREAKING or len(talk.frames) < 2 or time is None:
                                    self._segment(talk, segment, whole, ends)
                                else:
                                    talk.frames.append(segment)
                                    if flags & _FIN:
                                        talk.ended |= 1 << side
                                        if talk.ended == _BOTH:
                                            self._end(talk)
                                continue
                        elif protocol == _UDP:
                            # Without what is new in each packet: its number, time to live and checksum.
                            name = records[start : ip + 4] + records[ip + 12 : at]
                elif kind == _ARP:
                    name = records[start:at]
                host = same.get(hash(name)) if name is not None else None
                if host is not None:
                    repeats += 1
                    host.seen(time)
                    continue
            other(Frame(time, link_type, records[start:at], whole, 0, 0), name)
        stats.frames += count
        stats.bytes += length
        stats.link_types[link_type] += count
        stats.repeats += repeats
        stats.first = min(times if stats.first is None else [stats.first, *times], default=None)
        stats.last = max(times if stats.last is None else [stats.last, *times], default=None)
        self.useful += count
        self._copy()
        return self._take_said()

    def finish(self) -> list[Message]:
        """Let go of everything: what is left of open connections, then what came again, with its count."""
        self._let_go_of_all()
        self._tell()
        return self._take_said()

    def _take_said(self) -> list[Message]:
        said, self._said = self._said, []
        return said

    def _tell(self) -> None:
        """Tell of what came again since it was told of; then forget it."""
        for known in self._known.values():
            if known.count:
                self._said += [
                    replace(message, at=known.last[place], count=known.count) for place, message in known.says
                ]
        self._known.clear()

    def _other(self, frame: Frame, name: bytes | None) -> None:
        """A frame that is no plain TCP segment: by the usual way, and by `name` where it comes again."""
        if name is None:
            if self._talks:
                self._make_way(frame)
            self._said += self._read(frame)
            return
        fresh = self._fresh_of(frame.data)
        packet = decode(frame.data, frame.link_type) if fresh is not None and frame.at is not None else None
        if fresh is not None and isinstance(packet, Packet):
            self._announced(frame, packet, fresh, name)
            return
        reading, repeats = self._reading, self._reading.stats.repeats
        said = self._read(frame)
        self._said += said
        if not said and reading.stats.repeats > repeats and reading.touched is not None:
            self._repeated(name, reading.touched)

    def _repeated(self, name: bytes, host: Host) -> None:
        """Know a frame that says nothing new by its bytes, if it comes again."""
        if not _tunnelled(name):
            if len(self._same) >= _MAX_KNOWN:
                self._same.clear()
            self._same[hash(name)] = host

    def _fresh_of(self, data: bytes) -> re.Pattern[bytes] | None:
        """What is fresh in a datagram, by its ports."""
        ip = 18 if data[12:14] == b"\x81\x00" else 14
        if data[ip - 2 : ip] != b"\x08\x00":
            return None
        port = int.from_bytes(data[ip + 22 : ip + 24])
        return self._fresh_ports.get(port) or self._fresh_ports.get(int.from_bytes(data[ip + 20 : ip + 22]))

    def _announced(self, frame: Frame, packet: Packet, fresh: re.Pattern[bytes], exact: bytes) -> None:
        """A datagram with something `fresh` in it: known by the rest, where it was read before."""
        at, payload = frame.at or 0.0, packet.payload
        name = hash((packet._replace(payload=fresh.sub(b"", payload)), len(payload)))
        known = self._known.get(name)
        if known is not None and known.first <= at:
            if self._reading.repeats(packet):
                for _, host in known.seen:
                    host.seen(at)
                    self._repeated(exact, host)
            else:
                known.again([at])
            return
        repeats = self._reading.stats.repeats
        said = self._read(frame)
        self._said += said
        says = [message for message in said if message.protocol != SIGHTING]
        shown = self._reading.touched
        if shown is None:
            return
        if not said and self._reading.stats.repeats > repeats:
            self._repeated(exact, shown)
        if len(says) != 1 or self._fresh.get(says[0].protocol) is not fresh:
            return
        if name in self._once and len(payload) <= _LONGEST_KNOWN:
            if len(self._known) >= _MAX_TALKS:
                self._tell()
            self._known[name] = _Known([at], [(0, says[0])], [(0, shown)])
        _remember(self._once, name)

    def _make_way(self, frame: Frame) -> None:
        """What is kept of a connection is read before an unusual frame of it."""
        ip = 18 if frame.data[12:14] == b"\x81\x00" else 14
        if frame.data[ip - 2 : ip] == b"\x08\x00" and frame.data[ip + 9 : ip + 10] == b"\x11":
            # UDP, such as a piece of a long announcement; what is in a tunnel is another connection.
            return
        try:
            found = decode(frame.data, frame.link_type)
        except (IndexError, ValueError, struct.error):
            return
        if isinstance(found, Fragment):
            if found.protocol == _TCP:
                # Nobody knows yet whose it is.
                self._let_go_of_all()
        elif isinstance(found, Packet) and found.protocol == _TCP and ":" not in found.source:
            ends = socket.inet_aton(found.source) + socket.inet_aton(found.target)
            tag = b"".join(number.to_bytes(2) for number in found.vlan)
            _, talk = self._talks.get(
                tag + ends + struct.pack("!HH", found.source_port, found.target_port), _NOBODY
            )
            if talk is not None:
                self._let_go(talk)

    def _segment(self, talk: _Talk, segment: _Segment, whole: int, key: bytes) -> None:
        """A TCP segment that may not be the usual middle of a connection that is kept."""
        data, _, _, words, end, side, flags, _, sequence, _, at = segment
        frames, length = talk.frames, end - words
        opened = len(frames) > 1
        there = sequence - talk.bases[side] & _SPACE
        if not frames and not flags & _SYN and there + length <= talk.ends[side]:
            # It was counted, and this comes late: it was said before.
            if not length:
                self._said += self._read(self._frame(segment, whole))
            elif self._reading.wanted.begins(data[words:end]):
                self._said += self._reading.sight(self._frame(segment, whole))
            return
        if (
            not frames
            or at is None
            or (flags & _SYN if opened else flags & _OPENING != _SYN_ACK or length or not side)
        ):
            # It does not go on as usual, or begins anew.
            self._let_go(talk)
            self._first(segment, whole, key)
            return
        if not opened:
            talk.bases = talk.bases[0], sequence
        frames.append(segment)
        if flags & _FIN:
            talk.ended |= 1 << side
        if flags & _RST or talk.ended == _BOTH:
            self._end(talk)

    def _first(self, segment: _Segment, whole: int, key: bytes) -> None:
        """A segment of a connection that is not kept: keep it from its beginning, or read it by the usual way."""
        data, _, _, words, end, _, flags, macs, _, _, at = segment
        if flags & _OPENING == _SYN and words == end and at is not None:
            first = _opening(key, macs)
            if hash(first) in self._met:
                if len(self._talks) >= 2 * _MAX_KEPT:
                    self._let_go_of_all()
                # Whose direction it was before does not count.
                talk = _Talk(key, first, (*segment[:5], 0, *segment[6:]) if segment[5] else segment)
                self._talks[key] = 0, talk
                self._talks[talk.answers] = 1, talk
                self._open[talk] = None
                return
        if flags & _TELLING or (
            words != end
            and (
                self._reading.wanted.begins(data[words:end])
                or self._reading.streams.waits_for(int.from_bytes(key[-4:]))
            )
        ):
            self._said += self._read(self._frame(segment, whole))
            if flags & _OPENING == _SYN_ACK:
                # What is told but once, such as an open port, was told by this one, before others are kept.
                _remember(self._met, hash(_opening(_turned(key), macs[6:] + macs[:6])))
        else:
            self.useful -= 1

    def _frame(self, segment: _Segment, whole: int) -> Frame:
        data, start, stop = segment[:3]
        return Frame(segment[10], self._link_type, data[start:stop], whole, 0, 0)

    def _end(self, talk: _Talk) -> None:
        """A connection is whole: count it where it is known, else read it."""
        frames, (client, server) = talk.frames, talk.bases
        said, pack = [talk.first], _SAID.pack
        for data, _, _, words, end, side, flags, macs, sequence, answered, _ in frames[1:]:
            if side:
                there, heard = sequence - server & _SPACE, answered - client & _SPACE
            else:
                there, heard = sequence - client & _SPACE, answered - server & _SPACE
            said += pack(side, flags, macs, there, heard, end - words), data[words:end]
        # A hash of bytes is keyed anew in each process: nobody can make two connections meet.
        whole = b"".join(said)
        exact = name = hash(whole)
        known = self._known.get(exact)
        if known is None:
            rest = self._without_fresh(whole)
            if len(rest) != len(whole):
                name = hash(rest)
                known = self._known.get(name)
        times = [frame[10] or 0.0 for frame in frames]
        streams = self._reading.streams
        vlan, client_end, server_end = _ends(talk.key)
        usual = times == sorted(times) and not streams.holds(vlan, client_end, server_end)
        if known is not None and usual and known.first <= times[0]:
            known.again(times)
            self._forget(talk)
            talk.ends = known.ends
            if talk.ended != _BOTH:
                # After a reset nothing more is known of it.
                self._let_go(talk)
            return
        size = sum(stop - start for _, start, stop, *_ in frames)
        again = known is None and name in self._once and size <= _LONGEST_TALK
        _remember(self._once, name)
        evicted = streams.evicted
        says, seen = self._let_go(talk)
        if (
            again
            and usual
            and evicted == streams.evicted
            and not streams.speaks(vlan, client_end, server_end)
        ):
            if len(self._known) >= _MAX_TALKS:
                self._tell()
            if name != exact and not all(self._is_covered(message) for _, message in says):
                name = exact
            self._known[name] = _Known(times, says, seen, _reach(frames, talk.bases))

    def _without_fresh(self, words: bytes) -> bytes:
        for pattern in self._fresh_words:
            words = pattern.sub(b"", words)
        return words

    def _is_covered(self, message: Message) -> bool:
        """Whether what is fresh in it is so for the protocol that reads it."""
        own = self._fresh.get(message.protocol)
        return all(pattern is own or not pattern.search(message.payload) for pattern in self._fresh_words)

    def _copy(self) -> None:
        """Keep what is open beyond the chunk that it came with; what is too long for that is let go."""
        for talk in [*self._open]:
            frames = talk.frames
            for place in range(talk.copied, len(frames)):
                segment = frames[place]
                data, start, stop, words, end = segment[:5]
                frames[place] = (
                    *(data[start:stop], 0, stop - start, words - start, end - start),
                    *segment[5:],
                )
                self._held += stop - start
            talk.copied = len(frames)
            if len(frames) > _MAX_FRAMES:
                self._let_go(talk)
        if self._held > _MAX_BYTES:
            self._let_go_of_all()

    def _forget(self, talk: _Talk) -> list[_Segment]:
        """Keep the frames of a connection no more."""
        frames, talk.frames = talk.frames, []
        if talk.copied:
            self._held -= sum(frame[2] for frame in frames[: talk.copied])
        self._open.pop(talk, None)
        return frames

    def _let_go_of_all(self) -> None:
        for talk in [*self._open]:
            self._let_go(talk)
        # Those that were counted have nothing to read.
        self._talks.clear()

    def _let_go(self, talk: _Talk) -> tuple[list[tuple[int, Message]], list[tuple[int, Host]]]:
        """Read a connection by the usual way, as what follows of it will be.

        What its frames say and whom they show, each by the place of the frame.
        """
        del self._talks[talk.key], self._talks[talk.answers]
        says: list[tuple[int, Message]] = []
        seen: dict[Host, int] = {}
        for place, segment in enumerate(self._forget(talk)):
            data, start, stop = segment[:3]
            # By its number a Message tells which frame it began with.
            frame = Frame(segment[10], self._link_type, data[start:stop], stop - start, place + 1, 0)
            for message in self._read(frame):
                plain = message if message.frame is None else replace(message, frame=None)
                self._said.append(plain)
                if message.frame is not None and message.protocol not in _TOLD_ONCE:
                    says.append((message.frame - 1, plain))
            if self._reading.touched is not None:
                seen[self._reading.touched] = place
        return says, [(place, host) for host, place in seen.items()]

    def _read(self, frame: Frame) -> list[Message]:
        """By the usual way; what is known refers to hosts, and is forgotten when one of them is."""
        said = self._reading.said_by(frame)
        if self._forgotten != self._reading.forgotten:
            self._forgotten = self._reading.forgotten
            self._same.clear()
            self._tell()
        return said


def _opening(key: bytes, macs: bytes) -> bytes:
    """What is known of a connection by its client's first segment."""
    # Which port is the higher one is all that may be told by the client's.
    client, server = key[-4:-2], key[-2:]
    return macs + key[:-4] + server + (b"\1" if client > server else b"\0")


def _reach(frames: Sequence[_Segment], bases: tuple[int, int]) -> tuple[int, int]:
    """How far the sequence numbers of both sides came from where they began."""
    ends = [0, 0]
    for _, _, _, words, end, side, flags, _, sequence, _, _ in frames:
        there = sequence - bases[side] & _SPACE
        ends[side] = max(ends[side], there + end - words + (flags & _FIN))
    return ends[0], ends[1]


def _remember(hashes: set[int], name: int) -> None:
    if len(hashes) >= _MAX_HASHES:
        hashes.clear()
    hashes.add(name)


def _turned(key: bytes) -> bytes:
    """The name of the other direction: ends are two addresses, then two ports, perhaps behind a VLAN tag."""
    tag, ends = key[:-12], key[-12:]
    return tag + ends[4:8] + ends[:4] + ends[10:] + ends[8:10]


def _ends(key: bytes) -> tuple[tuple[int, ...], tuple[str, int], tuple[str, int]]:
    """The same as `Streams` has it."""
    vlan = (int.from_bytes(key[:-12]),) if len(key) > _ENDS.size else ()
    source, target, source_port, target_port = _ENDS.unpack(key[-12:])
    return vlan, (address_text(source), source_port), (address_text(target), target_port)


def _tunnelled(name: bytes) -> bool:
    """Whether a datagram, by its name, may carry frames: what they belong to is not known by their bytes."""
    at = 32 if name[12:14] == b"\x81\x00" else 28
    return int.from_bytes(name[at : at + 2]) in TUNNEL_PORTS

"""Reads frames of which nearly all matter, most of which say what was said before.

In control traffic the same few conversations come again and again, each from a new client port:
frame by frame they cost 15 microseconds a frame, as a whole 3. The frames of a TCP connection
are therefore kept until it ends. If it is, but for its client's port, sequence numbers and times,
one that was read before, it is counted with that one; if not, its frames are read as any others
are. Likewise a datagram or ARP frame that was a repeat is known by its bytes when it comes again.
What a connection is known by leaves out nothing that the reading of it depends on, so the Messages
are the same; those of known connections come at the end, with their count.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from agent.capture.decode import TUNNEL_PORTS, Fragment, Packet, address_text, decode
from agent.capture.reading import Host, Reading
from agent.capture.savefile import Frame
from agent.wire import OPEN_PORT, Message

__all__ = ["Bulk"]

_RECORD: Final = struct.Struct("=IIII")
_PLAIN: Final = struct.Struct("!12s2xBxHxxHxBxx12sIIBB")
"""Ethernet, IPv4 without options, TCP: MACs, version, length, fragment, protocol, both ends, TCP's own."""
_ENDS: Final = struct.Struct("!4s4sHH")
_SAID: Final = struct.Struct("!?B12sIII")
"""Direction, flags, MACs, both sequence numbers, how many bytes follow: what a segment is known by."""
_SHORTEST: Final = 48
_IPV4, _ARP, _DOT1Q = b"\x08\x00", b"\x08\x06", b"\x81\x00"
_LAST_VLAN: Final = 0x0FFF
_TCP, _UDP = 6, 17
_FIN, _SYN, _RST, _SYN_ACK = 1, 2, 4, 0x12
_TELLING: Final = _FIN | _SYN | _RST
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

_Fields = tuple[bytes, int, int, int, int, bytes, int, int, int, int]


class _Talk:
    """A connection that is kept: its frames with their times, and what it will be known by.

    `key` is its client's direction; `bases` are where the sequence numbers of both sides begin, `ends`
    how far from there they came; `ended` has a bit for each side that has ended. One that was counted
    has no frames any more.
    """

    __slots__ = ("bases", "ended", "ends", "frames", "key", "said", "times")

    def __init__(self, key: bytes, said: bytes, sequence: int) -> None:
        self.key = key
        self.said = [said]
        self.bases = [sequence, 0]
        self.ends = [0, 0]
        self.frames: list[bytes] = []
        self.times: list[float] = []
        self.ended = 0


class _Known:
    """A connection that was read before: what it said, and how often it came again since.

    `says` are its Messages and `seen` the hosts that it shows to be there, each with the place of the
    frame that told it.
    """

    __slots__ = ("count", "first", "last", "says", "seen")

    def __init__(self, first: float, says: list[tuple[int, Message]], seen: list[tuple[int, Host]]) -> None:
        self.first = first
        self.says = says
        self.seen = seen
        self.count = 0
        self.last = [first] * len(says)

    def again(self, times: list[float]) -> None:
        """Count it once more, with the times of its frames."""
        self.count += 1
        for at, (place, _) in enumerate(self.says):
            self.last[at] = max(self.last[at], times[place])
        for place, host in self.seen:
            host.seen(times[place])


class Bulk:
    """Feeds a Reading with many frames at a time; all of one link, in their order.

    While it holds connections nobody else may feed the Reading: `finish` first.
    """

    def __init__(self, reading: Reading, link_type: int) -> None:
        self.useful = 0
        """Frames that were looked into; the others are the middle of something that nobody waits for."""
        self._reading = reading
        self._link_type = link_type
        self._same: dict[bytes, Host] = {}
        self._talks: dict[bytes, _Talk] = {}
        self._held = 0
        self._known: dict[int, _Known] = {}
        self._once: set[int] = set()
        self._met: set[int] = set()
        self._forgotten = reading.forgotten
        self._said: list[Message] = []

    def take(self, records: bytes) -> list[Message]:
        """What frames say: each after a header of its seconds, nanoseconds, kept and whole length, 32 bits each."""
        record, plain, same = _RECORD.unpack_from, _PLAIN.unpack_from, self._same
        stats, ethernet = self._reading.stats, self._link_type == _ETHERNET_LINK
        at, size, count, length, repeats = 0, len(records), 0, 0, 0
        times = []
        while at < size:
            seconds, fraction, captured, whole = record(records, at)
            data = records[at + 16 : at + 16 + captured]
            at += 16 + captured
            count += 1
            length += whole
            time = None
            if seconds or fraction:
                # A clock that stands at zero is none.
                time = seconds + fraction / 1e9
                times.append(time)
            name = None
            tag, bare = b"", data
            if data[12:14] == _DOT1Q:
                tag, bare = data[14:16], data[:12] + data[16:]
            if ethernet and len(bare) >= _SHORTEST:
                kind = bare[12:14]
                if kind == _IPV4:
                    fields = plain(bare)
                    _, version, total, fragment, protocol, _, _, _, head, _ = fields
                    if version == 0x45 and not fragment & 0x3FFF:
                        if protocol == _UDP:
                            # Without what is new in each packet: its number, time to live and checksum.
                            name = tag + kind + bare[:18] + bare[26:]
                        elif (
                            protocol == _TCP
                            and head >= 0x50
                            and 20 + (head >> 2 & 0x3C) <= total <= len(bare) - 14
                            and (not tag or 0 < int.from_bytes(tag) <= _LAST_VLAN)
                        ):
                            self._segment(Frame(time, self._link_type, data, whole, 0, 0), tag, bare, fields)
                            continue
                elif kind == _ARP:
                    name = tag + kind + bare
                host = same.get(name) if name is not None else None
                if host is not None:
                    repeats += 1
                    host.seen(time)
                    continue
            self._other(Frame(time, self._link_type, data, whole, 0, 0), name)
        stats.frames += count
        stats.bytes += length
        stats.link_types[self._link_type] += count
        stats.repeats += repeats
        stats.first = min(times if stats.first is None else [stats.first, *times], default=None)
        stats.last = max(times if stats.last is None else [stats.last, *times], default=None)
        self.useful += count
        return self._take_said()

    def finish(self) -> list[Message]:
        """Let go of everything: what is left of open connections, then what came again, with its count."""
        self._let_go_of(self._talks.values())
        self._tell()
        return self._take_said()

    def _take_said(self) -> list[Message]:
        said, self._said = self._said, []
        return said

    def _tell(self) -> None:
        """Tell of connections that came again since they were told of; then forget them."""
        for known in self._known.values():
            if known.count:
                self._said += [
                    replace(message, at=at, count=known.count)
                    for (_, message), at in zip(known.says, known.last, strict=True)
                ]
        self._known.clear()

    def _other(self, frame: Frame, name: bytes | None) -> None:
        """A frame that is no plain TCP segment: by the usual way, and by `name` where it comes again."""
        reading, repeats = self._reading, self._reading.stats.repeats
        if name is None and self._talks:
            self._make_way(frame)
        said = self._read(frame)
        self._said += said
        if said or reading.stats.repeats == repeats or reading.touched is None or name is None:
            return
        if len(name) <= _LONGEST_KNOWN and not _tunnelled(frame.data):
            if len(self._same) >= _MAX_KNOWN:
                self._same.clear()
            self._same[name] = reading.touched

    def _make_way(self, frame: Frame) -> None:
        """What is kept of a connection is read before an unusual frame of it."""
        try:
            found = decode(frame.data, frame.link_type)
        except (IndexError, ValueError, struct.error):
            return
        if isinstance(found, Fragment):
            # Nobody knows yet whose it is.
            self._let_go_of(self._talks.values())
        elif isinstance(found, Packet) and found.protocol == _TCP and ":" not in found.source:
            ends = socket.inet_aton(found.source) + socket.inet_aton(found.target)
            tag = b"".join(number.to_bytes(2) for number in found.vlan)
            talk = self._talks.get(tag + ends + struct.pack("!HH", found.source_port, found.target_port))
            if talk is not None:
                self._let_go(talk)

    def _segment(self, frame: Frame, tag: bytes, bare: bytes, fields: _Fields) -> None:
        """A plain TCP segment, with the VLAN tag that `bare` is without, and what its headers say."""
        macs, _, total, _, _, ends, sequence, answered, head, flags = fields
        words = bare[34 + (head >> 4) * 4 : 14 + total]
        key = tag + ends
        talk = self._talks.get(key)
        if talk is None:
            self._first(frame, key, macs, words, sequence, flags)
            return
        answers = key != talk.key
        opened = len(talk.frames) > 1
        there = sequence - talk.bases[answers] & _SPACE
        if not talk.frames and not flags & _SYN and there + len(words) <= talk.ends[answers]:
            # It was counted, and this comes late: it was said before.
            if not words:
                self._said += self._read(frame)
            elif self._reading.wanted.begins(words):
                self._said += self._reading.sight(frame)
            return
        if (
            not talk.frames
            or frame.at is None
            or (flags & _SYN if opened else flags & _OPENING != _SYN_ACK or words or not answers)
        ):
            # It does not go on as usual, or begins anew.
            self._let_go(talk)
            self._first(frame, key, macs, words, sequence, flags)
            return
        if not opened:
            talk.bases[1], there = sequence, 0
        heard = answered - talk.bases[not answers] & _SPACE
        talk.ends[answers] = max(talk.ends[answers], there + len(words) + (flags & _FIN))
        talk.said += _SAID.pack(answers, flags, macs, there, heard, len(words)), words
        self._keep(talk, frame, frame.at)
        if flags & _FIN:
            talk.ended |= 1 << answers
        if flags & _RST or talk.ended == _BOTH:
            self._end(talk)
        elif len(talk.frames) > _MAX_FRAMES:
            self._let_go(talk)
        if self._held > _MAX_BYTES:
            self._let_go_of(self._talks.values())

    def _first(self, frame: Frame, key: bytes, macs: bytes, words: bytes, sequence: int, flags: int) -> None:
        """A segment of a connection that is not kept: keep it from its beginning, or read it by the usual way."""
        opens = flags & _OPENING == _SYN and not words and frame.at is not None
        said = _opening(key, macs) if opens else b""
        if frame.at is not None and opens and hash(said) in self._met:
            if len(self._talks) >= 2 * _MAX_KEPT:
                self._let_go_of(self._talks.values())
            talk = self._talks[key] = self._talks[_turned(key)] = _Talk(key, said, sequence)
            self._keep(talk, frame, frame.at)
        elif flags & _TELLING or (
            words
            and (
                self._reading.wanted.begins(words)
                or self._reading.streams.waits_for(int.from_bytes(key[-4:]))
            )
        ):
            self._said += self._read(frame)
            if flags & _OPENING == _SYN_ACK:
                # What is told but once, such as an open port, was told by this one, before others are kept.
                _remember(self._met, hash(_opening(_turned(key), macs[6:] + macs[:6])))
        else:
            self.useful -= 1

    def _keep(self, talk: _Talk, frame: Frame, at: float) -> None:
        talk.frames.append(frame.data)
        talk.times.append(at)
        self._held += len(frame.data)

    def _end(self, talk: _Talk) -> None:
        """A connection is whole: count it where it is known, else read it."""
        # A hash of bytes is keyed anew in each process: nobody can make two connections meet.
        name = hash(b"".join(talk.said))
        known, times, streams = self._known.get(name), talk.times, self._reading.streams
        vlan, *ends = _ends(talk.key)
        usual = times == sorted(times) and not streams.holds(vlan, *ends)
        if known is not None and usual and known.first <= times[0]:
            known.again(times)
            self._held -= sum(map(len, talk.frames))
            talk.frames, talk.times, talk.said = [], [], []
            if talk.ended != _BOTH:
                # After a reset nothing more is known of it.
                self._let_go(talk)
            return
        again = known is None and name in self._once and sum(map(len, talk.frames)) <= _LONGEST_TALK
        _remember(self._once, name)
        evicted = streams.evicted
        says, seen = self._let_go(talk)
        if again and usual and evicted == streams.evicted and not streams.speaks(vlan, *ends):
            if len(self._known) >= _MAX_TALKS:
                self._tell()
            self._known[name] = _Known(times[0], says, seen)

    def _let_go_of(self, talks: Iterable[_Talk]) -> None:
        # Each is there under both of its directions.
        for talk in dict.fromkeys(talks):
            self._let_go(talk)

    def _let_go(self, talk: _Talk) -> tuple[list[tuple[int, Message]], list[tuple[int, Host]]]:
        """Read a connection by the usual way, as what follows of it will be.

        What its frames say and whom they show, each by the place of the frame.
        """
        del self._talks[talk.key], self._talks[_turned(talk.key)]
        says: list[tuple[int, Message]] = []
        seen: dict[Host, int] = {}
        for place, (data, at) in enumerate(zip(talk.frames, talk.times, strict=True)):
            self._held -= len(data)
            # By its number a Message tells which frame it began with.
            for message in self._read(Frame(at, self._link_type, data, len(data), place + 1, 0)):
                plain = message if message.frame is None else replace(message, frame=None)
                self._said.append(plain)
                if message.frame is not None and message.protocol != OPEN_PORT:
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
    return b"%c%b%b%b%c" % (len(key), macs, key[:-4], server, client > server)


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


def _tunnelled(data: bytes) -> bool:
    """Whether a datagram may carry frames: what they belong to is not known by their bytes."""
    at = 18 if data[12:14] == _DOT1Q else 14
    return int.from_bytes(data[at + 22 : at + 24]) in TUNNEL_PORTS

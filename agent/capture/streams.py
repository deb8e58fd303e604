"""Puts the first bytes of TCP connections together, turn by turn.

A connection is a talk: one side speaks until the other answers. Each finished turn comes out
with the turn before it, so that an answer stands beside its question. Segments may come late,
twice or overlapping (what came first is kept), and the beginning may be missing.

Most of a camera's connection is video, so a segment is only taken where it begins like a
protocol, where the message before it has not ended, where it answers a question, or at the very
beginning of a connection. The directions of which more is wanted are told to the capture filter
(`Streams.hungry`), which has no memory of its own. Everything is bounded: bytes a turn, turns a
connection, connections, bytes and hungry directions in all.

How much was said is known without reading it: the last segments of a connection say how many bytes
each side sent since it was opened. Where it was opened to the internet, the first turn then comes out
once more, with these numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from agent.capture.decode import Packet
from agent.capture.framing import FIRST, missing
from agent.capture.spans import uncovered

__all__ = ["MAX_FLOWS", "MAX_HUNGRY", "MAX_TURN", "NEAR", "Streams", "Turn"]

NEAR: Final = (
    *("10.", "192.168.", "169.254.", "127.", "fe80:", "fc", "fd"),
    *(f"172.{number}." for number in range(16, 32)),
)
"""Beginnings of addresses that are not of the internet."""
MAX_FLOWS: Final = 16_384
MAX_TURN: Final = 65_536
MAX_TURNS: Final = 32
MAX_HUNGRY: Final = 64
"""Directions that may wait for more bytes at one time: each costs the filter a comparison."""
_MAX_TOTAL: Final = 16 * 1024 * 1024
_MAX_WAITING: Final = 64
_WINDOW: Final = 1 << 20
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_SPACE: Final = 1 << 32
_LONGEST_OPENING: Final = 4_096
"""Longest first turn that is kept until the connection ends: a question or a hello is shorter."""
_ANSWERS: Final = (b"HTTP/", b"RTSP/", b"SIP/")

_Key = tuple[object, ...]
_Heard = tuple[Packet, float | None, int]
"""A segment with the time and number of its frame."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said until the other spoke: `packet` is its first; `asked` the turn before.

    `moved` is set where a connection has ended, whose first turn was this: all bytes that this side
    said in it, then all that the other said. It had come out before, without them.
    """

    packet: Packet
    payload: bytes
    asked: bytes
    at: float | None
    number: int
    moved: tuple[int, int] | None = None


class _Side:
    """One direction: how many bytes were passed in order, and the pieces that came too early.

    `want` is how many bytes in order are still wanted. Places count from the first byte known.
    """

    __slots__ = ("held", "next", "taken", "waiting", "want")

    def __init__(self) -> None:
        self.next: int | None = None
        self.taken = 0
        self.want = 0
        self.held = 0
        self.waiting: dict[int, tuple[bytes, _Heard]] = {}

    def place(self, sequence: int) -> int:
        """Where a sequence number is, counted from the first byte known; before it where negative."""
        if self.next is None:
            self.next = sequence
        half = _SPACE // 2
        return self.taken + (sequence - self.next + half) % _SPACE - half

    def skip_to(self, place: int) -> None:
        """Go on behind bytes that are not read; what waits before `place` is forgotten."""
        assert self.next is not None  # noqa: S101 - a place is known only once this is
        self.next = (self.next + place - self.taken) % _SPACE
        self.taken = place
        for start in [start for start in self.waiting if start < place]:
            self.held -= len(self.waiting.pop(start)[0])

    def take(self, place: int, data: bytes, heard: _Heard) -> list[tuple[bytes, _Heard]]:
        """The pieces that are now in order, this one perhaps among them."""
        if place == self.taken and not self.waiting:
            self.skip_to(place + len(data))
            return [(data, heard)]
        spans = sorted((start, start + len(piece)) for start, (piece, _) in self.waiting.items())
        behind = (min(place, self.taken), self.taken)
        # What came first is kept: only the gaps between the pieces are taken.
        for begin, end in uncovered([behind, *spans], place, place + len(data)):
            if len(self.waiting) < _MAX_WAITING and self.held < MAX_TURN:
                part = data[begin - place : end - place]
                self.waiting[begin] = (part, heard)
                self.held += len(part)
        found = []
        while self.taken in self.waiting:
            piece = self.waiting.pop(self.taken)
            self.held -= len(piece[0])
            self.skip_to(self.taken + len(piece[0]))
            found.append(piece)
        return found

    def behind_holes(self, place: int | None = None) -> list[tuple[int, bytes, _Heard]]:
        """The pieces that wait at `place` or before it (all, if it is None), which are then forgotten."""
        starts = sorted(start for start in self.waiting if place is None or start <= place)
        found = [(start, *self.waiting.pop(start)) for start in starts]
        self.held -= sum(len(data) for _, data, _ in found)
        return found


class _Flow:
    """Two sides, with the turn that is being spoken, and the first one until the connection ends."""

    __slots__ = (
        "began",
        "ends",
        "first",
        "last",
        "opening",
        "sides",
        "speaker",
        "turn",
        "turns",
        "weight",
    )

    def __init__(self) -> None:
        self.sides = (_Side(), _Side())
        self.speaker = 0
        self.turn = bytearray()
        self.began = 0
        """Where in the turn its last message began."""
        self.first: _Heard | None = None
        self.last = b""
        self.turns = 0
        self.weight = 0
        self.ends: list[int] | None = None
        """How many bytes each side said, -1 while it is not known; None where the beginning was not seen."""
        self.opening: Turn | None = None

    def finish(self, done: list[Turn]) -> None:
        """End the turn that is being spoken."""
        if self.first is None:
            return
        packet, at, number = self.first
        payload = bytes(self.turn)
        done.append(Turn(packet, payload, self.last, at, number))
        if (
            not self.turns
            and self.ends is not None
            and len(payload) <= _LONGEST_OPENING
            and not packet.target.startswith(NEAR)
        ):
            self.opening = Turn(packet._replace(payload=b""), payload, b"", at, number)
        self.last = payload
        self.turn = bytearray()
        self.began = 0
        self.first = None
        self.turns += 1

    def weigh(self) -> int:
        """How many bytes are kept more than when this was asked last."""
        weight = len(self.turn) + len(self.last) + self.sides[0].held + self.sides[1].held
        if self.opening is not None:
            weight += len(self.opening.payload)
        more, self.weight = weight - self.weight, weight
        return more

    def end(self, number: int, packet: Packet) -> None:
        """Learn from the last segment of one side how much it said; from a reset also what it had heard."""
        if self.ends is None:
            return
        if self.ends[number] < 0:
            self.ends[number] = self.sides[number].place(packet.sequence) + len(packet.payload)
        if self.ends[1 - number] < 0 and packet.flags & _RST and packet.flags & _ACK:
            self.ends[1 - number] = self.sides[1 - number].place(packet.acknowledged)

    def measure(self, done: list[Turn]) -> None:
        """Let the first turn come out with what both sides said, once, as soon as both have ended."""
        opening, ends = self.opening, self.ends
        if opening is None or ends is None or min(ends) < 0:
            return
        self.opening = None
        packet = opening.packet
        side = 0 if (packet.source, packet.source_port) <= (packet.target, packet.target_port) else 1
        done.append(replace(opening, moved=(ends[side], ends[1 - side])))


class Streams:
    """The connections of a capture, the least recently used given up when there are too many.

    `starts` says whether a payload begins like a protocol that is read.
    """

    def __init__(self, starts: Callable[[bytes], bool]) -> None:
        self._starts = starts
        self._flows: OrderedDict[_Key, _Flow] = OrderedDict()
        self._total = 0
        self._done: list[Turn] = []
        self._hungry: OrderedDict[tuple[_Key, int], int] = OrderedDict()
        self.changes = 0
        """Grows whenever the hungry directions change."""
        self.additions = 0
        """Grows whenever a direction becomes hungry, which a filter must know at once."""
        self.evicted = 0
        self.starved = 0

    @property
    def hungry(self) -> tuple[int, ...]:
        """Both ports of each direction of which more is wanted: the sender's in the upper 16 bits."""
        return tuple(self._hungry.values())

    def add(self, packet: Packet, at: float | None, number: int) -> list[Turn]:
        """Take a segment; the turns that it ends."""
        here = (packet.source, packet.source_port)
        there = (packet.target, packet.target_port)
        side = 0 if here <= there else 1
        ends = (there, here) if side else (here, there)
        key = (packet.vlan, packet.tunnel, *ends)
        flow = self._flows.get(key)
        opening = packet.flags & (_SYN | _ACK)
        if flow is not None and opening == _SYN and flow.turns:
            self._close(key)
            flow = None
        if flow is None:
            if opening != _SYN | _ACK and not self._starts(packet.payload):
                return self._take_done()
            flow = self._flows[key] = _Flow()
        if opening == _SYN | _ACK:
            self._open(key, flow, side, packet)
        elif packet.payload and flow.turns < MAX_TURNS:
            self._segment(key, flow, side, (packet, at, number))
        if packet.flags & (_FIN | _RST):
            self._ended(key, flow, side, packet)
        if key in self._flows:
            self._total += flow.weigh()
        while len(self._flows) > MAX_FLOWS or self._total > _MAX_TOTAL:
            self.evicted += 1
            self._close(next(iter(self._flows)))
        return self._take_done()

    def holds(self, vlan: tuple[int, ...], one: tuple[str, int], other: tuple[str, int]) -> bool:
        """Whether anything is known of the connection between two ends (address and port) in a VLAN."""
        return (vlan, "", *((one, other) if one <= other else (other, one))) in self._flows

    def speaks(self, vlan: tuple[int, ...], one: tuple[str, int], other: tuple[str, int]) -> bool:
        """Whether a turn of that connection is not finished yet."""
        flow = self._flows.get((vlan, "", *((one, other) if one <= other else (other, one))))
        return flow is not None and (
            flow.first is not None or any(side.waiting or side.want for side in flow.sides)
        )

    def waits_for(self, ports: int) -> bool:
        """Whether more is wanted of a direction between these ports (the sender's in the upper 16 bits)."""
        return ports in self._hungry.values()

    def close(self) -> Iterator[Turn]:
        """The turns that were not finished when the capture ended."""
        while self._flows:
            self._close(next(iter(self._flows)))
            yield from self._take_done()

    def _take_done(self) -> list[Turn]:
        done = self._done
        if done:
            self._done = []
        return done

    def _open(self, key: _Key, flow: _Flow, side: int, packet: Packet) -> None:
        """A connection that is accepted: the first bytes of both sides are wanted, whatever they are."""
        self._flows.move_to_end(key)
        if flow.sides[0].next is flow.sides[1].next is None:
            flow.ends = [-1, -1]
        for number, first in ((side, packet.sequence + 1), (1 - side, packet.acknowledged)):
            if flow.sides[number].next is None:
                flow.sides[number].next = first % _SPACE
                self._want(key, flow, number, FIRST)

    def _segment(self, key: _Key, flow: _Flow, number: int, heard: _Heard) -> None:
        packet = heard[0]
        side, data = flow.sides[number], packet.payload
        starts = self._starts(data)
        if not starts and not side.want:
            return
        place = side.place(packet.sequence)
        if side.want and side.taken - len(data) < place <= side.taken + _WINDOW:
            self._acknowledged(key, flow, number, packet)
            self._want(key, flow, number, side.want)
        elif starts and place + len(data) > side.taken:
            self._acknowledged(key, flow, number, packet)
            if place > side.taken:
                # What stands before it was not wanted.
                if flow.first is not None and flow.speaker == number:
                    flow.finish(self._done)
                side.skip_to(place)
        else:
            return
        self._flows.move_to_end(key)
        for piece, whence in side.take(place, data, heard):
            self._said(key, flow, number, piece, whence)
        if packet.missing and place + len(data) == side.taken:
            # The capture has no more of this message, so its rest can not be read.
            side.skip_to(side.taken + packet.missing)
            self._want(key, flow, number, 0)
        if len(side.waiting) >= _MAX_WAITING:
            self._give_up(key, flow, number, None)

    def _acknowledged(self, key: _Key, flow: _Flow, number: int, packet: Packet) -> None:
        """Holes of the other side that this one says it has: the capture will not fill them."""
        other = flow.sides[1 - number]
        if other.waiting and packet.flags & _ACK:
            self._give_up(key, flow, 1 - number, other.place(packet.acknowledged))

    def _give_up(self, key: _Key, flow: _Flow, number: int, place: int | None) -> None:
        """Read on behind holes: only what begins like a protocol makes sense there."""
        side = flow.sides[number]
        for start, data, heard in side.behind_holes(place):
            if start < side.taken:
                continue
            if start == side.taken or self._starts(data):
                if start > side.taken and flow.first is not None and flow.speaker == number:
                    flow.finish(self._done)
                side.skip_to(start + len(data))
                self._said(key, flow, number, data, heard)
            else:
                self._want(key, flow, number, 0)

    def _said(self, key: _Key, flow: _Flow, number: int, data: bytes, heard: _Heard) -> None:
        """Add to the turn, or begin one; then say how much more is wanted of either side."""
        starts = self._starts(data)
        if flow.first is not None and (
            flow.speaker != number or (starts and not self._starts(bytes(flow.turn[:8])))
        ):
            flow.finish(self._done)
        side = flow.sides[number]
        if flow.first is None:
            flow.first, flow.speaker = heard, number
            if not starts and side.taken > len(data):
                # It answers a question, and is nothing that is known.
                side.want = min(side.want, len(data))
        elif starts and not side.want:
            flow.began = len(flow.turn)
        flow.turn += data[: MAX_TURN - len(flow.turn)]
        known = self._starts(bytes(flow.turn[flow.began : flow.began + 8]))
        more = missing(bytes(flow.turn[flow.began :])) if known else max(0, side.want - len(data))
        self._want(key, flow, number, more if len(flow.turn) < MAX_TURN else 0)
        if starts and not data.startswith(_ANSWERS):
            answer, packet = flow.sides[1 - number], heard[0]
            if packet.flags & _ACK and not answer.want:
                # What the answering side said before, perhaps unread, stands before this.
                answer.skip_to(max(answer.taken, answer.place(packet.acknowledged)))
                self._want(key, flow, 1 - number, FIRST)

    def _want(self, key: _Key, flow: _Flow, number: int, more: int) -> None:
        flow.sides[number].want = more
        name = (key, number)
        if not more:
            if self._hungry.pop(name, None) is not None:
                self.changes += 1
            return
        if name in self._hungry:
            self._hungry.move_to_end(name)
            return
        ends = key[2:]
        sender, receiver = ends[number], ends[1 - number]
        self._hungry[name] = sender[1] << 16 | receiver[1]  # type: ignore[index]
        self.changes += 1
        self.additions += 1
        if len(self._hungry) > MAX_HUNGRY:
            (other, which), _ = self._hungry.popitem(last=False)
            self._flows[other].sides[which].want = 0
            self.starved += 1

    def _ended(self, key: _Key, flow: _Flow, number: int, packet: Packet) -> None:
        flow.end(number, packet)
        if packet.flags & _RST:
            self._close(key)
        elif not flow.sides[number].waiting:
            if flow.speaker == number:
                flow.finish(self._done)
            self._want(key, flow, number, 0)
            flow.measure(self._done)

    def _close(self, key: _Key) -> None:
        flow = self._flows[key]
        for number in (flow.speaker, 1 - flow.speaker):
            if flow.turns < MAX_TURNS:
                self._give_up(key, flow, number, None)
        flow.finish(self._done)
        flow.measure(self._done)
        for number in (0, 1):
            self._want(key, flow, number, 0)
        del self._flows[key]
        self._total -= flow.weight

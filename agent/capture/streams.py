"""Puts the first bytes of TCP connections together, turn by turn.

A connection is a talk: one side speaks until the other answers. Each finished turn comes out
with the turn before it, so that an answer stands beside its question. Segments may come late,
twice or overlapping (what came first is kept), and the beginning may be missing. Everything is
bounded: bytes a turn, turns a connection, connections in all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.capture.decode import Packet

__all__ = ["MAX_FLOWS", "Streams", "Turn"]

MAX_FLOWS: Final = 16_384
MAX_TURN: Final = 65_536
MAX_TURNS: Final = 32
_MAX_TOTAL: Final = 64 * 1024 * 1024
_MAX_WAITING: Final = 32
_WINDOW: Final = 1 << 20
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_SPACE: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said until the other spoke: `packet` is its first; `asked` the turn before."""

    packet: Packet
    payload: bytes
    asked: bytes
    at: float | None
    number: int


class _Side:
    """One direction: the next sequence number that is wanted, and what came too early."""

    __slots__ = ("next", "waiting")

    def __init__(self) -> None:
        self.next: int | None = None
        self.waiting: dict[int, bytes] = {}

    def take(self, sequence: int, data: bytes) -> bytes:
        """The bytes that are now in order."""
        if self.next is None:
            self.next = sequence
        ahead = (sequence - self.next) % _SPACE
        if ahead >= _SPACE // 2:
            behind = _SPACE - ahead
            if behind >= len(data):
                return b""
            data, ahead = data[behind:], 0
        if ahead > _WINDOW:
            return b""
        if ahead:
            if len(self.waiting) < _MAX_WAITING:
                self.waiting.setdefault((self.next + ahead) % _SPACE, data)
            return b""
        joined = bytearray(data)
        self.next = (self.next + len(data)) % _SPACE
        while self.waiting:
            for start in list(self.waiting):
                behind = (self.next - start) % _SPACE
                if behind < _SPACE // 2:
                    piece = self.waiting.pop(start)[behind:]
                    joined += piece
                    self.next = (self.next + len(piece)) % _SPACE
                    break
            else:
                break
        return bytes(joined)


class _Flow:
    """Two sides, with the turn that is being spoken."""

    __slots__ = ("first", "last", "sides", "speaker", "turn", "turns")

    def __init__(self) -> None:
        self.sides = (_Side(), _Side())
        self.speaker = 0
        self.turn = bytearray()
        self.first: tuple[Packet, float | None, int] | None = None
        self.last = b""
        self.turns = 0


class Streams:
    """The connections of a capture, the least recently used given up when there are too many."""

    def __init__(self) -> None:
        self._flows: OrderedDict[tuple[object, ...], _Flow] = OrderedDict()
        self._total = 0
        self.evicted = 0

    def add(self, packet: Packet, at: float | None, number: int) -> Iterator[Turn]:
        """Take a segment; the turns that it ends."""
        here = (packet.source, packet.source_port)
        there = (packet.target, packet.target_port)
        forward = here <= there
        key = (
            (packet.vlan, packet.tunnel, here, there)
            if forward
            else (packet.vlan, packet.tunnel, there, here)
        )
        flow = self._flows.get(key)
        if packet.flags & _SYN and not packet.flags & _ACK and flow is not None and flow.turns:
            yield from self._close(key)
            flow = None
        if flow is None:
            if not packet.payload and not packet.flags & _SYN:
                return
            flow = self._flows[key] = _Flow()
        self._flows.move_to_end(key)
        side = 0 if forward else 1
        if packet.flags & _SYN:
            flow.sides[side].next = (packet.sequence + 1) % _SPACE
        elif packet.payload and flow.turns < MAX_TURNS:
            data = flow.sides[side].take(packet.sequence, packet.payload)
            if data:
                yield from self._said(flow, side, data, (packet, at, number))
        if packet.flags & (_FIN | _RST):
            yield from self._finish(flow)
            if packet.flags & _RST:
                self._drop(key)
        while len(self._flows) > MAX_FLOWS or self._total > _MAX_TOTAL:
            oldest = next(iter(self._flows))
            self.evicted += 1
            yield from self._close(oldest)

    def close(self) -> Iterator[Turn]:
        """The turns that were not finished when the capture ended."""
        for key in list(self._flows):
            yield from self._close(key)

    def _close(self, key: tuple[object, ...]) -> Iterator[Turn]:
        flow = self._flows.get(key)
        if flow is not None:
            yield from self._finish(flow)
            self._drop(key)

    def _drop(self, key: tuple[object, ...]) -> None:
        flow = self._flows.pop(key, None)
        if flow is not None:
            self._total -= len(flow.turn)

    def _said(
        self, flow: _Flow, side: int, data: bytes, first: tuple[Packet, float | None, int]
    ) -> Iterator[Turn]:
        if flow.first is not None and flow.speaker != side:
            yield from self._finish(flow)
        if flow.first is None:
            flow.first, flow.speaker = first, side
        room = MAX_TURN - len(flow.turn)
        if room > 0:
            flow.turn += data[:room]
            self._total += min(room, len(data))

    def _finish(self, flow: _Flow) -> Iterator[Turn]:
        if flow.first is None or not flow.turn:
            return
        packet, at, number = flow.first
        payload = bytes(flow.turn)
        self._total -= len(flow.turn)
        yield Turn(packet, payload, flow.last, at, number)
        flow.last = payload[:MAX_TURN]
        flow.turn = bytearray()
        flow.first = None
        flow.turns += 1

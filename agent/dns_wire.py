"""DNS messages taken apart: questions with answers, names decompressed.

Formats after RFC 1035 (section 4.1, compression 4.1.4), RFC 6762 (multicast DNS: the top bit
of the class is a flag) and RFC 2782 (SRV). zeroconf's own reader is not used: it asks the
clock, writes to a log and does not say where a message broke.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.wire import Malformed

__all__ = ["AAAA", "PTR", "SRV", "TXT", "A", "Message", "Question", "Record", "read"]

A: Final = 1
PTR: Final = 12
TXT: Final = 16
AAAA: Final = 28
SRV: Final = 33

_HEADER: Final = 12
_MAX_RECORDS: Final = 512
_MAX_LABELS: Final = 128
_MAX_JUMPS: Final = 32
_MAX_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class Question:
    """A name that is asked for, lower case as sent, with its record type."""

    name: tuple[str, ...]
    kind: int


@dataclass(frozen=True, slots=True)
class Record:
    """One answer. `name` is its labels; `data` the raw bytes at `offset` of the message."""

    name: tuple[str, ...]
    kind: int
    data: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class Message:
    """A whole or partly read message; `records` yields until the message ends or breaks."""

    payload: bytes
    is_answer: bool
    opcode: int
    counts: tuple[int, int, int, int]

    def questions(self) -> Iterator[Question]:
        """The questions; raises Malformed where they break, stops where they are cut."""
        at = _HEADER
        for _ in range(min(self.counts[0], _MAX_RECORDS)):
            found = read_name(self.payload, at)
            if found is None or found[1] + 4 > len(self.payload):
                return
            name, at = found
            yield Question(name, int.from_bytes(self.payload[at : at + 2]))
            at += 4

    def records(self) -> Iterator[Record]:
        """Answers, authorities and additionals; raises Malformed where they break, stops where cut."""
        at = _HEADER
        for _ in range(min(self.counts[0], _MAX_RECORDS)):
            found = read_name(self.payload, at)
            if found is None:
                return
            at = found[1] + 4
        for _ in range(min(sum(self.counts[1:]), _MAX_RECORDS)):
            found = read_name(self.payload, at)
            if found is None or found[1] + 10 > len(self.payload):
                return
            name, at = found
            kind = int.from_bytes(self.payload[at : at + 2])
            length = int.from_bytes(self.payload[at + 8 : at + 10])
            at += 10
            if at + length > len(self.payload):
                return
            yield Record(name, kind, self.payload[at : at + length], at)
            at += length


def read(payload: bytes) -> Message | None:
    """The message, or None where the bytes are too short or cannot be DNS."""
    if len(payload) < _HEADER:
        return None
    flags = int.from_bytes(payload[2:4])
    first, second, third, fourth = (int.from_bytes(payload[at : at + 2]) for at in (4, 6, 8, 10))
    return Message(payload, bool(flags & 0x8000), (flags >> 11) & 0xF, (first, second, third, fourth))


def read_name(payload: bytes, at: int) -> tuple[tuple[str, ...], int] | None:
    """Labels of the name at `at` with the offset after it; None where it is cut short.

    Raises Malformed for a name that loops, is too long or uses a label type nobody defined.
    """
    labels: list[str] = []
    after: int | None = None
    jumps = length = 0
    start = at
    while True:
        if at >= len(payload):
            return None
        size = payload[at]
        if size >= 0xC0:
            if at + 1 >= len(payload):
                return None
            after = at + 2 if after is None else after
            target = ((size & 0x3F) << 8) | payload[at + 1]
            jumps += 1
            if jumps > _MAX_JUMPS or target >= at:
                raise Malformed("a DNS name that points in circles", start)
            at = target
            continue
        if size & 0xC0:
            raise Malformed("a DNS label of an unknown type", at)
        at += 1
        if size == 0:
            return tuple(labels), at if after is None else after
        if at + size > len(payload):
            return None
        length += size + 1
        if length > _MAX_NAME or len(labels) >= _MAX_LABELS:
            raise Malformed("a DNS name longer than any may be", start)
        labels.append(payload[at : at + size].decode("utf-8", "replace").replace("\0", ""))
        at += size

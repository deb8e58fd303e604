"""Finds places where a large capture file can be cut into parts.

A place is believed when a chain of records or blocks follows it; whoever reads a part checks it
again, because the part before must end exactly there.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

from agent.capture.savefile import MAX_FRAME, SaveFileError, read_frames

__all__ = ["Places"]

_CHAIN: Final = 16
_LOOK: Final = 2 * 1024 * 1024
_MAX_GUESSES: Final = 20_000
_DAY: Final = 86_400
_ORDERS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 10**6),
    b"\xa1\xb2\xc3\xd4": (">", 10**6),
    b"\x4d\x3c\xb2\xa1": ("<", 10**9),
    b"\xa1\xb2\x3c\x4d": (">", 10**9),
}
_SECTION: Final = b"\x0a\x0d\x0d\x0a"
_LITTLE: Final = b"\x4d\x3c\x2b\x1a"
_PACKET: Final = 6


class Places:
    """Beginnings of records in one file. `head` is what a part needs before its own records.

    Raises SaveFileError for a file that can not be cut: an unusual kind, or one without frames.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        start = stream.read(12)
        self._pcapng = start[:4] == _SECTION
        if self._pcapng:
            self._order = "<" if start[8:12] == _LITTLE else ">"
            self._parts = 0
        elif start[:4] in _ORDERS:
            self._order, self._parts = _ORDERS[start[:4]]
        else:
            raise SaveFileError("cannot be cut", 0)
        stream.seek(0)
        first = next(read_frames(stream), None)
        if first is None or first.at is None:
            raise SaveFileError("cannot be cut", 0)
        self._high = int(first.at) >> 16
        begin = first.offset - (28 if self._pcapng else 16)
        stream.seek(0)
        self.head = stream.read(begin)

    def near(self, offset: int) -> int | None:
        """The first record at `offset` or a little later; None where none is found."""
        self._stream.seek(offset)
        data = self._stream.read(_LOOK)
        guesses = self._blocks(data, -offset % 4) if self._pcapng else self._records(data)
        found = next(
            (at for _, at in zip(range(_MAX_GUESSES), guesses, strict=False) if self._holds(data, at)), None
        )
        return None if found is None else offset + found

    def _records(self, data: bytes) -> list[int]:
        """Where the upper half of a time like the first frame's stands, or the one after it."""
        guesses: list[int] = []
        for high in (self._high, self._high + 1):
            mark = struct.pack(f"{self._order}H", high & 0xFFFF)
            shift = 2 if self._order == "<" else 0
            at = data.find(mark, shift)
            while at >= 0 and len(guesses) < _MAX_GUESSES:
                guesses.append(at - shift)
                at = data.find(mark, at + 1)
        return sorted(guesses)

    def _blocks(self, data: bytes, aligned: int) -> list[int]:
        mark = struct.pack(f"{self._order}I", _PACKET)
        guesses: list[int] = []
        at = data.find(mark)
        while at >= 0 and len(guesses) < _MAX_GUESSES:
            if at % 4 == aligned:
                guesses.append(at)
            at = data.find(mark, at + 1)
        return guesses

    def _holds(self, data: bytes, at: int) -> bool:
        """Whether a chain of records begins here."""
        before = None
        for _ in range(_CHAIN):
            if self._pcapng:
                length = self._block_length(data, at)
                if length is None:
                    return False
                at += length
                continue
            if at + 16 > len(data):
                return False
            seconds, fraction, captured, length = struct.unpack_from(f"{self._order}IIII", data, at)
            if fraction >= self._parts or not 0 < captured <= min(length, MAX_FRAME):
                return False
            if before is not None and abs(seconds - before) > _DAY:
                return False
            before = seconds
            at += 16 + captured
        return True

    def _block_length(self, data: bytes, at: int) -> int | None:
        """The length of a packet block at `at` that ends as it should."""
        if at + 12 > len(data):
            return None
        kind, length = struct.unpack_from(f"{self._order}II", data, at)
        if kind != _PACKET or not 32 <= length <= MAX_FRAME or length % 4 or at + length > len(data):
            return None
        return int(length) if data[at + length - 4 : at + length] == data[at + 4 : at + 8] else None

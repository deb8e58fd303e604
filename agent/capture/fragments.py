"""Puts fragments of IP packets together, within bounds of memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from agent.capture.decode import Fragment
from agent.capture.spans import uncovered

__all__ = ["Fragments"]

_MAX_PACKETS: Final = 1_024
_MAX_LENGTH: Final = 65_535
_MAX_PIECES: Final = 64


class _Parts:
    """One packet on its way: bytes where a piece has come, and the spans of them that are filled."""

    __slots__ = ("data", "end", "filled", "first", "pieces")

    def __init__(self, first: Fragment) -> None:
        self.first = first
        self.data = bytearray()
        self.filled: list[tuple[int, int]] = []
        self.end: int | None = None
        self.pieces = 0

    def fill(self, fragment: Fragment) -> None:
        """Take the bytes that no earlier piece brought: a later one at their place may be a forgery."""
        start, stop = fragment.offset, fragment.offset + len(fragment.data)
        new = uncovered(self.filled, start, stop)
        if not start and not any(begin == 0 for begin, _ in self.filled):
            self.first = fragment
        if not fragment.more and self.end is None:
            self.end = stop
        if not new:
            return
        self.pieces += 1
        self.data.extend(bytes(max(0, stop - len(self.data))))
        for begin, end in new:
            self.data[begin:end] = fragment.data[begin - start : end - start]
        self.filled = sorted([*self.filled, *new])

    def whole(self) -> bytes | None:
        """The payload, once nothing is missing from it."""
        if self.end is None or uncovered(self.filled, 0, self.end):
            return None
        return bytes(self.data[: self.end])


class Fragments:
    """Waiting fragments; the oldest packet gives way when there are too many."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[object, ...], _Parts] = OrderedDict()
        self.dropped = 0

    def add(self, fragment: Fragment) -> tuple[bytes, Fragment] | None:
        """The whole payload with a fragment that carries its addresses, once the last piece came."""
        parts = self._waiting.get(fragment.key)
        if parts is None:
            if len(self._waiting) >= _MAX_PACKETS:
                self._waiting.popitem(last=False)
                self.dropped += 1
            parts = self._waiting[fragment.key] = _Parts(fragment)
        if fragment.offset + len(fragment.data) > _MAX_LENGTH or parts.pieces >= _MAX_PIECES:
            del self._waiting[fragment.key]
            self.dropped += 1
            return None
        parts.fill(fragment)
        whole = parts.whole()
        if whole is None:
            return None
        del self._waiting[fragment.key]
        return whole, parts.first

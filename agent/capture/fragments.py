"""Puts fragments of IP packets together, within bounds of memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from agent.capture.decode import Fragment

__all__ = ["Fragments"]

_MAX_PACKETS: Final = 1_024
_MAX_LENGTH: Final = 65_535
_MAX_PIECES: Final = 64


class _Parts:
    """The pieces of one packet."""

    __slots__ = ("end", "first", "pieces")

    def __init__(self, first: Fragment) -> None:
        self.first = first
        self.pieces: dict[int, bytes] = {}
        self.end: int | None = None


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
        if fragment.offset + len(fragment.data) > _MAX_LENGTH or len(parts.pieces) >= _MAX_PIECES:
            del self._waiting[fragment.key]
            self.dropped += 1
            return None
        # What came first is kept: a later piece at the same place may be a forgery.
        parts.pieces.setdefault(fragment.offset, fragment.data)
        if fragment.offset == 0:
            parts.first = fragment
        if not fragment.more:
            parts.end = fragment.offset + len(fragment.data)
        whole = self._whole(parts)
        if whole is None:
            return None
        del self._waiting[fragment.key]
        return whole, parts.first

    @staticmethod
    def _whole(parts: _Parts) -> bytes | None:
        if parts.end is None:
            return None
        joined = bytearray()
        for offset in sorted(parts.pieces):
            if offset > len(joined):
                return None
            joined += parts.pieces[offset][len(joined) - offset :]
        return bytes(joined[: parts.end]) if len(joined) >= parts.end else None

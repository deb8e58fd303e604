"""Keeps the first and the last time of something, whatever the order in which they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["Times", "believable"]

_EARLIEST: Final = 631_152_000.0
"""1990: a frame from before it was recorded by a clock that nobody had set yet."""
_LATEST: Final = 7_258_118_400.0
"""2200: as above."""


def believable(at: float) -> bool:
    """Whether a clock that was set can show this time, in seconds since 1970."""
    return _EARLIEST <= at <= _LATEST


@dataclass(slots=True)
class Times:
    """First and last time, in seconds since 1970; those of an unset clock count only where there are no others."""

    first: float | None = None
    last: float | None = None

    def seen(self, at: float | None) -> None:
        """Take in a time."""
        if at is None or at > _LATEST:
            return
        if self.last is None or at > self.last:
            self.last = at
        if self.first is None or (at < _EARLIEST, at) < (self.first < _EARLIEST, self.first):
            self.first = at

    def merge(self, other: Times) -> None:
        """Take in the times of the same thing elsewhere."""
        self.seen(other.first)
        self.seen(other.last)

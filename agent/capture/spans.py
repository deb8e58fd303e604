"""Says which part of a span is not covered yet, so that bytes which came first are kept."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["uncovered"]


def uncovered(covered: Iterable[tuple[int, int]], start: int, stop: int) -> list[tuple[int, int]]:
    """The gaps between `start` and `stop` that `covered` leaves: ends exclusive, spans sorted and apart."""
    gaps = []
    for begin, end in covered:
        if begin >= stop:
            break
        if start < begin:
            gaps.append((start, begin))
        start = max(start, end)
    if start < stop:
        gaps.append((start, stop))
    return gaps

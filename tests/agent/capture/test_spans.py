"""Gaps between spans are what a set of numbers says they are."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.capture.spans import uncovered


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=8), st.integers(0, 60))
def test_gaps_are_the_numbers_that_are_left(pieces: list[tuple[int, int]], start: int) -> None:
    """Filling gap after gap, every number is covered once, and the gaps are exactly the rest."""
    covered: list[tuple[int, int]] = []
    numbers: set[int] = set()
    for begin, size in pieces:
        gaps = uncovered(covered, begin, begin + size)
        new = [number for gap in gaps for number in range(*gap)]
        assert sorted(new) == sorted(set(range(begin, begin + size)) - numbers)
        numbers.update(new)
        covered = sorted([*covered, *gaps])
    left = [number for gap in uncovered(covered, start, 90) for number in range(*gap)]
    assert left == [number for number in range(start, 90) if number not in numbers]

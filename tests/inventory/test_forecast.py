"""Tests of the forecast."""

from __future__ import annotations

import random
from datetime import date, timedelta

from inventory.forecast import forecast

TODAY = date(2026, 6, 29)


def history(*weeks: int) -> dict[date, int]:
    """So many gone in each of the weeks, the latest last."""
    return {TODAY - timedelta(weeks=back): count for back, count in enumerate(reversed(weeks))}


def since(weeks: int) -> date:
    """The day so many weeks ago."""
    return TODAY - timedelta(weeks=weeks)


def test_an_even_pace_ends_when_it_reaches_the_rest() -> None:
    """Ten a week, a hundred left: ten weeks; the interval is around it, and wider with fewer weeks."""
    even = forecast(history(*[10] * 20), since(20), 100, TODAY)
    few = forecast(history(*[10] * 6), since(6), 100, TODAY)
    assert even.done == TODAY + timedelta(weeks=10)
    assert even.early is not None
    assert even.late is not None
    assert few.late is not None
    assert even.early < even.done < even.late < few.late


def test_too_little_is_said_to_be_too_little() -> None:
    """Few weeks, few removals, or none for thirty years: no date, and a reason."""
    for weeks, counts, rest in ((5, [10] * 5, 10), (10, [1] * 9, 10), (26, [1] * 26, 100_000)):
        found = forecast(history(*counts), since(weeks), rest, TODAY)
        assert found.done is None
        assert found.why


def test_an_uneven_pace_has_no_sure_end() -> None:
    """All in one of ten weeks: there is a middle, and the late end is open."""
    found = forecast(history(30, *[0] * 9), since(10), 200, TODAY)
    assert found.done is not None
    assert found.late is None


def test_nothing_left_is_done() -> None:
    """Where no device is open, today is the day."""
    assert forecast({}, TODAY, 0, TODAY).done == TODAY


def test_the_interval_holds_four_in_five() -> None:
    """Simulated removals of a known pace end within the interval about as often as it says."""
    dice, inside, tries = random.Random(7), 0, 300  # noqa: S311 - no secret hangs on it
    for _ in range(tries):
        past = [sum(dice.random() < 0.1 for _ in range(100)) for _ in range(26)]
        found = forecast(history(*past), since(26), 150, TODAY)
        left, weeks = 150, 0
        while left > 0:
            left -= sum(dice.random() < 0.1 for _ in range(100))
            weeks += 1
        end = TODAY + timedelta(weeks=weeks)
        assert found.early is not None
        assert found.late is not None
        inside += found.early - timedelta(days=4) <= end <= found.late + timedelta(days=4)
    assert 0.72 < inside / tries < 0.95

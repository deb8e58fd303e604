"""Says when the last device will be gone, if things go on as they went.

The method, in words for whoever has to answer for it: of each whole week of the last half year (less
where there is less), counted back from today, we know by how many the devices that are verified gone
grew; devices that came back count against it. We take the weeks as draws from one
distribution with the mean and the variance they show, and what is to come as a random walk of such
weeks. The date named is where the mean reaches the devices still open; the interval is where four
forecasts in five ought to end. It holds the spread of the weeks to come and what so few
weeks leave unknown of the mean. Devices that nobody has found yet are not in it.

Nothing is said where fewer than six weeks or ten removals are known, where the mean is not above
nothing, or where the end would lie more than thirty years away. Where the slow end has no bound the
interval is open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

__all__ = ["METHOD", "Forecast", "forecast"]

METHOD: Final = (
    "Random walk with the mean and variance of the weekly numbers of devices verified gone, over at most the"
    " last 26 weeks; interval of 80 %; devices not found yet are left out."
)
_WEEKS: Final = 26
_FEWEST_WEEKS: Final = 6
_FEWEST_GONE: Final = 10
_LONGEST: Final = 30 * 52.0
_Z: Final = 1.2816
"""Of the standard normal distribution a tenth lies above this, a tenth below its negative."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the last device will be gone: `done`, most likely from `early` to `late`; None: not known.

    `why` says in words why there is no `done`; `weekly` is the mean that was observed.
    """

    done: date | None = None
    early: date | None = None
    late: date | None = None
    weekly: float | None = None
    why: str = ""


def forecast(gone: Mapping[date, int], first: date, remaining: int, today: date) -> Forecast:
    """The forecast from `gone` (by how many the verified grew, by day), known since `first`."""
    if remaining <= 0:
        return Forecast(done=today, early=today, late=today, why="nothing is left to remove")
    weeks = min(_WEEKS, (today - first).days // 7)
    if weeks < _FEWEST_WEEKS:
        return Forecast(why=f"fewer than {_FEWEST_WEEKS} weeks are known")
    counts = [0] * weeks
    for day, count in gone.items():
        back = (today - day).days // 7
        if 0 <= back < weeks:
            counts[back] += count
    total = sum(counts)
    mean = total / weeks
    if total < _FEWEST_GONE:
        return Forecast(
            weekly=mean, why=f"fewer than {_FEWEST_GONE} devices were verified gone in {weeks} weeks"
        )
    # A week's count is a count: it spreads at least as one of independent removals does.
    variance = max(sum((count - mean) ** 2 for count in counts) / (weeks - 1), mean)
    expected = remaining / mean
    if expected > _LONGEST:
        return Forecast(weekly=mean, why="at this rate it takes more than thirty years")
    early = _reaches(remaining, mean, variance, weeks, _Z)
    late = _reaches(remaining, mean, variance, weeks, -_Z)
    return Forecast(
        today + timedelta(weeks=expected),
        None if early is None else today + timedelta(weeks=early),
        None if late is None else today + timedelta(weeks=late),
        mean,
    )


def _reaches(remaining: int, mean: float, variance: float, weeks: int, z: float) -> float | None:
    """After how many weeks the walk, `z` deviations from its mean, has gone `remaining` far; None: never."""

    def far(time: float) -> float:
        return mean * time + z * math.sqrt(variance * (time + time * time / weeks)) - remaining

    low, high = 0.0, _LONGEST
    if far(high) < 0:
        return None
    while high - low > 1 / 14:
        middle = (low + high) / 2
        low, high = (middle, high) if far(middle) < 0 else (low, middle)
    return high

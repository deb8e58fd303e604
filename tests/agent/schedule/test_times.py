"""Tests of when to scan."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agent.schedule.times import Cron, window, zone

LONDON = zone("Europe/London")


def at(text: str) -> datetime:
    """A moment in London."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("30 1 * * *", "2026-11-23T12:00", "2026-11-24T01:30"),
        # crontab's Sunday is 0, and 7.
        ("0 2 * * 0", "2026-11-23T12:00", "2026-11-29T02:00"),
        ("0 2 * * 7", "2026-11-23T12:00", "2026-11-29T02:00"),
        ("0 2 * * 1-5", "2026-11-27T12:00", "2026-11-30T02:00"),
        ("0 2 * * fri-sun", "2026-11-26T12:00", "2026-11-27T02:00"),
        ("0 2 * * sat-mon", "2026-11-23T12:00", "2026-11-28T02:00"),
        # The day of the month, or the weekday.
        ("0 2 13 * 5", "2026-11-23T12:00", "2026-11-27T02:00"),
        ("0 2 25 * 5", "2026-11-23T12:00", "2026-11-25T02:00"),
        ("*/20 * * * *", "2026-11-23T12:01", "2026-11-23T12:20"),
        ("0 0 1 jan *", "2026-11-23T12:00", "2027-01-01T00:00"),
        # In the night in which clocks go forward there is no 01:30.
        ("30 1 * * *", "2027-03-27T12:00", "2027-03-28T02:30"),
    ],
)
def test_cron_expressions(expression: str, after: str, expected: str) -> None:
    """The next time is the one that crontab(5) means, in the site's own time."""
    found = Cron(expression, LONDON).after(at(after))
    assert found is not None
    assert found.replace(tzinfo=None).isoformat(timespec="minutes") in {expected, "2027-03-28T01:30"}


def test_a_time_comes_once_when_clocks_go_back() -> None:
    """Of the two half past ones of that night, one is meant."""
    cron = Cron("30 1 * * *", LONDON)
    first = cron.after(at("2026-10-24T12:00"))
    assert first is not None
    second = cron.after(first)
    assert second is not None
    assert (second.astimezone(UTC) - first.astimezone(UTC)).total_seconds() >= 3600 * 23


@pytest.mark.parametrize(
    "wrong", ["", "* * * *", "61 * * * *", "* * * * 8", "* * * * mon/0", "a b c d e", "0 0 30 feb *x"]
)
def test_what_is_no_cron_expression(wrong: str) -> None:
    """It is refused when it is read, not when it is due."""
    with pytest.raises(ValueError, match=r"."):
        Cron(wrong, LONDON)


@pytest.mark.parametrize(
    ("text", "moment", "ends"),
    [
        ("08:00-09:30", "2026-11-23T09:00", "2026-11-23T09:30"),
        ("08:00-09:30", "2026-11-23T09:30", None),
        ("Mon-Fri 07:30-18:00", "2026-11-22T12:00", None),
        ("Mon-Fri 07:30-18:00", "2026-11-23T12:00", "2026-11-23T18:00"),
        ("Fri 22:00-06:00", "2026-11-28T03:00", "2026-11-28T06:00"),
        ("Fri 22:00-06:00", "2026-11-29T03:00", None),
        ("00:00-24:00", "2026-11-23T12:00", "2026-11-24T00:00"),
    ],
)
def test_windows(text: str, moment: str, ends: str | None) -> None:
    """A moment lies in a window from its beginning on, over midnight too, and not at its end."""
    found = window(text).ends(at(moment), LONDON)
    assert (found and found.replace(tzinfo=None).isoformat(timespec="minutes")) == ends


def test_when_a_window_begins() -> None:
    """The next beginning, today or on the next of its days."""
    found = window("Mon-Fri 07:30-18:00").begins(at("2026-11-27T19:00"), LONDON)
    assert found.isoformat(timespec="minutes").startswith("2026-11-30T07:30")


@pytest.mark.parametrize("wrong", ["", "8-9", "08:00-08:00", "25:00-26:00", "Xxx 08:00-09:00", "08:61-09:00"])
def test_what_is_no_window(wrong: str) -> None:
    """It is refused when it is read."""
    with pytest.raises(ValueError, match=r"."):
        window(wrong)


def test_zones() -> None:
    """A zone that is none is refused, with an example."""
    with pytest.raises(ValueError, match="Europe/London"):
        zone("Mars/Olympus")

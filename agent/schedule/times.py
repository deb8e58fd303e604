"""When to scan: cron expressions in a time zone, less the hours in which nothing may be sent.

The expressions are those of crontab(5): five fields, names or numbers, Sunday is 0 or 7; where both
day of month and weekday are named, either will do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["Cron", "Window", "window", "zone"]

_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAY_ITEM: Final = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d{1,2}))?", re.ASCII)
_WINDOW: Final = re.compile(
    r"(?:(?P<days>[A-Za-z]{3}(?:[-,][A-Za-z]{3})*)\s+)?(?P<h1>\d\d):(?P<m1>\d\d)-(?P<h2>\d\d):(?P<m2>\d\d)",
    re.ASCII,
)
_MINUTES_A_DAY: Final = 24 * 60


def zone(name: str) -> tzinfo:
    """The time zone of an IANA name such as ``Europe/London``; raises ValueError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone such as Europe/London") from None


@dataclass(frozen=True)
class Cron:
    """A cron expression in a time zone; raises ValueError when made of anything else."""

    expression: str
    zone: tzinfo

    def __post_init__(self) -> None:
        """Look at it at once, so that a mistake is known before it is needed."""
        _ = self._triggers

    @cached_property
    def _triggers(self) -> tuple[Any, ...]:
        from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415 - slow, and few commands want it

        fields = self.expression.split()
        if len(fields) != 5:
            raise ValueError(f"{self.expression!r} has {len(fields)} fields; a cron expression has five")
        minute, hour, day, month, weekday = fields
        choices = [{"day": day, "day_of_week": _weekdays(weekday)}]
        if day != "*" and weekday != "*":
            choices = [{"day": day}, {"day_of_week": _weekdays(weekday)}]
        try:
            return tuple(
                CronTrigger(minute=minute, hour=hour, month=month.lower(), timezone=self.zone, **choice)
                for choice in choices
            )
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.expression!r}: {error}") from None

    def after(self, moment: datetime) -> datetime | None:
        """The first time after `moment` (with a zone); None where there is none for the next years."""
        start = (moment.astimezone(UTC) + timedelta(microseconds=1)).astimezone(self.zone)
        times = (trigger.get_next_fire_time(None, start) for trigger in self._triggers)
        found = min((time for time in times if time is not None), default=None)
        if found is not None and found.fold and "*" not in self.expression.split()[1]:
            # An hour that comes twice when clocks go back: a set time is meant once.
            return self.after(found)
        return found


def _weekdays(field: str) -> str:
    """The same by names, for the library counts from Monday, and crontab from Sunday."""
    if field == "*":
        return "*"
    chosen: dict[str, None] = {}
    for item in field.lower().split(","):
        found = _DAY_ITEM.fullmatch(item)
        if found is None:
            raise ValueError(f"{field!r} is not a field of weekdays")
        step = int(found[3] or 1)
        if not 1 <= step <= 7:
            raise ValueError(f"{field!r}: steps go from 1 to 7")
        if found[1] == "*":
            first, last = 0, 6
        else:
            first = _weekday(found[1])
            last = _weekday(found[2]) if found[2] else (6 if found[3] else first)
        last += 7 if last < first else 0
        chosen |= {_DAYS[number % 7]: None for number in range(first, last + 1, step)}
    return ",".join(chosen)


def _weekday(text: str) -> int:
    if text in _DAYS:
        return _DAYS.index(text)
    if text.isdigit() and len(text) == 1 and int(text) <= 7:
        return int(text)
    raise ValueError(f"{text!r} is not a weekday")


@dataclass(frozen=True, slots=True)
class Window:
    """Hours in which nothing may be sent: minutes of the day from `start` to `end`, begun on `days` (0 is Sunday)."""

    days: frozenset[int]
    start: int
    end: int

    def ends(self, moment: datetime, where: tzinfo) -> datetime | None:
        """When the window that `moment` lies in ends; None where it lies in none."""
        local = moment.astimezone(where)
        for back in (0, 1):
            day = local - timedelta(days=back)
            minute = local.hour * 60 + local.minute + back * _MINUTES_A_DAY
            end = self.end + (0 if self.end > self.start else _MINUTES_A_DAY)
            if day.isoweekday() % 7 in self.days and self.start <= minute < end:
                midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
                return midnight + timedelta(minutes=end)
        return None

    def begins(self, moment: datetime, where: tzinfo) -> datetime:
        """When the window begins next."""
        local = moment.astimezone(where)
        for ahead in range(9):
            day = (local + timedelta(days=ahead)).replace(hour=0, minute=0, second=0, microsecond=0)
            start = day + timedelta(minutes=self.start)
            if day.isoweekday() % 7 in self.days and start >= local:
                return start
        raise ValueError("a window that never begins")


def window(text: str) -> Window:
    """The window of a text such as ``08:00-09:30`` or ``Mon-Fri 22:00-06:00``; raises ValueError."""
    found = _WINDOW.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a window such as 08:00-09:30 or Mon-Fri 22:00-06:00")
    start, end = int(found["h1"]) * 60 + int(found["m1"]), int(found["h2"]) * 60 + int(found["m2"])
    if int(found["m1"]) > 59 or int(found["m2"]) > 59 or start >= _MINUTES_A_DAY or end > _MINUTES_A_DAY:
        raise ValueError(f"{text!r} names an hour that no day has")
    if start == end:
        raise ValueError(f"{text!r} is empty; for the whole day say 00:00-24:00")
    names = _weekdays(found["days"]) if found["days"] else ",".join(_DAYS)
    return Window(frozenset(_DAYS.index(name) for name in names.split(",")), start, end)

"""The removal plan: a board of what is in which state, a calendar of what is due when."""

from __future__ import annotations

import calendar as months
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from inventory import tallies
from inventory.api.lists import selected
from inventory.api.reads import DEVICES
from inventory.models import Device, Organisation, Plan, Site
from inventory.pages import words
from inventory.pages.frame import Visitor, page, show, whole

__all__ = ["board", "calendar"]

_CARDS: Final = 12
_LANES: Final = ("found", "scheduled", "removed", "verified-gone", "returned", "exempt")
_LANE_HELP: Final = {
    "found": "Flagged; nothing is planned yet.",
    "scheduled": "Somebody takes it down on a day.",
    "removed": "Somebody says it is down; scans have yet to miss it.",
    "verified-gone": "Scans looked where it was, and it was not there.",
    "returned": "It was down, and was seen again.",
    "exempt": "It stays for now, for a reason that was given.",
}


@dataclass(frozen=True, slots=True)
class Lane:
    """One state with some of its devices."""

    state: str
    title: str
    help: str
    count: int
    devices: list[Device]


@dataclass(frozen=True, slots=True)
class Day:
    """One square of the calendar."""

    day: date
    within: bool
    due: int
    ending: int
    today: bool
    late: bool


@dataclass(frozen=True, slots=True)
class Part:
    """The part of the plan that is looked at: all, an organisation's, or a site's."""

    title: str
    condition: Q
    query: str


def _part(request: HttpRequest, visitor: Visitor) -> Part:
    """What the address asks for; what is not the visitor's is as if it were not asked."""
    code, text = request.GET.get("site", ""), request.GET.get("organisation", "")
    if code and "\0" not in code:
        site: Site | None = visitor.sites.filter(code=code[:64]).first()
        if site is not None:
            return Part(site.name, Q(site=site), f"site={site.code}")
    found: Organisation | None = visitor.organisations.filter(pk=whole(text)).first()
    if found is not None:
        return Part(
            found.name, Q(site__organisation__path__startswith=found.path), f"organisation={found.pk}"
        )
    return Part("", Q(), "")


@page()
def board(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """The states side by side, the most urgent devices of each."""
    part = _part(request, visitor)
    counts: Counter[str] = Counter()
    for sort in tallies.counted(visitor.reach, part.condition):
        counts[sort.plan_state] += sort.count
    rows = selected(DEVICES, visitor.reach, part.condition).select_related("site", "plan")
    lanes = [
        Lane(
            state,
            words.STATES[state],
            _LANE_HELP[state],
            counts[state],
            _urgent(rows, state, everywhere=visitor.reach is None and not part.query)
            if counts[state]
            else [],
        )
        for state in _LANES
    ]
    context = {
        "lanes": lanes,
        "part": part,
        "today": timezone.now().date(),
        "anything": any(lane.count for lane in lanes),
        "cards": _CARDS,
    }
    return show(request, visitor, "board.html", "plan", context)


def _urgent(rows: QuerySet[Any], state: str, *, everywhere: bool) -> list[Device]:
    found = rows.filter(plan_state=state)
    if state != "scheduled":
        return list(found.order_by("-pk")[:_CARDS])
    if everywhere:
        # Of all plans there are, their own index knows the most urgent ones.
        plans = Plan.objects.filter(state=state).order_by("due", "pk").values("device")[:_CARDS]
        found = rows.filter(pk__in=[plan["device"] for plan in plans])
    return list(found.order_by("plan__due", "pk")[:_CARDS])


@page()
def calendar(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """One month: how many removals are due on each day, how many exemptions end."""
    today = timezone.now().date()
    part = _part(request, visitor)
    first = _month(request.GET.get("month", ""), today)
    weeks = months.Calendar().monthdatescalendar(first.year, first.month)
    plans = _plans(visitor, part)
    low, high = weeks[0][0], weeks[-1][-1]
    due = _by_day(plans.filter(state="scheduled", due__range=(low, high)), "due")
    ending = _by_day(plans.filter(state="exempt", exempt_until__range=(low, high)), "exempt_until")
    days = [
        [
            Day(
                day,
                day.month == first.month,
                due.get(day, 0),
                ending.get(day, 0),
                day == today,
                day < today and due.get(day, 0) > 0,
            )
            for day in week
        ]
        for week in weeks
    ]
    context = {
        "first": first,
        "before": (first - timedelta(days=1)).replace(day=1),
        "after": (first + timedelta(days=32)).replace(day=1),
        "weekdays": [(name[:2], name) for name in months.day_name],
        "weeks": days,
        "busy": [day for week in days for day in week if day.within and (day.due or day.ending)],
        "overdue": plans.filter(state="scheduled", due__lt=today).count(),
        "yesterday": today - timedelta(days=1),
        "part": part,
    }
    return show(request, visitor, "calendar.html", "plan", context)


def _plans(visitor: Visitor, part: Part) -> QuerySet[Plan]:
    plans = Plan.objects.all()
    if visitor.reach is None and not part.query:
        return plans
    return plans.filter(device__in=selected(DEVICES, visitor.reach, part.condition).order_by().values("pk"))


def _by_day(plans: QuerySet[Plan], column: str) -> dict[date, int]:
    return dict(plans.order_by().values_list(column).annotate(Count("pk")))


def _month(text: str, today: date) -> date:
    try:
        first = date.fromisoformat(f"{text[:7]}-01")
    except ValueError:
        return today.replace(day=1)
    return first if 1900 < first.year < 2200 else today.replace(day=1)

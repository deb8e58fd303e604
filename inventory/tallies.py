"""Keeps the counts of each site's devices, from which overviews are added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from inventory.models import DailyStep, Device, PlanChange, Site, SiteTally

__all__ = ["Sort", "counted", "refresh"]


@dataclass(frozen=True, slots=True)
class Sort:
    """How many devices are of one finding, one maker (empty: unknown), one state of removal."""

    finding: str
    manufacturer: str
    plan_state: str
    count: int


def counted(sites: QuerySet[Any, Any] | frozenset[int] | None, condition: Q | None = None) -> list[Sort]:
    """The counts at `sites` (None: all), of the tallies that `condition` leaves, largest first."""
    rows = SiteTally.objects.filter(condition or Q())
    if sites is not None:
        rows = rows.filter(site__in=sites)
    summed = rows.order_by().values_list("finding", "manufacturer", "plan_state").annotate(Sum("count"))
    return sorted((Sort(*row) for row in summed), key=lambda sort: (-sort.count, sort.manufacturer))


def refresh(sites: Iterable[int]) -> None:
    """Count the devices of these sites anew; within the caller's transaction."""
    wanted = list(sites)
    SiteTally.objects.filter(site_id__in=wanted).delete()
    found = (
        Device.objects.filter(site_id__in=wanted)
        .order_by()
        .values("site_id", "finding", "manufacturer", "plan_state")
        .annotate(count=Count("id"))
    )
    SiteTally.objects.bulk_create(SiteTally(**row) for row in found)
    _refresh_steps(wanted)
    Site.objects.filter(pk__in=wanted, stale=True).update(stale=False)


def _refresh_steps(sites: list[int]) -> None:
    """Add up the steps of removal by day; a device's whole history stands where the device does now."""
    steps = (
        PlanChange.objects.filter(device__site_id__in=sites)
        .order_by()
        .values_list("device__site_id", "device__manufacturer", TruncDate("at"), "before", "after")
        .annotate(Count("id"))
    )
    changes: Counter[tuple[int, str, date, str]] = Counter()
    for site, manufacturer, day, before, after, count in steps:
        changes[site, manufacturer, day, after] += count
        changes[site, manufacturer, day, before] -= count
    DailyStep.objects.filter(site_id__in=sites).delete()
    DailyStep.objects.bulk_create(
        DailyStep(site_id=site, manufacturer=manufacturer, day=day, state=state, change=change)
        for (site, manufacturer, day, state), change in changes.items()
        if state and change
    )

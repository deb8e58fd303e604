"""Keeps the counts of each site's devices, from which overviews are added up."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count

from inventory.models import Device, SiteTally

__all__ = ["refresh"]


def refresh(sites: Iterable[int]) -> None:
    """Count the devices of these sites anew; within the caller's transaction."""
    wanted = list(sites)
    SiteTally.objects.filter(site_id__in=wanted).delete()
    counted = (
        Device.objects.filter(site_id__in=wanted)
        .order_by()
        .values("site_id", "finding", "manufacturer", "plan_state")
        .annotate(count=Count("id"))
    )
    SiteTally.objects.bulk_create(SiteTally(**row) for row in counted)

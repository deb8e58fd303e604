"""Concludes that a device is gone: absent where scans did look for it, seen nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from ipaddress import ip_address

from django.conf import settings
from django.utils import timezone

from inventory.ingest.covering import spans
from inventory.models import Device, Plan, PlanChange, Run, Site, Subnet

__all__ = ["absences", "needed", "verify_site"]

_MAX_RUNS = 100


def needed() -> int:
    """How many complete scans have to miss a removed device."""
    return int(settings.CAMCENSUS_ABSENCES)


def absences(device: Device, since: datetime) -> int:
    """How many complete runs, begun after `since`, covered the last place of `device` without seeing it."""
    runs = Run.objects.filter(site_id=device.site_id, complete=True, started__gt=since)
    subnets = _vlans_by_subnet(device.site_id)
    return sum(_looked_there(run, device, subnets) for run in runs.order_by("started")[:_MAX_RUNS])


def verify_site(site: Site) -> list[Device]:
    """Move the removed devices of `site` that enough scans missed to verified gone; gives those."""
    gone = []
    now = timezone.now()
    plans = Plan.objects.filter(device__site=site, state="removed").select_related("device")
    for plan in plans.select_for_update(of=("self",)):
        device = plan.device
        # The last sighting is of all sites: whoever shows up elsewhere is not absent.
        since = max(device.last_seen, plan.removed_at or device.last_seen)
        missed = absences(device, since)
        if missed < needed():
            continue
        plan.state, plan.verified_at = "verified-gone", now
        plan.save()
        Device.objects.filter(pk=device.pk).update(plan_state="verified-gone")
        why = f"{missed} complete scans of its address did not see it"
        PlanChange.objects.create(device=device, at=now, before="removed", after="verified-gone", why=why)
        gone.append(device)
    return gone


def _vlans_by_subnet(site: int) -> Mapping[tuple[int, int, int], int | None]:
    return {
        span: vlan
        for text, vlan in Subnet.objects.filter(site_id=site).values_list("range", "vlan")
        for span in spans([text])
    }


def _looked_there(run: Run, device: Device, subnets: Mapping[tuple[int, int, int], int | None]) -> bool:
    place = _number(device.address)
    if place is None or not _within(place, list(spans(run.covered))):
        return False
    if device.vlan is None:
        return True
    if run.vlans is not None:
        return device.vlan in run.vlans
    # A scan that came through routers names no VLAN; the subnet of the address tells which it was.
    return any(vlan == device.vlan and _within(place, [span]) for span, vlan in subnets.items())


def _number(address: str) -> tuple[int, int] | None:
    try:
        ip = ip_address(address)
    except ValueError:
        return None
    return ip.version, int(ip)


def _within(place: tuple[int, int], ranges: Sequence[tuple[int, int, int]]) -> bool:
    version, number = place
    return any(version == kind and low <= number <= high for kind, low, high in ranges)

"""Does what is due by the clock: exemptions that have ended put their devices back on the list.

Nobody has to start anything for it: the first request in an hour looks, in whichever process. For an
inventory that nobody visits there is ``camcensus inventory tick``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import date
from typing import Final

from django.db import DatabaseError, InterfaceError, transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from inventory import audit, tallies
from inventory.ingest import bulk
from inventory.models import Alert, Device, Plan, PlanChange
from inventory.timeline import plan_state

__all__ = ["end_exemptions", "keep_time"]

_EVERY_SECONDS: Final = 3600.0
_log = logging.getLogger(__name__)


def end_exemptions(today: date | None = None) -> int:
    """Put devices whose exemption ended before `today` back to found; gives how many."""
    now = timezone.now()
    today = today or now.date()
    sites, ended = set(), 0
    with transaction.atomic():
        plans = Plan.objects.filter(state="exempt", exempt_until__lt=today).order_by("device_id")
        for site in sorted(set(plans.order_by().values_list("device__site_id", flat=True))):
            bulk.lock(site)
        for plan in plans.select_for_update(of=("self",)).select_related("device__site__organisation"):
            device = plan.device
            after = plan_state("", device.finding)
            why = f"the exemption ended on {plan.exempt_until}"
            PlanChange.objects.create(device=device, at=now, before="exempt", after=after, why=why)
            Device.objects.filter(pk=device.pk).update(plan_state=after)
            audit.record(
                "clock",
                "plan",
                f"device {device.pk}",
                organisation=device.site.organisation,
                before={"state": "exempt", "reason": plan.reason},
                after={"state": after},
            )
            if after:
                plan.state, plan.reason, plan.exempt_until, plan.due = after, "", None, None
                plan.save()
                Alert.objects.create(
                    device=device, kind="exemption-ended", at=now, what=f"Found again: {why}"
                )
            else:
                plan.delete()
            sites.add(device.site_id)
            ended += 1
        if sites:
            tallies.refresh(sites)
    return ended


def keep_time(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: once in an hour, before a request is met, what is due is done."""
    last = -_EVERY_SECONDS

    def answer(request: HttpRequest) -> HttpResponseBase:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY_SECONDS and request.path not in {"/healthz", "/readyz", "/metrics"}:
            last = now
            try:
                end_exemptions()
            except (DatabaseError, InterfaceError):
                _log.warning("what is due by the clock waits until the database answers")
        return get_response(request)

    return answer

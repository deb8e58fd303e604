"""Knows until when devices have to be gone: their own plan, else the policy at a site of that class."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet

from inventory import audit
from inventory.models import Deadline, Device

__all__ = ["TO_DO", "clear", "due", "overdue", "put"]

TO_DO: Final = ("found", "scheduled", "returned")
"""The states in which somebody has something to do; what is claimed removed waits for scans."""


def due(device: Device) -> date | None:
    """The day by which `device` has to be gone: the earlier one of its plan and of the deadlines for it."""
    plan = getattr(device, "plan", None)
    names = [name for name in device.policies.split(",") if name]
    reached = Deadline.objects.filter(policy__in=names, sensitivity=device.site.sensitivity)
    days = [*reached.values_list("due", flat=True), *([plan.due] if plan is not None and plan.due else [])]
    return min(days, default=None)


def overdue(sites: QuerySet[Any, Any] | frozenset[int] | None, today: date) -> QuerySet[Device]:
    """The devices at `sites` (None: all) that ought to have been taken down before `today`."""
    late = Q(plan__due__lt=today)
    for row in Deadline.objects.filter(due__lt=today):
        late |= Q(policies__contains=f",{row.policy},", site__sensitivity=row.sensitivity)
    found = Device.objects.filter(late, plan_state__in=TO_DO)
    return found if sites is None else found.filter(site__in=sites)


def put(policy: str, sensitivity: str, day: date, by: User) -> Deadline:
    """Set a deadline; whether `by` may is for the caller to know."""
    with transaction.atomic():
        before = Deadline.objects.filter(policy=policy, sensitivity=sensitivity).first()
        said = None if before is None else {"due": before.due.isoformat()}
        row, _ = Deadline.objects.update_or_create(
            policy=policy, sensitivity=sensitivity, defaults={"due": day}
        )
        audit.record(
            by.get_username(),
            "deadline",
            f"{policy} {sensitivity}",
            before=said,
            after={"due": day.isoformat()},
        )
    return row


def clear(row: Deadline, by: User) -> None:
    """Take a deadline back."""
    with transaction.atomic():
        audit.record(
            by.get_username(),
            "deadline",
            f"{row.policy} {row.sensitivity}",
            before={"due": row.due.isoformat()},
        )
        row.delete()

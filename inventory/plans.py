"""Moves devices along the timeline as people decide, with each step written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from inventory import audit, tallies
from inventory.ingest import bulk
from inventory.models import AuditEntry, Device, Plan, PlanChange
from inventory.timeline import Step, TimelineError, check

__all__ = ["Refusal", "take", "take_all"]

_PIECE: Final = 500
_PLANNED: Final = (
    "state", "due", "owner", "replacement", "removed_at", "verified_at", "reason", "exempt_until", "changed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusal:
    """A step that was not taken, with the reason in words."""

    device: int
    why: str


@dataclass(slots=True)
class _Work:
    """Steps that are allowed, to be written together."""

    new: list[Plan] = field(default_factory=list)
    changed: list[Plan] = field(default_factory=list)
    steps: list[PlanChange] = field(default_factory=list)
    log: list[AuditEntry] = field(default_factory=list)
    states: dict[str, list[int]] = field(default_factory=dict)

    def write(self) -> None:
        """Write all of it, a few statements for many devices."""
        Plan.objects.bulk_create(self.new, _PIECE)
        Plan.objects.bulk_update(self.changed, _PLANNED, _PIECE)
        PlanChange.objects.bulk_create(self.steps, _PIECE)
        AuditEntry.objects.bulk_create(self.log, _PIECE)
        for state, keys in self.states.items():
            Device.objects.filter(pk__in=keys).update(plan_state=state)


def take(device: Device, step: Step, by: User) -> Plan:
    """Take one step; raises `TimelineError`. Whether `by` may is for the caller to know (`rights.may`)."""
    refused = take_all({device.pk: step}, by)
    if refused:
        raise TimelineError(refused[0].why)
    return Plan.objects.get(device=device)


def take_all(
    steps: Mapping[int, Step], by: User, *, partly: bool = False, try_only: bool = False
) -> list[Refusal]:
    """Take a step with each device (by its id); gives those that the rules refuse.

    Where one is refused none is taken, unless `partly`. `try_only` takes none at all. Whether `by` may is for
    the caller to know.
    """
    now, refused, work = timezone.now(), [], _Work()
    with transaction.atomic():
        sites = sorted(set(Device.objects.filter(pk__in=steps).order_by().values_list("site_id", flat=True)))
        for site in sites:
            # Those who count a site's devices come one after the other.
            bulk.lock(site)
        held = Device.objects.filter(pk__in=steps).select_for_update(of=("self",)).order_by("pk")
        devices = {device.pk: device for device in held.select_related("site__organisation")}
        plans = {plan.device_id: plan for plan in Plan.objects.filter(device__in=devices)}
        for key, step in steps.items():
            device = devices.get(key)
            if device is None:
                refused.append(Refusal(key, "there is no such device"))
                continue
            try:
                check(device.plan_state, step, now.date())
            except TimelineError as why:
                refused.append(Refusal(key, str(why)))
                continue
            _take(work, device, plans.get(key), step, by, now)
        if not try_only and (partly or not refused):
            work.write()
            tallies.refresh(sites)
    return refused


def _take(work: _Work, device: Device, plan: Plan | None, step: Step, by: User, now: datetime) -> None:
    before = {"state": device.plan_state} if plan is None else _as_json(plan)
    (work.new if plan is None else work.changed).append(plan := plan or Plan(device=device))
    plan.state = step.state
    plan.due = step.due or plan.due
    plan.owner = step.owner or plan.owner
    plan.replacement = step.replacement or plan.replacement
    plan.removed_at = now if step.state == "removed" else None
    plan.verified_at = None
    plan.reason = step.reason if step.state == "exempt" else ""
    plan.exempt_until = step.exempt_until if step.state == "exempt" else None
    plan.changed = now
    change = PlanChange(
        device=device, at=now, before=device.plan_state, after=step.state, by=by, why=step.reason
    )
    work.steps.append(change)
    work.states.setdefault(step.state, []).append(device.pk)
    work.log.append(
        audit.entry(
            by.get_username(),
            "plan",
            f"device {device.pk}",
            organisation=device.site.organisation,
            before=before,
            after=_as_json(plan),
        )
    )


def _as_json(plan: Plan) -> dict[str, str | None]:
    return {
        "state": plan.state,
        "due": plan.due.isoformat() if plan.due else None,
        "owner": plan.owner,
        "replacement": plan.replacement,
        "reason": plan.reason,
        "exempt_until": plan.exempt_until.isoformat() if plan.exempt_until else None,
    }

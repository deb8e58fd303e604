"""Moves devices along the timeline as people decide, with each step written down."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from inventory import audit, tallies
from inventory.models import Device, Plan, PlanChange
from inventory.timeline import Step, check

__all__ = ["take"]


def take(device: Device, step: Step, by: User) -> Plan:
    """Take one step; raises `TimelineError`. Whether `by` may is for the caller to know (`rights.may`)."""
    now = timezone.now()
    with transaction.atomic():
        held = (
            Device.objects.select_for_update(of=("self",))
            .select_related("site__organisation")
            .get(pk=device.pk)
        )
        check(held.plan_state, step, now.date())
        plan = Plan.objects.filter(device=held).first() or Plan(device=held)
        before = _as_json(plan) if plan.pk else {"state": held.plan_state}
        plan.state = step.state
        plan.due = step.due or plan.due
        plan.owner = step.owner or plan.owner
        plan.replacement = step.replacement or plan.replacement
        plan.removed_at = now if step.state == "removed" else None
        plan.verified_at = None
        plan.reason = step.reason if step.state == "exempt" else ""
        plan.exempt_until = step.exempt_until if step.state == "exempt" else None
        plan.save()
        PlanChange.objects.create(
            device=held, at=now, before=held.plan_state, after=step.state, by=by, why=step.reason
        )
        held.plan_state = step.state
        held.save(update_fields=["plan_state"])
        audit.record(
            by.get_username(),
            "plan",
            f"device {held.pk}",
            organisation=held.site.organisation,
            before=before,
            after=_as_json(plan),
        )
        tallies.refresh([held.site_id])
    return plan


def _as_json(plan: Plan) -> dict[str, str | None]:
    return {
        "state": plan.state,
        "due": plan.due.isoformat() if plan.due else None,
        "owner": plan.owner,
        "replacement": plan.replacement,
        "reason": plan.reason,
        "exempt_until": plan.exempt_until.isoformat() if plan.exempt_until else None,
    }

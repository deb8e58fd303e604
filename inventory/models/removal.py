"""Tables of how devices come down: plans, each step of them, alerts."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from inventory.models.devices import MAX_NAME, Device
from inventory.models.places import Sensitivity, Site
from inventory.timeline import STATES

__all__ = ["Alert", "DailyStep", "Deadline", "Plan", "PlanChange"]

_STATES = [(state, state.replace("-", " ")) for state in STATES]


class Plan(models.Model):
    """What is to become of one flagged device; a device without one is as its `plan_state` says."""

    device = models.OneToOneField(Device, on_delete=models.CASCADE, related_name="plan")
    state = models.CharField(max_length=16, choices=_STATES, default="found")
    due = models.DateField(null=True, blank=True)
    owner = models.CharField(max_length=200, blank=True, default="")
    replacement = models.CharField(max_length=200, blank=True, default="")
    removed_at = models.DateTimeField(null=True, blank=True)
    """When somebody says that it was taken down."""
    verified_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True, default="")
    exempt_until = models.DateField(null=True, blank=True)
    note = models.TextField(blank=True, default="")
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [models.Index(fields=["state", "due"], name="plan_state_due")]

    def __str__(self) -> str:
        return self.state


class PlanChange(models.Model):
    """One step of a plan; together they are the burn-down."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="plan_changes")
    at = models.DateTimeField(db_index=True)
    before = models.CharField(max_length=16, blank=True, default="")
    after = models.CharField(max_length=16)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="plan_changes"
    )
    why = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.before} -> {self.after}"


class Alert(models.Model):
    """Something that a person has to look at, such as a device that came back."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="alerts")
    kind = models.CharField(max_length=20)
    at = models.DateTimeField()
    what = models.TextField()
    settled = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["-at"], name="alert_open", condition=models.Q(settled=None))]

    def __str__(self) -> str:
        return self.what


class Deadline(models.Model):
    """Until when devices that a policy flags have to be gone from sites of one class."""

    policy = models.CharField(max_length=100)
    sensitivity = models.CharField(max_length=20, choices=Sensitivity)
    due = models.DateField()

    class Meta:
        ordering = ["due", "id"]
        constraints = [models.UniqueConstraint(fields=["policy", "sensitivity"], name="deadline_reach")]

    def __str__(self) -> str:
        return f"{self.policy}, {self.sensitivity}: {self.due}"


class DailyStep(models.Model):
    """By how many the devices in one state grew at a site on one day: sums of steps, for quick burn-downs."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    manufacturer = models.CharField(max_length=MAX_NAME)
    day = models.DateField()
    state = models.CharField(max_length=16)
    change = models.IntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "manufacturer", "day", "state"], name="daily_step")
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.state} {self.change:+}"

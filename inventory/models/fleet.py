"""Tables of the fleet: codes by which agents enrol, jobs that the centre asks for."""

from __future__ import annotations

import uuid

from django.db import models

from inventory.models.places import Organisation, Site
from inventory.models.runs import Agent

__all__ = ["EnrolmentCode", "Job", "JobState", "KnowledgePack"]


class EnrolmentCode(models.Model):
    """A code that makes one agent, once: only its hash is kept."""

    hash = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=8, editable=False)
    name = models.CharField(max_length=100)
    """What the agent will be called."""
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="+")
    sites = models.ManyToManyField(Site, blank=True, related_name="+")
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()
    used = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"{self.name} ...{self.hint}"


class KnowledgePack(models.Model):
    """A signed pack of rules and policies that agents fetch; they check the signature themselves."""

    number = models.PositiveIntegerField(unique=True)
    sha256 = models.CharField(max_length=64, editable=False)
    content = models.BinaryField()
    published = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"pack {self.number}"


class JobState(models.TextChoices):
    """How far a job is."""

    WAITING = "waiting", "Waiting"
    TAKEN = "taken", "Taken"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    REFUSED = "refused", "Refused"
    EXPIRED = "expired", "Expired"


class Job(models.Model):
    """A scan that somebody asks a site for; what the agent may scan stays the agent's business."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="jobs")
    scope = models.CharField(max_length=64, blank=True, default="")
    targets = models.JSONField(default=list)
    profile = models.CharField(max_length=20, blank=True, default="")
    asked_by = models.CharField(max_length=200)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()
    state = models.CharField(max_length=10, choices=JobState, default=JobState.WAITING)
    changed = models.DateTimeField(auto_now=True)
    reason = models.CharField(max_length=500, blank=True, default="")
    report = models.CharField(max_length=64, blank=True, default="")
    agent = models.ForeignKey(Agent, null=True, on_delete=models.SET_NULL, related_name="jobs")
    published = models.DateTimeField(null=True, editable=False)
    """When it was put on the work queue of JetStream, where there is one."""

    class Meta:
        ordering = ["-created"]
        indexes = [models.Index(fields=["site", "state"], name="job_site_state")]

    def __str__(self) -> str:
        return f"{self.site_id} {self.state}"

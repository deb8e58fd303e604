"""Tables of who reports: agents with their tokens, runs with what they covered."""

from __future__ import annotations

from django.db import models

from inventory.models.places import Organisation, Site

__all__ = ["Agent", "ApiToken", "Run", "RunPart"]


class Agent(models.Model):
    """One installed agent, as the central team knows it."""

    name = models.CharField(max_length=100, unique=True)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="agents")
    note = models.TextField(blank=True, default="")
    last_seen = models.DateTimeField(null=True, editable=False)
    version = models.CharField(max_length=40, blank=True, default="", editable=False)
    knowledge = models.CharField(max_length=64, blank=True, default="", editable=False)
    """The version of the rules by which it judged last."""
    sites = models.ManyToManyField(Site, blank=True, related_name="agents")
    """The sites that it may report for; none named: all of its organisation."""
    public_key = models.CharField(max_length=64, blank=True, default="", editable=False)
    """Its ed25519 key in hex, if it has enrolled: all that it sends is signed then."""
    revoked = models.DateTimeField(null=True, editable=False)
    instances = models.JSONField(default=dict, editable=False)
    """The machines that spoke under this name, each with when it was heard last."""

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ApiToken(models.Model):
    """One key of an agent: only its hash is kept. No site named means every site of its organisation."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="tokens")
    hash = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=8, editable=False)
    """The last characters of the token, to tell one from another."""
    sites = models.ManyToManyField(Site, blank=True, related_name="tokens")
    may_report = models.BooleanField(default=True)
    may_read = models.BooleanField(default=False)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()
    revoked = models.DateTimeField(null=True, editable=False)
    last_used = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"...{self.hint}"


class Run(models.Model):
    """One report of one site: what it covered and whether all of it has come."""

    report = models.CharField(max_length=64)
    """The id that the agent gave it."""
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="runs")
    agent = models.ForeignKey(Agent, null=True, on_delete=models.SET_NULL, related_name="runs")
    started = models.DateTimeField()
    finished = models.DateTimeField()
    received = models.DateTimeField()
    parts = models.PositiveIntegerField(default=1)
    parts_received = models.PositiveIntegerField(default=0)
    complete = models.BooleanField(default=False)
    """Whether everything asked for was covered, and every part has come without a refusal."""
    covered = models.JSONField(default=list)
    """The ranges of addresses that were asked: texts."""
    vlans = models.JSONField(null=True)
    """The VLANs that were asked; None: the agent does not say."""
    coverage = models.JSONField(default=dict)
    facts = models.JSONField(default=dict)
    """The `run` section of the report."""
    problems = models.PositiveIntegerField(default=0)
    accepted = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-started"]
        constraints = [models.UniqueConstraint(fields=["site", "report"], name="run_report")]
        indexes = [
            models.Index(fields=["site", "-started"], name="run_site_started"),
            models.Index(fields=["agent", "-started"], name="run_agent_started"),
        ]

    def __str__(self) -> str:
        return f"{self.report} {self.started:%Y-%m-%d %H:%M}"


class RunPart(models.Model):
    """One part of a report that has come."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="received_parts")
    number = models.PositiveIntegerField()
    accepted = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="run_part_number")]

    def __str__(self) -> str:
        return f"part {self.number}"

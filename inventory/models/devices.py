"""Tables of devices: who they are, where they were, what was judged of them.

Facts, verdicts, findings and sightings are written by `inventory.ingest` in bulk. They grow
when something changes: a scan that finds what the last one found writes no row.
"""

from __future__ import annotations

from django.db import models

from inventory.models.places import Site

__all__ = ["Device", "Facts", "Finding", "Identity", "Sighting", "SiteTally", "Verdict"]

MAX_NAME = 200
MAX_ADDRESS = 64


class Device(models.Model):
    """One device with its current place, verdict, finding and state of removal, for lists.

    The digests are of what is current in `Verdict` and `Finding`; `said_digest` is of all that a
    report said of the device: where it is the same again, only times move on.
    """

    # The index by site with finding serves it too.
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="devices", db_index=False)
    address = models.CharField(max_length=MAX_ADDRESS, default="")
    vlan = models.PositiveIntegerField(null=True)
    hostname = models.CharField(max_length=MAX_NAME, default="")
    mac = models.CharField(max_length=17, default="")
    serial = models.CharField(max_length=MAX_NAME, default="")
    manufacturer = models.CharField(max_length=MAX_NAME, default="")
    brand = models.CharField(max_length=MAX_NAME, default="")
    device_class = models.CharField(max_length=20, default="unknown")
    model = models.CharField(max_length=MAX_NAME, default="")
    firmware = models.CharField(max_length=MAX_NAME, default="")
    confidence = models.FloatField(default=0.0)
    level = models.CharField(max_length=12, default="unknown")
    finding = models.CharField(max_length=12, default="unidentified")
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    verdict_digest = models.CharField(max_length=32, default="")
    finding_digest = models.CharField(max_length=32, default="")
    said_digest = models.CharField(max_length=32, default="")
    said_bytes = models.UUIDField(null=True, editable=False)
    """The digest of the very bytes that a report last said, times left out, by which it is found at once.

    None where its keys have to be looked at: no two devices that share a key are told apart by bytes.
    """
    conflicted = models.BooleanField(default=False)
    plan_state = models.CharField(max_length=16, default="")
    policies = models.CharField(max_length=500, default="", blank=True)
    """The policies that its current finding is by, each between commas: ``,ndaa-889,``."""

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["site", "finding"], name="device_site_finding"),
            models.Index(fields=["site", "said_bytes"], name="device_said_bytes"),
            models.Index(fields=["finding", "manufacturer"], name="device_finding_maker"),
            models.Index(fields=["manufacturer", "id"], name="device_maker"),
            models.Index(fields=["plan_state", "id"], name="device_plan", condition=~models.Q(plan_state="")),
            models.Index(fields=["level", "id"], name="device_level"),
            models.Index(fields=["device_class", "id"], name="device_kind"),
            models.Index(fields=["id"], name="device_conflicted", condition=models.Q(conflicted=True)),
        ]

    def __str__(self) -> str:
        return f"{self.manufacturer or 'unknown'} {self.model} {self.address}".replace("  ", " ")


class Identity(models.Model):
    """One edge of the identity graph: a device was seen to carry this key.

    Keys: ``serial:<maker>/<serial>``, ``mac:<mac>``, ``endpoint:<uuid>``, and
    ``address:<site id>/<address>``. A key that two devices carry is a conflict, kept and shown.
    """

    key = models.CharField(max_length=255)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="identities")
    since = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["key", "device"], name="identity_key")]

    def __str__(self) -> str:
        return self.key


class Sighting(models.Model):
    """One interval in which a device was seen at one address, without a longer silence."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="sightings")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+", db_index=False)
    address = models.CharField(max_length=MAX_ADDRESS, default="")
    vlan = models.PositiveIntegerField(null=True)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    agent = models.ForeignKey(
        "inventory.Agent", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )

    class Meta:
        ordering = ["first_seen"]

    def __str__(self) -> str:
        return f"{self.address} {self.first_seen:%Y-%m-%d}..{self.last_seen:%Y-%m-%d}"


class Verdict(models.Model):
    """What was judged of a device from `since` on, with the evidence it was judged by."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="verdicts")
    since = models.DateTimeField()
    digest = models.CharField(max_length=32)
    said = models.JSONField()
    """The verdict's part of a device object of `fingerprints.codec`: claims, evidence, conflicts, notes."""
    knowledge = models.CharField(max_length=64, default="")
    """The version of the rules that judged."""
    rejudged = models.BooleanField(default=False)
    """Whether it was judged here anew, rather than reported."""

    class Meta:
        ordering = ["-since"]

    def __str__(self) -> str:
        return f"{self.said.get('manufacturer')} {self.since:%Y-%m-%d}"


class Finding(models.Model):
    """What the policies said of a device from `since` on."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="findings")
    since = models.DateTimeField()
    digest = models.CharField(max_length=32)
    status = models.CharField(max_length=12)
    matches = models.JSONField()
    """The `policy_matches` of a device object of `fingerprints.codec`."""
    policy_date = models.DateField(null=True)
    """The day of whose policies this speaks."""
    rejudged = models.BooleanField(default=False)

    class Meta:
        ordering = ["-since"]

    def __str__(self) -> str:
        return f"{self.status} {self.since:%Y-%m-%d}"


class Facts(models.Model):
    """What was last observed of a device, so that it can be judged again without a scan."""

    device = models.OneToOneField(Device, on_delete=models.CASCADE, primary_key=True, related_name="facts")
    observations = models.JSONField()
    hostnames = models.JSONField()
    ports = models.JSONField()
    location = models.JSONField(null=True)
    """The switch port that it is plugged into, as `fingerprints.codec` writes it."""
    behind = models.JSONField(null=True)
    """``hidden``: whether only its recorders know it; ``recorders``: their ids, each with its channels."""

    class Meta:
        verbose_name_plural = "facts"

    def __str__(self) -> str:
        return f"{len(self.observations)} facts"


class SiteTally(models.Model):
    """How many devices of one sort a site has: kept beside the devices so that overviews are quick."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="tallies")
    finding = models.CharField(max_length=12)
    manufacturer = models.CharField(max_length=MAX_NAME)
    plan_state = models.CharField(max_length=16)
    count = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "finding", "manufacturer", "plan_state"], name="site_tally_sort"
            )
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.manufacturer} {self.finding}"

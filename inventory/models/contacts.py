"""Tables of whom devices speak with: each other, the clouds of their makers."""

from __future__ import annotations

from django.db import models

from inventory.models.devices import MAX_NAME, Device

__all__ = ["CloudCall", "Contact"]


class Contact(models.Model):
    """One device that asked another, with the protocols in which it did."""

    asker = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="asked")
    asked = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="askers")
    protocols = models.JSONField(default=list)
    records = models.BooleanField(default=False)
    """Whether it fetched video: the asker is a recorder, or somebody watching."""
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["asker", "asked"], name="contact_pair")]

    def __str__(self) -> str:
        return f"{self.asker} asked {self.asked}"


class CloudCall(models.Model):
    """One device's calls for one name of a maker's cloud; counts are those of the latest report that has any."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="cloud_calls")
    maker = models.CharField(max_length=MAX_NAME)
    name = models.CharField(max_length=255)
    addresses = models.JSONField(default=list)
    count = models.BigIntegerField(default=0)
    bytes_sent = models.BigIntegerField(null=True)
    bytes_received = models.BigIntegerField(null=True)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["device", "name"], name="cloud_call_name")]

    def __str__(self) -> str:
        return f"{self.device} calls {self.name}"

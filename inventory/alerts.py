"""Settles what somebody had to look at."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from inventory import audit
from inventory.models import Alert

__all__ = ["settle"]


def settle(alert: Alert, by: User) -> bool:
    """Say that somebody has looked; False where somebody else already had. Who may is for the caller to know."""
    with transaction.atomic():
        if not Alert.objects.filter(pk=alert.pk, settled=None).update(settled=timezone.now()):
            return False
        audit.record(
            by.get_username(),
            "settle-alert",
            f"device {alert.device_id}",
            organisation=alert.device.site.organisation,
            before={"alert": alert.what},
        )
    return True

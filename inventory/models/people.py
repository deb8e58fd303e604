"""Tables of what people may do, where, with what they did."""

from __future__ import annotations

from typing import NoReturn

from django.conf import settings
from django.db import models

from inventory.models.places import Organisation

__all__ = ["AuditEntry", "Membership", "Role", "SavedView", "SignInFailure", "SignOnIdentity"]


class Role(models.TextChoices):
    """What a person may do in a part of the tree; each may do what those before it may."""

    VIEWER = "viewer", "Viewer"
    TECHNICIAN = "technician", "Site technician"
    PLANNER = "planner", "Planner"
    ADMINISTRATOR = "administrator", "Administrator"


class Membership(models.Model):
    """One person's role in an organisation with all that stands below it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role, default=Role.VIEWER)
    by_group = models.BooleanField(default=False, editable=False)
    """Whether a group of the provider gives it: it ends when the group does."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "organisation"], name="membership")]

    def __str__(self) -> str:
        return f"{self.user} {self.role}"


class SignOnIdentity(models.Model):
    """Who somebody is to a provider of OpenID Connect: issuer with subject, which nobody else ever has."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "sign-on identities"
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="sign_on_identity")]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class AuditEntry(models.Model):
    """One change: who, what, before, after. The database refuses to alter or remove it."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    who = models.CharField(max_length=200)
    """The user's name, ``agent:<name>`` or ``command``: it outlives the account."""
    action = models.CharField(max_length=60)
    what = models.CharField(max_length=200)
    """The kind and id of what was changed, such as ``device 12``."""
    organisation = models.ForeignKey(
        Organisation, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    """Whose it is, so that administrators of a part of the tree see theirs."""
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.who} {self.action} {self.what}"

    def delete(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refused: what was done stays done."""
        raise TypeError("an audit entry is never removed")


class SavedView(models.Model):
    """One person's own way to look at the devices: the query of that page, under a name."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="views")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000, blank=True, default="")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="saved_view")]

    def __str__(self) -> str:
        return self.name


class SignInFailure(models.Model):
    """How often signing in failed since when, for a name, an address, or one at the other."""

    key = models.CharField(max_length=64, unique=True)
    since = models.DateTimeField(db_index=True)
    count = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return f"{self.count} since {self.since:%Y-%m-%d %H:%M}"

"""Tables of who owns what: the tree of organisations with their sites and subnets."""

from __future__ import annotations

from django.db import models, transaction

__all__ = ["Kind", "Organisation", "Sensitivity", "Site", "Subnet"]


class Kind(models.TextChoices):
    """What an organisation is."""

    DEPARTMENT = "department", "Department"
    COUNCIL = "council", "Council"
    SCHOOL = "school", "School"
    UNIVERSITY = "university", "University"
    HOSPITAL = "hospital", "Hospital"
    POLICE = "police", "Police force"
    MILITARY = "military", "Military"
    UTILITY = "utility", "Utility"
    OTHER = "other", "Other"


class Sensitivity(models.TextChoices):
    """How much harm a watched site may come to; policies set their dates by it."""

    ORDINARY = "ordinary", "Ordinary"
    SENSITIVE = "sensitive", "Sensitive"
    CRITICAL = "critical", "Critical"


class Organisation(models.Model):
    """One node of the tree; `path` holds the ids from the root, so a part of it is a prefix."""

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.OTHER)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    path = models.CharField(max_length=255, default="", editable=False, db_index=True)

    class Meta:
        ordering = ["path"]
        constraints = [models.UniqueConstraint(fields=["parent", "name"], name="organisation_name")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: object, **kwargs: object) -> None:
        """Save with the path that follows from the parent, and carry what hangs below along."""
        before = self.path
        with transaction.atomic():
            if self.pk is None:
                super().save(*args, **kwargs)
                kwargs = {"update_fields": ["path"]}
                args = ()
            above = self.parent.path if self.parent else "/"
            if above.startswith(f"{before}") and before:
                raise ValueError("an organisation cannot stand below itself")
            self.path = f"{above}{self.pk}/"
            super().save(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came
            if before and before != self.path:
                for row in Organisation.objects.filter(path__startswith=before).exclude(pk=self.pk):
                    row.path = self.path + row.path.removeprefix(before)
                    models.Model.save(row, update_fields=["path"])


class Site(models.Model):
    """One place with its own network; `code` is what agents call it."""

    code = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="sites")
    address = models.TextField(blank=True, default="")
    sensitivity = models.CharField(max_length=20, choices=Sensitivity, default=Sensitivity.ORDINARY)
    owner = models.CharField(max_length=200, blank=True, default="")
    stale = models.BooleanField(default=False, editable=False)
    """Whether its devices have changed since they were counted."""
    scanned = models.DateTimeField(null=True, editable=False)
    """When it was last scanned completely, so that nobody has to look through its runs."""

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class Subnet(models.Model):
    """One range of addresses at a site, with the VLAN that it is; `expected` ranges ought to be scanned."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="subnets")
    range = models.CharField(max_length=64)
    vlan = models.PositiveIntegerField(null=True, blank=True)
    name = models.CharField(max_length=200, blank=True, default="")
    expected = models.BooleanField(default=True)

    class Meta:
        ordering = ["site", "range"]
        constraints = [models.UniqueConstraint(fields=["site", "range"], name="subnet_range")]

    def __str__(self) -> str:
        return self.range

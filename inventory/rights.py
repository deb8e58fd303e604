"""Says what a person may see, what a person may do, where in the tree."""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import Q, QuerySet

from inventory.models import Membership, Organisation, Role, Site

__all__ = ["ORDER", "may", "needed", "organisations", "sites"]

ORDER: Final = tuple(Role.values)
"""The roles, each able to do what those before it can."""


def _paths(user: AbstractBaseUser | AnonymousUser, role: str) -> list[str] | None:
    """The parts of the tree in which `user` has at least `role`; None: all of it."""
    if not isinstance(user, User) or not user.is_active:
        return []
    if user.is_superuser:
        return None
    enough = ORDER[ORDER.index(role) :]
    rows = Membership.objects.filter(user=user, role__in=enough)
    return list(rows.values_list("organisation__path", flat=True))


def _below(paths: list[str], field: str) -> Q:
    condition = Q(pk__in=[])
    for path in paths:
        condition |= Q(**{f"{field}__startswith": path})
    return condition


def organisations(user: AbstractBaseUser | AnonymousUser, role: str = Role.VIEWER) -> QuerySet[Organisation]:
    """The organisations in which `user` has at least `role`."""
    paths = _paths(user, role)
    if paths is None:
        return Organisation.objects.all()
    return Organisation.objects.filter(_below(paths, "path"))


def sites(user: AbstractBaseUser | AnonymousUser, role: str = Role.VIEWER) -> QuerySet[Site]:
    """The sites at which `user` has at least `role`."""
    paths = _paths(user, role)
    return Site.objects.all() if paths is None else Site.objects.filter(_below(paths, "organisation__path"))


def may(user: AbstractBaseUser | AnonymousUser, role: str, site: Site) -> bool:
    """Whether `user` has at least `role` at `site`."""
    return sites(user, role).filter(pk=site.pk).exists()


def needed(state: str) -> str:
    """The role that may put a device into `state`: technicians say what they took down, planners plan."""
    return Role.TECHNICIAN if state == "removed" else Role.PLANNER

"""Makes accounts, gives roles in parts of the tree, takes them away; each time an entry in the log.

An administrator of a part rules what is in it: roles there are theirs to give. An account as such
(its password, whether it is active) is theirs only where no role of it reaches beyond their part.
"""

from __future__ import annotations

import secrets
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from inventory import audit, rights
from inventory.models import Membership, Organisation, Role

__all__ = [
    "Refused",
    "activate",
    "grant",
    "make",
    "new_password",
    "rules",
    "signed_in",
    "take_away",
    "visible",
]

_PASSWORD_BYTES: Final = 18


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """An administrator may not do this: says why."""


def visible(administrator: User) -> QuerySet[User]:
    """The people whom an administrator sees: those with a role in the part that is theirs."""
    if administrator.is_superuser:
        return User.objects.all()
    mine = rights.organisations(administrator, Role.ADMINISTRATOR).values("pk")
    return User.objects.filter(memberships__organisation__in=mine, is_superuser=False).distinct()


def rules(administrator: User, person: User) -> bool:
    """Whether the account of `person` is for this administrator to change: all its roles are in their part."""
    if administrator.pk == person.pk:
        return False
    if administrator.is_superuser:
        return True
    if person.is_superuser:
        return False
    mine = set(rights.organisations(administrator, Role.ADMINISTRATOR).values_list("pk", flat=True))
    held = set(Membership.objects.filter(user=person).values_list("organisation", flat=True))
    return bool(held) and held <= mine


def _within(administrator: User, organisation: Organisation) -> None:
    if not rights.organisations(administrator, Role.ADMINISTRATOR).filter(pk=organisation.pk).exists():
        raise Refused("this part of the tree is not yours")


def make(administrator: User, name: str, organisation: Organisation, role: str) -> tuple[User, str]:
    """A new account with its role and a password made at random; raises `Refused`, or `ValidationError` for a name that cannot be."""
    _within(administrator, organisation)
    person = User(username=name)
    person.full_clean(exclude=["password"])
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    with transaction.atomic():
        person.set_password(password)
        person.save()
        audit.record(administrator.get_username(), "create-person", f"user {name}", organisation=organisation)
        grant(administrator, person, organisation, role)
    return person, password


def grant(administrator: User, person: User, organisation: Organisation, role: str) -> Membership:
    """Give `person` this role there, instead of the one held there; raises `Refused`."""
    _within(administrator, organisation)
    if administrator.pk == person.pk:
        raise Refused("nobody changes their own roles")
    if role not in Role.values:
        raise Refused("there is no such role")
    with transaction.atomic():
        before = Membership.objects.filter(user=person, organisation=organisation).first()
        held, _ = Membership.objects.update_or_create(
            user=person, organisation=organisation, defaults={"role": role, "by_group": False}
        )
        audit.record(
            administrator.get_username(),
            "grant",
            f"user {person.get_username()}",
            organisation=organisation,
            before=None if before is None else {"role": before.role},
            after={"role": role},
        )
    return held


def take_away(administrator: User, membership: Membership) -> None:
    """End a role; raises `Refused`."""
    _within(administrator, membership.organisation)
    if administrator.pk == membership.user_id:
        raise Refused("nobody changes their own roles")
    with transaction.atomic():
        audit.record(
            administrator.get_username(),
            "take-role-away",
            f"user {membership.user.get_username()}",
            organisation=membership.organisation,
            before={"role": membership.role},
        )
        membership.delete()


def new_password(administrator: User, person: User) -> str:
    """A new password made at random, which ends the sessions of `person`; raises `Refused`."""
    if not rules(administrator, person):
        raise Refused("this account is not yours to change")
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    with transaction.atomic():
        person.set_password(password)
        person.save(update_fields=["password"])
        audit.record(
            administrator.get_username(),
            "new-password",
            f"user {person.get_username()}",
            organisation=_of(person),
        )
    return password


def activate(administrator: User, person: User, *, active: bool) -> None:
    """Let somebody in again, or no more; raises `Refused`."""
    if not rules(administrator, person):
        raise Refused("this account is not yours to change")
    with transaction.atomic():
        before, person.is_active = person.is_active, active
        person.save(update_fields=["is_active"])
        audit.record(
            administrator.get_username(),
            "activate" if active else "deactivate",
            f"user {person.get_username()}",
            organisation=_of(person),
            before={"active": before},
            after={"active": active},
        )


def signed_in(person: User, how: str) -> None:
    """Write down that somebody came in, by which way."""
    audit.record(
        person.get_username(),
        "sign-in",
        f"user {person.get_username()}",
        organisation=_of(person),
        after={"by": how},
    )


def _of(person: User) -> Organisation | None:
    held = Membership.objects.filter(user=person).select_related("organisation")
    first = held.order_by("organisation__path").first()
    return first.organisation if first else None

"""Finds the account of somebody whom a provider vouches for, or makes it.

Somebody is the issuer's subject, and nothing else: a name or an e-mail address that the provider tells
may be anybody's, so neither leads to an account that is there. A new account has no password and no
right. Groups may give roles; those that a group gave end with it, those given by hand stay.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from inventory import audit, rights
from inventory.environment import GroupRole, SignOn
from inventory.models import Membership, Organisation, SignOnIdentity

__all__ = ["WHO", "arrive"]

WHO: Final = "single sign-on"
"""As whom the log names what follows from the provider's word."""

_MAX_SUBJECT: Final = 255
_MAX_NAME: Final = 140
_MAX_GROUPS: Final = 10_000
# What the log calls those that are nobody.
_NOBODY: Final = frozenset({"command", "clock"})
_log = logging.getLogger(__name__)


def arrive(provider: SignOn, claims: Mapping[str, Any]) -> User:
    """The account of whom `claims` (checked, with their `sub`) are about; raises ValueError for none."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT or "\0" in subject:
        raise ValueError("the provider names no subject")
    user = _known(provider, subject)
    if user is None:
        try:
            user = _new(provider, subject, claims)
        except IntegrityError:
            # The same person came in twice at once, or the name was taken meanwhile.
            user = _known(provider, subject) or _new(provider, subject, claims)
    if user.is_active:
        _renew_roles(user, provider, claims)
    return user


def _known(provider: SignOn, subject: str) -> User | None:
    row = SignOnIdentity.objects.filter(issuer=provider.issuer, subject=subject).select_related("user")
    found = row.first()
    return found.user if found else None


def _new(provider: SignOn, subject: str, claims: Mapping[str, Any]) -> User:
    with transaction.atomic():
        user = User(username=_free_name(claims))
        user.set_unusable_password()
        user.save()
        SignOnIdentity.objects.create(user=user, issuer=provider.issuer, subject=subject)
        said = {"issuer": provider.issuer, "subject": subject}
        audit.record(WHO, "create-person", f"user {user.username}", after=said)
    return user


def _free_name(claims: Mapping[str, Any]) -> str:
    """A user name like the one that the provider tells, which nobody here has."""
    for key in ("preferred_username", "nickname", "name", "sub"):
        said = claims.get(key)
        name = re.sub(r"[^a-z0-9@.+_-]+", "-", said.casefold()).strip("-") if isinstance(said, str) else ""
        if name:
            break
    else:
        name = "somebody"
    name = wanted = name[:_MAX_NAME]
    number = 1
    while name in _NOBODY or User.objects.filter(username__iexact=name).exists():
        number += 1
        name = f"{wanted}-{number}"
    return name


def _renew_roles(user: User, provider: SignOn, claims: Mapping[str, Any]) -> None:
    """Give what the groups give now, end what they gave and give no more."""
    said = claims.get(provider.claim)
    groups = (
        {group for group in said[:_MAX_GROUPS] if isinstance(group, str)} if isinstance(said, list) else set()
    )
    wanted: dict[int, tuple[Organisation, str]] = {}
    for row in provider.roles:
        where = _organisation(row) if row.group in groups else None
        if where is not None:
            before = wanted[where.pk][1] if where.pk in wanted else row.role
            wanted[where.pk] = (where, max(before, row.role, key=rights.ORDER.index))
    with transaction.atomic():
        held = {row.organisation_id: row for row in Membership.objects.filter(user=user)}
        for key, had in held.items():
            if had.by_group and key not in wanted:
                _log_role(user, had.organisation, had.role, None)
                had.delete()
        for key, (where, role) in wanted.items():
            before_it = held.get(key)
            if before_it is not None and (not before_it.by_group or before_it.role == role):
                continue
            Membership.objects.update_or_create(
                user=user, organisation=where, defaults={"role": role, "by_group": True}
            )
            _log_role(user, where, before_it.role if before_it else None, role)


def _organisation(row: GroupRole) -> Organisation | None:
    named = Organisation.objects.filter(name=row.organisation)
    if row.organisation.isascii() and row.organisation.isdigit():
        named = Organisation.objects.filter(pk=int(row.organisation[:18]))
    found = list(named[:2])
    if len(found) != 1:
        _log.warning(
            "the group %r gives nothing: there is not one organisation %r", row.group, row.organisation
        )
        return None
    return found[0]


def _log_role(user: User, where: Organisation, before: str | None, after: str | None) -> None:
    audit.record(
        WHO,
        "grant" if after else "take-role-away",
        f"user {user.get_username()}",
        organisation=where,
        before={"role": before} if before else None,
        after={"role": after} if after else None,
    )

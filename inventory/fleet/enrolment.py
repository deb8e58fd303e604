"""Makes agents of machines: a code that is good once, against a public key made there."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from exchange.keys import BadKey, PublicKey
from inventory import audit, tokens
from inventory.models import Agent, ApiToken, EnrolmentCode, Organisation, Site

__all__ = ["Refused", "code_for", "enrol", "revoke"]

_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""What nobody takes for something else when it is read out on the telephone."""
_GROUPS: Final = 5
_LENGTH: Final = 5


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """An enrolment is refused: says why, but not which codes there are."""


def code_for(
    name: str, organisation: Organisation, sites: Iterable[Site] = (), hours: int = 72, who: str = "command"
) -> str:
    """A code (25 letters, 123 bits) that makes the agent `name` once, within `hours`."""
    groups = ["".join(secrets.choice(_LETTERS) for _ in range(_LENGTH)) for _ in range(_GROUPS)]
    text = "-".join(groups)
    with transaction.atomic():
        made = EnrolmentCode.objects.create(
            hash=_hash(text),
            hint=groups[-1],
            name=name,
            organisation=organisation,
            expires=timezone.now() + timedelta(hours=hours),
        )
        made.sites.set(sites)
        audit.record(who, "enrolment code", f"agent {name}", organisation=organisation)
    return text


def enrol(code: str, public_key: str) -> tuple[Agent, str]:
    """The agent that the code makes, with its token; raises `Refused`. An agent of that name gets the new key."""
    try:
        PublicKey(public_key)
    except BadKey as error:
        raise Refused(str(error)) from None
    now = timezone.now()
    with transaction.atomic():
        found = (
            EnrolmentCode.objects.select_for_update()
            .filter(hash=_hash(code.strip().upper()), used=None, expires__gt=now)
            .first()
        )
        if found is None:
            raise Refused("this code is not known, was used, or is over its time")
        found.used = now
        found.save(update_fields=["used"])
        agent, made = Agent.objects.get_or_create(
            name=found.name, defaults={"organisation": found.organisation}
        )
        before = {"public_key": agent.public_key}
        agent.organisation, agent.public_key, agent.revoked = found.organisation, public_key, None
        agent.instances = {}
        agent.save()
        agent.sites.set(found.sites.all())
        # A machine that enrols again takes the place of the one before.
        ApiToken.objects.filter(agent=agent, revoked=None).update(revoked=now)
        _, text = tokens.issue(agent, sites=found.sites.all())
        audit.record(
            f"code ...{found.hint}",
            "enrol" if made else "enrol again",
            f"agent {agent.name}",
            organisation=agent.organisation,
            before=before,
            after={"public_key": public_key},
        )
    return agent, text


def revoke(agent: Agent, who: str) -> None:
    """From now on nothing of this agent is taken, by whatever way."""
    now = timezone.now()
    with transaction.atomic():
        Agent.objects.filter(pk=agent.pk).update(revoked=now)
        ApiToken.objects.filter(agent=agent, revoked=None).update(revoked=now)
        audit.record(who, "revoke", f"agent {agent.name}", organisation=agent.organisation)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""Makes, checks, renews the tokens by which agents are known; only hashes are kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from inventory.models import Agent, ApiToken, Site

__all__ = ["check", "issue", "may_report", "rotate", "sites_of"]

_PREFIX: Final = "cci_"
_LENGTH: Final = 43
_USED_EVERY: Final = timedelta(minutes=5)


def _hash(text: str) -> str:
    # The secret has 256 random bits: a slow hash would add nothing.
    return hashlib.sha256(text.encode()).hexdigest()


def issue(
    agent: Agent,
    days: int = 365,
    sites: Iterable[Site] = (),
    *,
    may_report: bool = True,
    may_read: bool = False,
) -> tuple[ApiToken, str]:
    """A new token with its text, which is shown once."""
    text = _PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = ApiToken.objects.create(
            agent=agent,
            hash=_hash(text),
            hint=text[-4:],
            may_report=may_report,
            may_read=may_read,
            expires=timezone.now() + timedelta(days=days),
        )
        token.sites.set(sites)
    return token, text


def rotate(token: ApiToken, grace: timedelta = timedelta(days=7), days: int = 365) -> tuple[ApiToken, str]:
    """A new token with the same rights; the old one ends after `grace`, so that agents can change over."""
    with transaction.atomic():
        made = issue(
            token.agent, days, token.sites.all(), may_report=token.may_report, may_read=token.may_read
        )
        token.expires = min(token.expires, timezone.now() + grace)
        token.save(update_fields=["expires"])
    return made


def check(text: str, now: datetime | None = None) -> ApiToken | None:
    """The token of this text, unless it is unknown, expired or revoked."""
    if not text.startswith(_PREFIX) or len(text) != len(_PREFIX) + _LENGTH:
        return None
    now = now or timezone.now()
    token = ApiToken.objects.select_related("agent__organisation").filter(hash=_hash(text)).first()
    if token is None or token.revoked is not None or token.expires <= now:
        return None
    if token.last_used is None or now - token.last_used > _USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used=now)
    return token


def sites_of(token: ApiToken) -> set[int]:
    """The ids of all sites that the token reaches: those it names, within its agent's organisation."""
    below = Site.objects.filter(organisation__path__startswith=token.agent.organisation.path)
    named = set(token.sites.values_list("id", flat=True))
    everything = set(below.values_list("id", flat=True))
    return everything & named if named else everything


def may_report(token: ApiToken, site: Site) -> bool:
    """Whether the token may report for `site`."""
    if not token.may_report or not site.organisation.path.startswith(token.agent.organisation.path):
        return False
    named = token.sites.values_list("id", flat=True)
    return site.pk in named or not named

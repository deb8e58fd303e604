"""Knows agents by their names and keys, however their parcels come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from exchange.keys import BadKey, PublicKey
from exchange.parcel import Parcel
from inventory.models import Agent, Site

__all__ = ["Known", "Stranger", "check", "clashing", "note_instance"]

_INSTANCES: Final = 8
_NOTE_EVERY: Final = timedelta(hours=1)
_TOGETHER: Final = timedelta(days=2)
"""Two machines heard within this time under one name are two that run at once."""


class Stranger(Exception):  # noqa: N818 - an answer, not a fault
    """A parcel is not from whom it says, or not for a site of his: says which."""


def check(parcel: Parcel, agent: Agent) -> None:
    """Raise `Stranger` unless the parcel is signed by the agent's key, if it has one, and not revoked."""
    if agent.revoked is not None:
        raise Stranger("this agent was revoked")
    if not agent.public_key:
        return
    if parcel.agent != agent.name or not parcel.signature:
        raise Stranger("this agent has a key: its reports are signed")
    try:
        signed = PublicKey(agent.public_key).signed(parcel.signature, parcel.signed_bytes())
    except BadKey:
        signed = False
    if not signed:
        raise Stranger("the signature is not this agent's, or the report was changed on its way")


class Known:
    """Who sent parcels that came without a token, looked up together."""

    def __init__(self, parcels: Sequence[Parcel]) -> None:
        """Three questions to the database, however many parcels there are."""
        agents = Agent.objects.select_related("organisation").prefetch_related("sites")
        self._agents = {
            agent.name: agent for agent in agents.filter(name__in={parcel.agent for parcel in parcels})
        }
        sites = Site.objects.select_related("organisation")
        self._sites = {site.code: site for site in sites.filter(code__in={parcel.site for parcel in parcels})}

    def of(self, parcel: Parcel) -> tuple[Agent, Site]:
        """The agent and the site of a parcel; raises `Stranger`.

        Only a signature tells who sent it: an agent without a key cannot come this way.
        """
        agent, site = self._agents.get(parcel.agent), self._sites.get(parcel.site)
        if agent is None or not agent.public_key:
            raise Stranger("no agent of this name has enrolled")
        check(parcel, agent)
        if site is None or not _may_report(agent, site):
            raise Stranger("this agent may not report for that site")
        return agent, site


def _may_report(agent: Agent, site: Site) -> bool:
    """Whether the agent may report for the site: by its organisation, and by its own list if it has one."""
    if not site.organisation.path.startswith(agent.organisation.path):
        return False
    named = {row.pk for row in agent.sites.all()}
    return site.pk in named or not named


def note_instance(agent: Agent, instance: str, now: datetime | None = None) -> None:
    """Remember which machine spoke; written when it is another, and now and then."""
    now = now or timezone.now()
    if not instance or len(instance) > 64 or not instance.isprintable():
        return
    heard: dict[str, Any] = dict(agent.instances)
    before = heard.get(instance)
    if before is not None and now - datetime.fromisoformat(before) < _NOTE_EVERY:
        return
    heard[instance] = now.isoformat()
    newest = sorted(heard, key=lambda name: str(heard[name]), reverse=True)[:_INSTANCES]
    agent.instances = {name: heard[name] for name in newest}
    Agent.objects.filter(pk=agent.pk).update(instances=agent.instances)


def clashing(agent: Agent, now: datetime | None = None) -> bool:
    """Whether two machines use this identity at the same time."""
    now = now or timezone.now()
    return sum(now - datetime.fromisoformat(str(at)) < _TOGETHER for at in agent.instances.values()) > 1

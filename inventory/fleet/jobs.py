"""Jobs: asked for by people, taken by agents, each change written down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from inventory import audit
from inventory.models import Agent, Job, JobState, Site

__all__ = ["answer", "ask", "expire", "take"]

_AT_ONCE: Final = 16
_GIVE_UP: Final = timedelta(hours=24)
"""A job that was taken and never answered waits again after this time."""
_OPEN: Final = (JobState.WAITING, JobState.TAKEN)
_ANSWERS: Final = frozenset({JobState.DONE, JobState.FAILED, JobState.REFUSED, JobState.WAITING})


def ask(
    site: Site,
    who: str,
    targets: Sequence[str] = (),
    scope: str = "",
    profile: str = "",
    days: int = 7,
) -> Job:
    """Ask a site for a scan; it is good for `days`."""
    with transaction.atomic():
        job = Job.objects.create(
            site=site,
            scope=scope,
            targets=list(targets),
            profile=profile,
            asked_by=who[:200],
            expires=timezone.now() + timedelta(days=days),
        )
        after = {"targets": list(targets), "scope": scope, "profile": profile}
        audit.record(who, "ask for a scan", f"site {site.code}", organisation=site.organisation, after=after)
    return job


def take(site: Site, agent: Agent) -> list[Job]:
    """The jobs that wait for a site; they are the agent's from now on."""
    expire()
    now = timezone.now()
    with transaction.atomic():
        waiting = Job.objects.select_for_update().filter(site=site, state=JobState.WAITING)
        lost = Job.objects.select_for_update().filter(
            site=site, state=JobState.TAKEN, changed__lt=now - _GIVE_UP
        )
        jobs = [*waiting.order_by("created")[:_AT_ONCE], *lost.order_by("created")[:_AT_ONCE]]
        for job in jobs:
            job.state, job.agent = JobState.TAKEN, agent
            job.save(update_fields=["state", "agent", "changed"])
    return jobs


def answer(job: Job, agent: Agent, state: str, reason: str = "", report: str = "") -> bool:
    """Take an agent's word on a job; False where it is not his, or over."""
    if state not in _ANSWERS or job.state not in _OPEN or (job.agent_id or agent.pk) != agent.pk:
        return False
    with transaction.atomic():
        before = {"state": job.state}
        job.state, job.reason, job.report, job.agent = JobState(state), reason[:500], report[:64], agent
        job.save()
        audit.record(
            f"agent:{agent.name}",
            "answer a job",
            f"job {job.pk}",
            organisation=job.site.organisation,
            before=before,
            after={"state": state, "reason": reason[:500], "report": report[:64]},
        )
    return True


def expire(among: Iterable[str] = _OPEN) -> int:
    """End jobs whose time is over."""
    return Job.objects.filter(state__in=list(among), expires__lt=timezone.now()).update(
        state=JobState.EXPIRED, reason="nobody took it in time"
    )

"""Takes one report, or one part of it, chunk by chunk.

Each chunk is one transaction: it is stored whole or not at all. A report that is sent again, in
whole or from where it broke off, changes nothing twice: keys find the same devices, intervals that
are kept are not kept again, what is the same makes no history. So an agent that lost the answer
may simply send once more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from fingerprints.codec import SCHEMA
from inventory import tallies, verification
from inventory.clean import bounded
from inventory.ingest import bulk
from inventory.ingest.covering import covered
from inventory.ingest.reading import Refused, moment
from inventory.ingest.store import CHUNK, Context, Outcome, store
from inventory.models import Agent, Run, RunPart, Site

__all__ = ["MAX_PARTS", "Receipt", "ReportRefused", "Submission", "receive"]

MAX_PARTS: Final = 10_000
_ATTEMPTS: Final = 4
_MAX_COVERAGE_TEXT: Final = 500
_MAX_COVERAGE_ITEMS: Final = 1_024
_RETRY: Final = frozenset({"40001", "40P01"})
"""PostgreSQL's serialisation failure with its deadlock: another try mends both."""

_log = logging.getLogger(__name__)


class ReportRefused(Exception):  # noqa: N818 - an answer, not a fault
    """A whole report is not taken: says why."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One report, or part `part` of `parts`, of one site, as an agent sent it."""

    report: str
    site: Site
    document: Mapping[str, Any]
    agent: Agent | None = None
    part: int = 1
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a submission: an outcome for each device, in order."""

    run: Run
    outcomes: tuple[Outcome, ...]

    @property
    def accepted(self) -> int:
        """How many devices were taken."""
        return sum(outcome.accepted for outcome in self.outcomes)


def receive(submission: Submission) -> Receipt:
    """Store a submission; raises `ReportRefused`, and `OperationalError` where the database is away."""
    now = timezone.now().replace(microsecond=0)
    devices = _checked(submission)
    with transaction.atomic():
        run = _run(submission, now)
    context = _context(submission, run, now)
    outcomes: list[Outcome] = []
    given: set[int] = set()
    for start in range(0, len(devices), CHUNK):
        found = _stored(devices[start : start + CHUNK], context, given)
        given |= {outcome.device for outcome in found if outcome.device is not None}
        outcomes += found
    _settle(submission, run, outcomes)
    return Receipt(run, tuple(outcomes))


def _checked(submission: Submission) -> Sequence[Any]:
    document = submission.document
    if not isinstance(document, Mapping):
        raise ReportRefused("the report is not a JSON object")
    if document.get("schema") != SCHEMA or isinstance(document.get("schema"), bool):
        number = repr(document.get("schema"))[:40]
        raise ReportRefused(f"schema {number} is not one this inventory reads ({SCHEMA})")
    devices = document.get("devices", [])
    if not isinstance(devices, list):
        raise ReportRefused("devices is not a list")
    for key in ("coverage", "run"):
        if not isinstance(document.get(key, {}), Mapping):
            raise ReportRefused(f"{key} is not a JSON object")
    if not 1 <= len(submission.report) <= 64 or not submission.report.isprintable():
        raise ReportRefused("the id of a report is 1 to 64 characters")
    if not 1 <= submission.part <= submission.parts <= MAX_PARTS:
        raise ReportRefused(f"part {submission.part} of {submission.parts} is none")
    return devices


def _run(submission: Submission, now: datetime) -> Run:
    """The run of a report, made by whichever part comes first."""
    facts, coverage = submission.document.get("run", {}), submission.document.get("coverage", {})
    try:
        finished = moment(facts.get("finished"), now, "run.finished") or now
        started = moment(facts.get("started"), now, "run.started") or finished
    except Refused as why:
        raise ReportRefused(str(why)) from None
    if started > finished:
        raise ReportRefused("run.started is after run.finished")
    what = covered(coverage, facts)
    problems = submission.document.get("problems")
    run, made = Run.objects.get_or_create(
        site=submission.site,
        report=submission.report,
        defaults={
            "agent": submission.agent,
            "started": started,
            "finished": finished,
            "received": now,
            "parts": submission.parts,
            "covered": list(what.ranges),
            "vlans": None if what.vlans is None else list(what.vlans),
            "coverage": bounded(dict(coverage), _MAX_COVERAGE_TEXT, _MAX_COVERAGE_ITEMS),
            "facts": bounded(dict(facts), _MAX_COVERAGE_TEXT, _MAX_COVERAGE_ITEMS),
            "problems": len(problems) if isinstance(problems, list) else 0,
        },
    )
    if not made and (run.agent_id != (submission.agent.pk if submission.agent else None)):
        raise ReportRefused("another agent has sent a report with this id")
    if not made and run.parts != submission.parts:
        raise ReportRefused(f"the report was begun with {run.parts} parts")
    return run


def _context(submission: Submission, run: Run, now: datetime) -> Context:
    facts = submission.document.get("run", {})
    knowledge = facts.get("knowledge")
    return Context(
        site=submission.site.pk,
        site_names=frozenset({submission.site.code, submission.site.name}),
        agent=run.agent_id,
        at=run.finished,
        now=now,
        gap=timedelta(hours=settings.CAMCENSUS_SIGHTING_GAP_HOURS),
        knowledge=knowledge[:64] if isinstance(knowledge, str) and knowledge.isprintable() else "",
        policy_date=run.finished.astimezone(UTC).date(),
    )


def _stored(rows: Sequence[Any], context: Context, given: set[int]) -> list[Outcome]:
    """One chunk in one transaction, tried again where two that wrote at once were in each other's way."""
    for attempt in range(_ATTEMPTS):
        try:
            with transaction.atomic():
                bulk.lock(context.site)
                return store(rows, context, given)
        except OperationalError as error:
            state = getattr(error.__cause__, "sqlstate", None)
            if state not in _RETRY or attempt == _ATTEMPTS - 1:
                raise
            _log.info("a chunk is tried again after %s", state)
            time.sleep(0.05 * 2**attempt)
    raise AssertionError("not reached")


def _settle(submission: Submission, run: Run, outcomes: Sequence[Outcome]) -> None:
    """Count the part once, and draw the conclusions where it was the last one."""
    accepted = sum(outcome.accepted for outcome in outcomes)
    refused = len(outcomes) - accepted
    with transaction.atomic():
        bulk.lock(submission.site.pk)
        _, made = RunPart.objects.get_or_create(
            run=run, number=submission.part, defaults={"accepted": accepted, "refused": refused}
        )
        if made:
            Run.objects.filter(pk=run.pk).update(
                parts_received=F("parts_received") + 1,
                accepted=F("accepted") + accepted,
                refused=F("refused") + refused,
            )
            run.refresh_from_db()
            what = covered(run.coverage, run.facts)
            if run.parts_received == run.parts:
                run.complete = what.complete and not run.refused
                run.save(update_fields=["complete"])
        if submission.agent is not None:
            version, knowledge = run.facts.get("version"), run.facts.get("knowledge")
            Agent.objects.filter(pk=submission.agent.pk).update(
                last_seen=run.received,
                version=version[:40] if isinstance(version, str) else "",
                knowledge=knowledge[:64] if isinstance(knowledge, str) else "",
            )
        if run.complete:
            verification.verify_site(submission.site)
        tallies.refresh([submission.site.pk])

"""Takes one report, or one part of it, chunk by chunk.

Each chunk is one transaction: it is stored whole or not at all. A report that is sent again, in
whole or from where it broke off, changes nothing twice: keys find the same devices, intervals that
are kept are not kept again, what is the same makes no history. So an agent that lost the answer
may simply send once more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone

from fingerprints.codec import SCHEMA
from inventory import tallies, verification
from inventory.clean import bounded
from inventory.ingest import bulk
from inventory.ingest.contacts import keep_contacts
from inventory.ingest.covering import covered
from inventory.ingest.reading import Refused, moment
from inventory.ingest.store import CHUNK, Context, Mixed, Outcome, look, store
from inventory.models import Agent, Plan, Run, RunPart, Site

__all__ = ["MAX_PARTS", "Receipt", "ReportRefused", "Submission", "receive", "receive_together"]

MAX_PARTS: Final = 10_000
_ATTEMPTS: Final = 4
_TOGETHER: Final = 8_000
"""Most devices that are stored in one transaction."""
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


@dataclass(slots=True)
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
        (run,) = _runs([submission], now)
    context = _context(submission, run, now)
    outcomes: list[Outcome] = []
    given: set[int] = set()
    for start in range(0, len(devices), CHUNK):
        found = _stored(devices[start : start + CHUNK], context, given)
        given |= {outcome.device for outcome in found if outcome.device is not None}
        outcomes += found
    receipt = Receipt(run, tuple(outcomes))
    with transaction.atomic():
        # Those that devices came from are counted anew too, perhaps while their own agents report.
        bulk.lock(submission.site.pk, *_uncounted(submission.site.pk, receipt.outcomes))
        _settle([submission], [receipt])
    return receipt


def receive_together(submissions: Sequence[Submission]) -> list[Receipt | ReportRefused]:
    """Store several submissions, in one transaction where that can be; for each its receipt, or why not.

    Many small reports cost most by their number: together they need the statements of one. Those of
    one site, those that tell of one device, and large ones are stored one after the other.
    Raises `OperationalError` where the database is away.
    """
    results: dict[int, Receipt | ReportRefused] = {}
    rows: dict[int, Sequence[Any]] = {}
    for place, submission in enumerate(submissions):
        try:
            rows[place] = _checked(submission)
        except ReportRefused as why:
            results[place] = why
    together = [submissions[place] for place in rows]
    few = sum(len(devices) for devices in rows.values()) <= _TOGETHER
    if few and len({submission.site.pk for submission in together}) == len(together) > 1:
        try:
            results |= zip(rows, _at_once(together, list(rows.values())), strict=True)
            rows = {}
        except (Mixed, IntegrityError, ReportRefused) as why:
            _log.info("%d reports are stored one by one: %s", len(together), type(why).__name__)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _RETRY:
                raise
    for place in rows:
        try:
            results[place] = receive(submissions[place])
        except ReportRefused as why:
            results[place] = why
    return [results[place] for place in range(len(submissions))]


def _at_once(submissions: Sequence[Submission], rows: Sequence[Sequence[Any]]) -> list[Receipt]:
    now = timezone.now().replace(microsecond=0)
    with transaction.atomic():
        bulk.lock(*(submission.site.pk for submission in submissions))
        runs = _runs(submissions, now)
        contexts = [_context(*pair, now) for pair in zip(submissions, runs, strict=True)]
        devices = [device for found in rows for device in found]
        each = [context for context, found in zip(contexts, rows, strict=True) for _ in found]
        found = iter(store(devices, each, look(devices, each)))
        receipts = [
            Receipt(run, tuple(islice(found, len(devices)))) for run, devices in zip(runs, rows, strict=True)
        ]
        bulk.lock(*(row.left for receipt in receipts for row in receipt.outcomes if row.left))
        _settle(submissions, receipts)
    return receipts


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


def _runs(submissions: Sequence[Submission], now: datetime) -> list[Run]:
    """The run of each report, made by whichever part comes first."""
    known = {
        (run.site_id, run.report): run
        for run in Run.objects.filter(
            site__in={submission.site.pk for submission in submissions},
            report__in={submission.report for submission in submissions},
        )
    }
    new: dict[tuple[int, str], Run] = {}
    for submission in submissions:
        key = (submission.site.pk, submission.report)
        if key not in known and key not in new:
            new[key] = _new_run(submission, now)
    if len(new) == 1:
        # Two parts of one report may come at once, each as the first.
        ((key, run),) = new.items()
        values = {field.attname: getattr(run, field.attname) for field in run._meta.concrete_fields[1:]}  # noqa: SLF001 - Django's public API
        where = {"site_id": values.pop("site_id"), "report": values.pop("report")}
        known[key], _ = Run.objects.get_or_create(**where, defaults=values)
    else:
        known |= zip(new, Run.objects.bulk_create(new.values()), strict=True)
    runs = [known[submission.site.pk, submission.report] for submission in submissions]
    for submission, run in zip(submissions, runs, strict=True):
        if run.agent_id != (submission.agent.pk if submission.agent else None):
            raise ReportRefused("another agent has sent a report with this id")
        if run.parts != submission.parts:
            raise ReportRefused(f"the report was begun with {run.parts} parts")
    return runs


def _new_run(submission: Submission, now: datetime) -> Run:
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
    return Run(
        site=submission.site,
        report=submission.report,
        agent=submission.agent,
        started=started,
        finished=finished,
        received=now,
        parts=submission.parts,
        covered=list(what.ranges),
        vlans=None if what.vlans is None else list(what.vlans),
        coverage=bounded(dict(coverage), _MAX_COVERAGE_TEXT, _MAX_COVERAGE_ITEMS),
        facts=bounded(dict(facts), _MAX_COVERAGE_TEXT, _MAX_COVERAGE_ITEMS),
        problems=len(problems) if isinstance(problems, list) else 0,
    )


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
    contexts = [context] * len(rows)
    glances = look(rows, contexts)
    for attempt in range(_ATTEMPTS):
        try:
            with transaction.atomic():
                bulk.lock(context.site)
                outcomes = store(rows, contexts, glances, given)
                if uncounted := _uncounted(context.site, outcomes):
                    # Counting comes last, once; if we die before it, the next report knows.
                    Site.objects.filter(pk__in=uncounted, stale=False).update(stale=True)
                return outcomes
        except OperationalError as error:
            state = getattr(error.__cause__, "sqlstate", None)
            if state not in _RETRY or attempt == _ATTEMPTS - 1:
                raise
            _log.info("a chunk is tried again after %s", state)
            time.sleep(0.05 * 2**attempt)
    raise AssertionError("not reached")


def _settle(submissions: Sequence[Submission], receipts: Sequence[Receipt]) -> None:
    """Count each part once, and draw the conclusions where it was the last one; the sites are locked."""
    runs = {run.pk: run for run in Run.objects.filter(pk__in={receipt.run.pk for receipt in receipts})}
    parts = set(RunPart.objects.filter(run__in=runs).values_list("run", "number"))
    new, changed, left = [], [], set[int]()
    for submission, receipt in zip(submissions, receipts, strict=True):
        run = receipt.run = runs[receipt.run.pk]
        left |= _uncounted(submission.site.pk, receipt.outcomes)
        if (run.pk, submission.part) in parts:
            continue
        refused = len(receipt.outcomes) - receipt.accepted
        new.append(RunPart(run=run, number=submission.part, accepted=receipt.accepted, refused=refused))
        run.parts_received += 1
        run.accepted += receipt.accepted
        run.refused += refused
        if run.parts_received == run.parts:
            run.complete = covered(run.coverage, run.facts).complete and not run.refused
        if submission.document.get("contacts") or submission.document.get("phone_home"):
            ids = {outcome.id: outcome.device for outcome in receipt.outcomes if outcome.device is not None}
            keep_contacts(submission.document, ids, submission.site.pk, run.received)
        changed.append((run.pk, run.parts_received, run.accepted, run.refused, run.complete))
    RunPart.objects.bulk_create(new)
    bulk.update(Run, ["parts_received", "accepted", "refused", "complete"], changed)
    _heard_of(runs.values())
    sites = list({run.site_id for run in runs.values()})
    whole = {run.site_id: run.finished for run in sorted(runs.values(), key=_finished) if run.complete}
    known = {row[0]: row[1:] for row in bulk.select(Site, ["id", "scanned", "stale"], "id", sites)}
    rows = [(site, at) for site, at in whole.items() if (last := known[site][0]) is None or last < at]
    bulk.update(Site, ["scanned"], rows)
    # Few sites have something taken down that nobody has looked for since.
    if whole:
        removed = Plan.objects.filter(state="removed", device__site__in=whole).values("device__site")
        for site in Site.objects.filter(pk__in=removed):
            if verification.verify_site(site):
                left.add(site.pk)
    # A site is counted once, with the last part of its report; until then it is known to be uncounted.
    coming = {run.site_id for run in runs.values() if run.parts_received < run.parts}
    if left & coming:
        Site.objects.filter(pk__in=left & coming, stale=False).update(stale=True)
    left = (left - coming) | {site for site in sites if known[site][1] and site not in coming}
    if left:
        tallies.refresh(sorted(left))


def _finished(run: Run) -> datetime:
    return run.finished


def _uncounted(site: int, outcomes: Sequence[Outcome]) -> set[int]:
    """The sites whose devices have to be counted anew after these outcomes."""
    found = {outcome.left for outcome in outcomes if outcome.left}
    return found | (
        {site} if found or any(outcome.change in {"new", "changed"} for outcome in outcomes) else set()
    )


def _heard_of(runs: Iterable[Run]) -> None:
    rows = {}
    for run in runs:
        version, knowledge = run.facts.get("version"), run.facts.get("knowledge")
        if run.agent_id is not None:
            rows[run.agent_id] = (
                run.agent_id,
                run.received,
                version[:40] if isinstance(version, str) else "",
                knowledge[:64] if isinstance(knowledge, str) else "",
            )
    bulk.update(Agent, ["last_seen", "version", "knowledge"], list(rows.values()))

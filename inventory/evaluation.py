"""Judges devices again from the facts that were kept, when rules or policies have changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction
from django.utils import timezone

from fingerprints.codec import verdict_to_json
from fingerprints.judge import Judge
from fingerprints.model import Fact
from fingerprints.policy import Policy, apply_policies
from inventory import tallies
from inventory.ingest import bulk
from inventory.ingest.reading import Details, Said, details
from inventory.models import Device, Facts, Finding, PlanChange, Site, Verdict
from inventory.timeline import plan_state

__all__ = ["Judged", "judge_again"]

_PIECE = 500


@dataclass(frozen=True, slots=True)
class Judged:
    """How many devices were judged again, with how many verdicts or findings changed."""

    devices: int
    verdicts: int
    findings: int


def judge_again(judge: Judge, policies: Sequence[Policy], on: date | None = None) -> Judged:
    """Judge every device of which facts are kept; what is other than before goes into its history."""
    at, done, verdicts, findings, last = timezone.now(), 0, 0, 0, 0
    while ids := list(Facts.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:_PIECE]):
        last = ids[-1]
        with transaction.atomic():
            rows = Device.objects.filter(pk__in=ids).select_related("facts").select_for_update(of=("self",))
            changed = []
            for device in rows.order_by("pk"):
                new = _details(device, judge, policies, on or at.date())
                if (new.verdict_digest, new.finding_digest) != (device.verdict_digest, device.finding_digest):
                    changed.append((device, new))
            found = _store(changed, at, on or at.date(), judge.knowledge.version)
        done, verdicts, findings = done + len(ids), verdicts + found[0], findings + found[1]
    for site in Site.objects.values_list("pk", flat=True):
        with transaction.atomic():
            bulk.lock(site)
            tallies.refresh([site])
    return Judged(done, verdicts, findings)


def _details(device: Device, judge: Judge, policies: Sequence[Policy], on: date) -> Details:
    facts = [Fact(row["field"], row["text"]) for row in device.facts.observations]
    if device.mac:
        facts.append(Fact("mac", device.mac))
    verdict = judge.judge(facts)
    finding = apply_policies(verdict, policies, judge.knowledge, on)
    row = {
        **verdict_to_json(verdict, finding),
        "hostnames": device.facts.hostnames,
        "ports": device.facts.ports,
        "observations": device.facts.observations,
    }
    said = Said(
        str(device.pk), (), (), (), None, device.mac, device.first_seen, device.last_seen,
        verdict.manufacturer or "", device.said_digest, row,
    )  # fmt: skip
    return details(said)


def _store(
    changed: Sequence[tuple[Device, Details]], at: datetime, on: date, knowledge: str
) -> tuple[int, int]:
    verdicts = [
        (device.pk, at, new.verdict_digest, new.verdict, knowledge[:64], True)
        for device, new in changed
        if new.verdict_digest != device.verdict_digest
    ]
    findings = [
        (device.pk, at, new.finding_digest, new.finding, new.matches, on, True)
        for device, new in changed
        if new.finding_digest != device.finding_digest
    ]
    bulk.insert(Verdict, ["device_id", "since", "digest", "said", "knowledge", "rejudged"], verdicts)
    bulk.insert(
        Finding, ["device_id", "since", "digest", "status", "matches", "policy_date", "rejudged"], findings
    )
    steps = []
    for device, new in changed:
        state = plan_state(device.plan_state, new.finding)
        if state != device.plan_state:
            steps.append((device.pk, at, device.plan_state, state, "judged again"))
        device.manufacturer, device.brand, device.device_class = new.manufacturer, new.brand, new.device_class
        device.model, device.firmware, device.serial = new.model, new.firmware, new.serial or device.serial
        device.confidence, device.level, device.finding = new.confidence, new.level, new.finding
        device.verdict_digest, device.finding_digest = new.verdict_digest, new.finding_digest
        device.plan_state, device.policies = state, new.policies
    bulk.insert(PlanChange, ["device_id", "at", "before", "after", "why"], steps)
    Device.objects.bulk_update(
        [device for device, _ in changed],
        [
            "manufacturer", "brand", "device_class", "model", "firmware", "serial", "confidence", "level",
            "finding", "verdict_digest", "finding_digest", "plan_state", "policies",
        ],
    )  # fmt: skip
    return len(verdicts), len(findings)

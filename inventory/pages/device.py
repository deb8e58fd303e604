"""One device: what it is with the evidence in words, where it was, what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from fingerprints.compiled import compiled_matchers
from fingerprints.rules import Knowledge
from inventory import alerts, deadlines, plans, rights, verification
from inventory.api.lists import selected
from inventory.api.reads import DEVICES
from inventory.models import Contact, Device, Facts, Role
from inventory.pages import words
from inventory.pages.frame import Visitor, page, show, whole
from inventory.pages.recorders import attached, places_of
from inventory.pages.steps import StepForm
from inventory.timeline import TimelineError, next_states

__all__ = ["Event", "Reason", "device", "events", "knowledge", "reasons"]

_MOST: Final = 200
_SWITCH: Final = {
    "switch.name": "Switch",
    "switch.port": "Port",
    "switch.port-description": "Port is described as",
    "switch.vlan": "VLAN of the port",
    "switch.poe-watts": "Power drawn (W)",
    "switch.poe-class": "Power class",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One piece of evidence in words: where the device said what, and what that tells us."""

    where: str
    said: str
    tells: str
    strength: str
    rule: str
    source: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a device; `kind` is how it is drawn."""

    at: datetime
    title: str
    text: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """A device that another speaks with: in which protocols, whether it fetches video."""

    device: Device
    protocols: str
    records: bool


@cache
def knowledge() -> Knowledge:
    """The rules that this process knows; read once."""
    return compiled_matchers().knowledge


def _strength(item: Mapping[str, Any]) -> str:
    if item.get("proof"):
        return "Proof: only devices of this maker say this"
    weight = item.get("weight", 0.0)
    for least, text in ((4.0, "Strong evidence"), (2.0, "Good evidence"), (0.0, "Weak evidence")):
        if weight > least:
            return text
    return "Speaks against it" if weight < 0 else "Adds a detail"


def _claims(claims: Mapping[str, Any]) -> str:
    names = {
        "manufacturer": "made by {}",
        "brand": "sold as {}",
        "model": "the model is {}",
        "firmware": "the firmware is {}",
        "device_class": "it is: {}",
        "serial": "the serial number is {}",
        "line": "of the line {}",
    }
    said = []
    for name, value in claims.items():
        text = words.CLASSES.get(str(value), str(value)).lower() if name == "device_class" else str(value)
        said.append(names.get(name, f"{name.replace('_', ' ')}: {{}}").replace("{}", text))
    return "; ".join(said)


def reasons(said: Mapping[str, Any], known: Knowledge) -> list[Reason]:
    """The evidence of a verdict, the strongest first."""
    rules = {rule.id: rule for rule in known.rules}
    found = []
    for item in sorted(said.get("evidence") or (), key=lambda row: -float(row.get("weight") or 0)):
        rule = rules.get(item.get("rule", ""))
        field = known.fields.get(item.get("field", ""))
        found.append(
            Reason(
                field.says.partition(";")[0] if field else str(item.get("field", "")),
                str(item.get("text", "")),
                _claims(item.get("claims") or {}),
                _strength(item),
                str(item.get("rule", "")),
                rule.source if rule else "",
            )
        )
    return found[:_MOST]


def events(device: Device) -> list[Event]:
    """What happened, the latest first."""
    found: list[Event] = []
    for row in device.sightings.select_related("agent").order_by("-last_seen")[:_MOST]:
        by = f" by {row.agent}" if row.agent else ""
        vlan = f", VLAN {row.vlan}" if row.vlan is not None else ""
        where = f"at {row.address or 'an unknown address'}{vlan}"
        found.append(Event(row.first_seen, f"Seen {where}", f"Until {row.last_seen:%-d %B %Y, %H:%M}{by}."))
    for verdict in device.verdicts.all()[:_MOST]:
        maker = verdict.said.get("manufacturer") or "nobody knows who"
        how = "Judged again here" if verdict.rejudged else "Judged"
        level = words.LEVELS.get(str(verdict.said.get("level")), "").lower()
        found.append(
            Event(
                verdict.since, f"{how}: made by {maker}", f"{level.capitalize()}. Rules {verdict.knowledge}."
            )
        )
    for finding in device.findings.all()[:_MOST]:
        named = ", ".join(str(match.get("policy")) for match in finding.matches)
        found.append(
            Event(
                finding.since,
                f"Finding: {words.FINDINGS.get(finding.status, finding.status)}",
                f"Named by {named}." if named else "",
                "alarm" if finding.status == "flagged" else "",
            )
        )
    for change in device.plan_changes.select_related("by").order_by("-at")[:_MOST]:
        who = f"By {change.by}." if change.by else ""
        kind = {"returned": "alarm", "verified-gone": "good"}.get(change.after, "step")
        text = f"{change.why[:1].upper()}{change.why[1:]}. {who}" if change.why else who
        found.append(
            Event(change.at, f"Removal: {words.STATES.get(change.after, 'not flagged any more')}", text, kind)
        )
    return sorted(found, key=lambda event: event.at, reverse=True)[:_MOST]


def _port(facts: Facts | None) -> list[tuple[str, str]]:
    """Switch and port, where somebody asked the switches or brought their tables."""
    if facts is None:
        return []
    if facts.location:
        told = facts.location
        watts = told.get("poe_watts")
        rows = [
            ("Switch", told.get("switch")),
            ("Port", told.get("port")),
            ("Port is described as", told.get("description")),
            ("VLAN of the port", told.get("vlan")),
            ("Power drawn", None if watts is None else f"{watts:.1f} W"),
            ("Power class", told.get("poe_class")),
            ("MACs on the port", told.get("macs")),
        ]
        return [(title, str(value)) for title, value in rows if value not in {None, ""}]
    said = {row.get("field"): str(row.get("text", "")) for row in facts.observations}
    return [(title, said[name]) for name, title in _SWITCH.items() if name in said]


@page("POST")
def device(request: HttpRequest, visitor: Visitor, key: int) -> HttpResponseBase:
    """The page of one device."""
    if key >= 2**63:
        raise Http404
    rows = selected(DEVICES, visitor.reach, Q()).select_related("site__organisation", "plan")
    found: Device = get_object_or_404(rows, pk=key)
    technician = visitor.may(Role.TECHNICIAN, found.site)
    planner = visitor.may(Role.PLANNER, found.site)
    allowed = [
        state
        for state in next_states(found.plan_state)
        if planner or (technician and rights.needed(state) == Role.TECHNICIAN)
    ]
    if request.method == "POST" and (chosen := request.POST.get("settle", "")):
        alert = found.alerts.filter(pk=whole(chosen)).first()
        if not technician:
            return show(request, visitor, "refused.html", "devices", {"role": "site technician"}, 403)
        if alert is not None and alerts.settle(alert, visitor.user):
            messages.success(request, "It is settled.")
        return redirect("device", key)
    form = StepForm(request.POST or None, states=allowed) if allowed else None
    status = 200
    if request.method == "POST":
        status = 403 if form is None else 422
        if form is not None and form.is_valid():
            try:
                plans.take(found, form.step(), visitor.user)
            except TimelineError as why:
                form.add_error(None, f"{str(why)[:1].upper()}{str(why)[1:]}")
            else:
                messages.success(request, f"Removal: {words.STATES[form.step().state].lower()}.")
                return redirect("device", key)
    verdict = found.verdicts.first()
    finding = found.findings.first()
    facts = Facts.objects.filter(device=found).first()
    plan = getattr(found, "plan", None)
    since = max(found.last_seen, plan.removed_at or found.last_seen) if plan else found.last_seen
    channels = attached(found.site_id).get(found.pk, []) if found.device_class == "recorder" else []
    stated = int((verdict.said.get("channels") if verdict else None) or 0)
    context = {
        "device": found,
        "said": verdict.said if verdict else {},
        "verdict": verdict,
        "reasons": reasons(verdict.said, knowledge()) if verdict else [],
        "matches": finding.matches if finding else [],
        "plan": plan,
        "due": deadlines.due(found) if found.plan_state in deadlines.TO_DO else None,
        "today": timezone.now().date(),
        "asked": _peers(visitor, found.asked.all(), "asked"),
        "askers": _peers(visitor, found.askers.all(), "asker"),
        "clouds": found.cloud_calls.order_by("-last_seen")[:20],
        "missed": verification.absences(found, since) if found.plan_state == "removed" else 0,
        "needed_absences": verification.needed(),
        "identities": [identity.key for identity in found.identities.all()[:_MOST]],
        "twins": _twins(visitor, found) if found.conflicted else [],
        "switch": _port(facts),
        "recorders": places_of(visitor, found, facts),
        "hidden": bool(facts and facts.behind and facts.behind["hidden"]),
        "channels": channels[:_MOST],
        "unmatched": max(0, stated - len({row.name for row in channels})) if channels else 0,
        "facts": facts,
        "observations": facts.observations[:_MOST] if facts else [],
        "events": events(found),
        "alerts": found.alerts.filter(settled=None),
        "may_settle": technician,
        "form": form,
    }
    return show(request, visitor, "device.html", "devices", context, status)


def _peers(visitor: Visitor, contacts: QuerySet[Contact], end: str) -> list[Peer]:
    """Devices that one speaks with, as far as the visitor may see them; `end` is the column of the other."""
    told = {
        key: (protocols, records)
        for key, protocols, records in contacts.values_list(end, "protocols", "records")
    }
    rows = selected(DEVICES, visitor.reach, Q(pk__in=contacts.values(end))).select_related("site")
    return [
        Peer(row, ", ".join(told[row.pk][0]), told[row.pk][1])
        for row in rows.order_by("address")[:20]
        if row.pk in told
    ]


def _twins(visitor: Visitor, found: Device) -> list[Device]:
    """Other devices that carry a key of this one, as far as the visitor may see them."""
    keys = found.identities.values("key")
    rows = selected(DEVICES, visitor.reach, Q()).filter(identities__key__in=keys)
    return list(rows.exclude(pk=found.pk).select_related("site").distinct()[:10])

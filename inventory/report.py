"""Gives what the inventory knows of today as one report, laid out as `fingerprints.codec` does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from fingerprints.codec import SCHEMA
from inventory.embedded import NotKept, ready

__all__ = ["TooLarge", "UnknownSite", "document"]

MOST: Final = 100_000
"""Devices of one document; the API streams any number."""
_AT_ONCE: Final = 500
_MOST_CALLS: Final = 10_000
_MOST_NEVER: Final = 200
"""Sites without any scan that are named one by one."""


class UnknownSite(NotKept):
    """No site has this code or name."""


class TooLarge(NotKept):
    """There are more devices than one document holds."""


def document(site: str | None = None) -> dict[str, Any]:
    """Every device that is not verified gone, of one site (code or name) or of all.

    What was not seen is what the newest run of each site did not see. Raises `UnknownSite`, `TooLarge`,
    `NotKept`, and what the database raises.
    """
    ready()
    from django.db import connections  # noqa: PLC0415 - after the settings
    from django.db.models import Q  # noqa: PLC0415 - as above

    from inventory.models import Device, Site  # noqa: PLC0415 - as above

    try:
        sites = Site.objects.all()
        if site is not None:
            sites = sites.filter(Q(code=site) | Q(name=site))
            if not sites.exists():
                raise UnknownSite(f"no site is called {site!r}")
        devices = Device.objects.exclude(plan_state="verified-gone")
        if site is not None:
            devices = devices.filter(site__in=sites)
        count = devices.count()
        if count > MOST:
            raise TooLarge(
                f"{count} devices are more than one report holds ({MOST}): name a site, or read the API"
            )
        rows, calls = list(_devices(devices)), _calls(devices)
        coverage, problems, run = _runs(sites)
    finally:
        connections.close_all()
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "schema": SCHEMA,
        "devices": rows,
        "coverage": coverage,
        "phone_home": calls,
        "problems": problems,
        "run": {**run, "tool": "camcensus", "command": "report", "finished": now},
    }


def _devices(devices: Any) -> Iterator[dict[str, Any]]:
    from inventory.models import Finding, Sighting, Verdict  # noqa: PLC0415 - after the settings

    chosen = devices.select_related("site", "plan").order_by("site__code", "id")
    keys = list(chosen.values_list("pk", flat=True))
    for start in range(0, len(keys), _AT_ONCE):
        part = keys[start : start + _AT_ONCE]
        # The newest of each comes last, and stays.
        verdicts = {
            row.device_id: row for row in Verdict.objects.filter(device__in=part).order_by("since", "pk")
        }
        findings = {
            row.device_id: row for row in Finding.objects.filter(device__in=part).order_by("since", "pk")
        }
        places: dict[int, list[str]] = {}
        for row in Sighting.objects.filter(device__in=part).order_by("-last_seen"):
            if row.address and row.address not in places.setdefault(row.device_id, []):
                places[row.device_id].append(row.address)
        for device in chosen.filter(pk__in=part).select_related("facts"):
            yield _device(device, verdicts.get(device.pk), findings.get(device.pk), places.get(device.pk, []))


def _device(device: Any, verdict: Any, finding: Any, addresses: list[str]) -> dict[str, Any]:
    said = dict(verdict.said) if verdict is not None else {}
    facts = getattr(device, "facts", None)
    notes = [*said.get("notes", ()), *_removal(device)]
    return {
        **said,
        "id": _name(device),
        "manufacturer": device.manufacturer or None,
        "brand": device.brand or None,
        "device_class": device.device_class,
        "model": device.model or None,
        "firmware": device.firmware or None,
        "serial": device.serial or None,
        "mac": device.mac or None,
        "confidence": device.confidence,
        "level": device.level,
        "finding": device.finding,
        "policy_matches": finding.matches if finding is not None else [],
        "notes": notes,
        "problems": [],
        "addresses": addresses or ([device.address] if device.address else []),
        "macs": [device.mac] if device.mac else [],
        "hostnames": facts.hostnames if facts is not None else [],
        "ports": facts.ports if facts is not None else [],
        "vlans": [device.vlan] if device.vlan is not None else [],
        "first_seen": _stamp(device.first_seen),
        "last_seen": _stamp(device.last_seen),
        "site": device.site.name,
        "observations": facts.observations if facts is not None else [],
        "location": facts.location if facts is not None else None,
        **_behind(facts),
    }


def _name(device: Any) -> str:
    """Two sites may have a device of one address: this is the inventory's own name of it."""
    return f"{device.site.code}/{device.pk}"


def _calls(devices: Any) -> list[dict[str, Any]]:
    """The calls for makers' clouds, as a report has them."""
    from inventory.models import CloudCall  # noqa: PLC0415 - after the settings

    rows = CloudCall.objects.filter(device__in=devices).select_related("device__site").order_by("-count")
    return [
        {
            "device": _name(row.device),
            "maker": row.maker,
            "name": row.name,
            "addresses": row.addresses,
            "fields": [],
            "count": row.count,
            "bytes_sent": row.bytes_sent,
            "bytes_received": row.bytes_received,
            "first_seen": _stamp(row.first_seen),
            "last_seen": _stamp(row.last_seen),
        }
        for row in rows[:_MOST_CALLS]
    ]


def _behind(facts: Any) -> dict[str, Any]:
    """The recorders that it is attached to; nothing for the many that are not."""
    told = facts.behind if facts is not None else None
    return {"behind": told["recorders"], "hidden": told["hidden"]} if told else {}


def _removal(device: Any) -> list[str]:
    """The state of its removal in words."""
    if not device.plan_state:
        return []
    plan = getattr(device, "plan", None)
    due = f", due {plan.due:%Y-%m-%d}" if plan is not None and plan.due else ""
    return [f"removal: {device.plan_state.replace('-', ' ')}{due}"]


def _runs(sites: Any) -> tuple[dict[str, Any], list[dict[str, str]], dict[str, Any]]:
    """What the newest run of each site says of its coverage; what is wrong; by what the newest of all judged."""
    from django.db.models import OuterRef, Subquery  # noqa: PLC0415 - after the settings

    from inventory.models import Run  # noqa: PLC0415 - as above

    spots: list[dict[str, str]] = []
    problems: list[dict[str, str]] = []
    incomplete, newest = False, None
    # A site has a run a day, for years: only the last of each is read.
    last = Run.objects.filter(site=OuterRef("pk")).order_by("-started", "-pk").values("pk")[:1]
    chosen = Run.objects.filter(pk__in=sites.annotate(last=Subquery(last)).values("last"))
    for run in chosen.select_related("site").order_by("site_id").iterator():
        newest = run if newest is None or run.finished > newest.finished else newest
        if not run.complete:
            incomplete = True
            problems.append(
                {"where": run.site.name, "what": "its last scan did not cover everything", "kind": "coverage"}
            )
        rows = run.coverage.get("blind_spots") if isinstance(run.coverage, dict) else None
        spots += [
            {"what": f"{run.site.name}: {row.get('what')}", "step": str(row.get("step"))}
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, dict)
        ]
    if newest is None:
        incomplete = True
        problems.append({"where": "inventory", "what": "no scan is in it yet", "kind": "coverage"})
    else:
        never = _never_scanned(sites)
        incomplete = incomplete or bool(never)
        spots += never
    facts = newest.facts if newest is not None and isinstance(newest.facts, dict) else {}
    kept = {name: facts[name] for name in ("version", "knowledge", "oui", "policies") if name in facts}
    return {"incomplete": incomplete, "blind_spots": spots}, problems, kept


def _never_scanned(sites: Any) -> list[dict[str, str]]:
    """The sites of which no run ever came: nothing is known of them, which is not that nothing is there."""
    from django.db.models import Exists, OuterRef  # noqa: PLC0415 - after the settings

    from inventory.models import Run  # noqa: PLC0415 - as above

    rows = sites.filter(~Exists(Run.objects.filter(site=OuterRef("pk")))).order_by("name")
    names = list(rows.values_list("name", flat=True)[: _MOST_NEVER + 1])
    step = "scan it, or see why its agent sends nothing"
    spots = [{"what": f"{name}: never scanned", "step": step} for name in names[:_MOST_NEVER]]
    if len(names) > _MOST_NEVER:
        spots.append({"what": f"{rows.count() - _MOST_NEVER} more sites: never scanned", "step": step})
    return spots


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

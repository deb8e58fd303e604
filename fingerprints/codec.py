"""Writes a Report as JSON, reads it back, with a schema number.

The shapes are the public contract: a device object is what ``identify`` prints a line of,
with addresses, names, ports and times added. ``report.schema.json`` describes the whole.
Reading is strict where it matters and bounded: a report file may come from anybody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final, cast

from fingerprints.model import (
    DEVICE_CLASSES,
    Attachment,
    CloudContact,
    Conflict,
    Contact,
    Device,
    DeviceClass,
    Evidence,
    Fact,
    Finding,
    Level,
    Location,
    Observation,
    PolicyMatch,
    Problem,
    Report,
    Speaker,
    Status,
    Verdict,
)

__all__ = [
    "MAX_REPORT",
    "SCHEMA",
    "CodecError",
    "device_from_json",
    "device_to_json",
    "dumps",
    "problem_to_json",
    "report_from_json",
    "report_to_json",
    "schema",
    "verdict_to_json",
]

SCHEMA: Final = 1
MAX_REPORT: Final = 256 * 1024 * 1024
MAX_OBSERVATIONS: Final = 128
"""Most facts of one device that a report carries."""
MAX_OBSERVATION: Final = 2_048
"""Longest text of a fact in a report, in characters."""


class CodecError(Exception):
    """A document is not a report of a schema this version reads: says where and what."""


def schema() -> dict[str, Any]:
    """The JSON Schema of a report."""
    text = resources.files("fingerprints").joinpath("report.schema.json").read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))


def dumps(value: object) -> str:
    """`value` as one line of JSON that is safe wherever ASCII is."""
    return json.dumps(value, ensure_ascii=True, separators=(", ", ": "), allow_nan=False)


def _time(at: float | None) -> str | None:
    if at is None:
        return None
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return None


def _at(text: object) -> float | None:
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def problem_to_json(problem: Problem) -> dict[str, str]:
    """A Problem as ``{"where", "what", "kind"}``."""
    return {"where": problem.where, "what": problem.what, "kind": problem.kind}


def verdict_to_json(verdict: Verdict, finding: Finding) -> dict[str, Any]:
    """A verdict and its finding as the flat object of the ``identify`` contract, without its id."""
    return {
        "manufacturer": verdict.manufacturer,
        "brand": verdict.brand,
        "device_class": verdict.device_class,
        "model": verdict.model,
        "line": verdict.line,
        "channels": verdict.channels,
        "firmware": verdict.firmware,
        "serial": verdict.serial,
        "mac": verdict.mac,
        "confidence": verdict.confidence,
        "level": verdict.level,
        "finding": finding.status,
        "policies": list(finding.policies),
        "policy_matches": [
            {
                "policy": match.policy,
                "entry": match.entry,
                "basis": match.basis,
                "in_force_from": match.in_force_from,
            }
            for match in finding.matches
        ],
        "evidence": [
            {
                "rule": item.rule,
                "family": item.family,
                "field": item.field,
                "text": item.text,
                "claims": dict(item.claims),
                "weight": round(item.weight, 3),
                "proof": item.proof,
                "status": item.status,
            }
            for item in verdict.evidence
        ],
        "conflicts": [
            {"claim": row.claim, "kept": row.kept, "against": row.against, "rules": list(row.rules)}
            for row in verdict.conflicts
        ],
        "notes": [*verdict.notes, *finding.notes],
    }


def device_to_json(device: Device) -> dict[str, Any]:
    """A device of a report: the ``identify`` object with where and when it was seen."""
    return {
        "id": device.id,
        **verdict_to_json(device.verdict, device.finding),
        "problems": [problem_to_json(problem) for problem in device.problems],
        "addresses": list(device.addresses),
        "macs": list(device.macs),
        "hostnames": list(device.hostnames),
        "ports": list(device.ports),
        "vlans": list(device.vlans),
        "first_seen": _time(device.first_seen),
        "last_seen": _time(device.last_seen),
        "site": device.site,
        "location": _location_to_json(device.location),
        "observations": [_observation_to_json(row) for row in device.observations[:MAX_OBSERVATIONS]],
        **_behind_to_json(device),
    }


def _location_to_json(place: Location | None) -> dict[str, Any] | None:
    """The switch port of a device; None where no table tells it."""
    if place is None:
        return None
    return {
        "switch": place.switch,
        "port": place.port,
        "description": place.description,
        "vlan": place.vlan,
        "macs": place.macs,
        "poe_watts": place.poe_watts,
        "poe_class": place.poe_class,
    }


def _behind_to_json(device: Device) -> dict[str, Any]:
    """The recorders that a device is attached to; nothing for the many that are not."""
    if not device.behind:
        return {}
    rows = [{"recorder": row.recorder, "channels": list(row.channels)} for row in device.behind]
    return {"behind": rows, "hidden": device.hidden}


def _observation_to_json(row: Observation) -> dict[str, Any]:
    """One fact in the shape that ``identify`` reads, so that a report can be judged again."""
    shown: dict[str, Any] = {"field": row.fact.field, "text": row.fact.text[:MAX_OBSERVATION]}
    if row.protocol:
        shown["read_as"] = row.protocol
    if row.frame is not None:
        shown["frame"] = row.frame
    return shown


def report_to_json(report: Report) -> dict[str, Any]:
    """A whole report, with its schema number first."""
    return {
        "schema": SCHEMA,
        "devices": [device_to_json(device) for device in report.devices],
        "coverage": dict(report.coverage),
        "contacts": [_contact_to_json(row) for row in report.contacts],
        "phone_home": [_cloud_contact_to_json(row) for row in report.phone_home],
        "problems": [problem_to_json(problem) for problem in report.problems],
        "run": dict(report.run),
    }


def _contact_to_json(row: Contact) -> dict[str, Any]:
    """Who asked whom: ``records`` says that it was for video."""
    return {
        "from": row.asker,
        "to": row.asked,
        "protocols": list(row.protocols),
        "records": row.records,
        "first_seen": _time(row.first_seen),
        "last_seen": _time(row.last_seen),
    }


def _cloud_contact_to_json(row: CloudContact) -> dict[str, Any]:
    return {
        "device": row.device,
        "maker": row.maker,
        "name": row.name,
        "addresses": list(row.addresses),
        "fields": list(row.fields),
        "count": row.count,
        "connections_measured": row.measured,
        "bytes_sent": row.bytes_sent,
        "bytes_received": row.bytes_received,
        "first_seen": _time(row.first_seen),
        "last_seen": _time(row.last_seen),
    }


def report_from_json(document: object) -> Report:
    """Read a report back; raises `CodecError` naming the place that is wrong."""
    if not isinstance(document, Mapping):
        raise CodecError("the report is not a JSON object")
    number = document.get("schema")
    if number != SCHEMA:
        raise CodecError(f"schema {number!r} is not one this version reads ({SCHEMA})")
    devices = []
    for at, row in enumerate(_list(document, "devices", "report")):
        devices.append(device_from_json(row, f"devices[{at}]"))
    coverage, run = document.get("coverage", {}), document.get("run", {})
    if not isinstance(coverage, Mapping) or not isinstance(run, Mapping):
        raise CodecError("coverage and run are JSON objects")
    problems = tuple(_problem(row, "problems") for row in _list(document, "problems", "report"))
    contacts = tuple(_contact(row, "contacts") for row in _list(document, "contacts", "report"))
    calls = tuple(_cloud_contact(row, "phone_home") for row in _list(document, "phone_home", "report"))
    return Report(tuple(devices), coverage, problems, run, contacts, calls)


def device_from_json(row: object, where: str = "device") -> Device:
    """Read one device object; raises `CodecError` naming the place that is wrong."""
    if not isinstance(row, Mapping):
        raise CodecError(f"{where} is not a JSON object")
    confidence = row.get("confidence", 0.0)
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise CodecError(f"{where}.confidence is not a number from 0 to 1")
    verdict = Verdict(
        manufacturer=_text(row, "manufacturer", where),
        brand=_text(row, "brand", where),
        device_class=cast("DeviceClass", _one_of(row, "device_class", DEVICE_CLASSES, "unknown", where)),
        model=_text(row, "model", where),
        firmware=_text(row, "firmware", where),
        serial=_text(row, "serial", where),
        mac=_text(row, "mac", where),
        confidence=float(confidence),
        level=cast(
            "Level",
            _one_of(row, "level", ("confirmed", "probable", "possible", "unknown"), "unknown", where),
        ),
        evidence=tuple(_evidence(item, where) for item in _list(row, "evidence", where)),
        conflicts=tuple(_conflict(item, where) for item in _list(row, "conflicts", where)),
        notes=_texts(row, "notes", where),
        line=_text(row, "line", where),
        channels=_number(row, "channels", where),
    )
    status = _one_of(row, "finding", ("flagged", "suspected", "clear", "unidentified"), "unidentified", where)
    matches = tuple(_match(item, where) for item in _list(row, "policy_matches", where))
    return Device(
        id=_text(row, "id", where) or "",
        verdict=verdict,
        finding=Finding(cast("Status", status), matches),
        addresses=_texts(row, "addresses", where),
        macs=_texts(row, "macs", where),
        hostnames=_texts(row, "hostnames", where),
        ports=_numbers(row, "ports", where),
        vlans=_numbers(row, "vlans", where),
        first_seen=_at(row.get("first_seen")),
        last_seen=_at(row.get("last_seen")),
        site=_text(row, "site", where),
        problems=tuple(_problem(item, where) for item in _list(row, "problems", where)),
        observations=tuple(_observation(item, where) for item in _list(row, "observations", where)),
        location=_location(row.get("location"), f"{where}.location"),
        behind=tuple(_attachment(item, where) for item in _list(row, "behind", where)),
        hidden=row.get("hidden") is True,
    )


def _attachment(row: object, where: str) -> Attachment:
    if not isinstance(row, Mapping):
        raise CodecError(f"{where}.behind holds something that is not an object")
    return Attachment(_text(row, "recorder", where) or "", _texts(row, "channels", where))


def _list(row: Mapping[str, Any], key: str, where: str) -> Sequence[Any]:
    value = row.get(key, [])
    if not isinstance(value, list):
        raise CodecError(f"{where}.{key} is not a list")
    return value


def _text(row: Mapping[str, Any], key: str, where: str) -> str | None:
    value = row.get(key)
    if value is None or isinstance(value, str):
        return value
    raise CodecError(f"{where}.{key} is not a text")


def _texts(row: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = _list(row, key, where)
    if not all(isinstance(item, str) for item in value):
        raise CodecError(f"{where}.{key} is not a list of texts")
    return tuple(value)


def _numbers(row: Mapping[str, Any], key: str, where: str) -> tuple[int, ...]:
    value = _list(row, key, where)
    if not all(isinstance(item, int) and not isinstance(item, bool) for item in value):
        raise CodecError(f"{where}.{key} is not a list of whole numbers")
    return tuple(value)


def _number(row: Mapping[str, Any], key: str, where: str) -> int | None:
    value = row.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise CodecError(f"{where}.{key} is not a whole number")


def _one_of(row: Mapping[str, Any], key: str, known: Sequence[str], absent: str, where: str) -> str:
    value = row.get(key, absent)
    if value not in known:
        raise CodecError(f"{where}.{key} is none of {', '.join(known)}")
    return cast("str", value)


def _problem(row: object, where: str) -> Problem:
    if not isinstance(row, Mapping):
        raise CodecError(f"{where}: a problem is not a JSON object")
    return Problem(
        _text(row, "where", where) or "", _text(row, "what", where) or "", _text(row, "kind", where) or ""
    )


def _contact(row: object, where: str) -> Contact:
    if not isinstance(row, Mapping):
        raise CodecError(f"{where} holds something else than a contact")
    return Contact(
        _text(row, "from", where) or "",
        _text(row, "to", where) or "",
        _texts(row, "protocols", where),
        _at(row.get("first_seen")),
        _at(row.get("last_seen")),
    )


def _cloud_contact(row: object, where: str) -> CloudContact:
    if not isinstance(row, Mapping):
        raise CodecError(f"{where} holds something else than calls for a cloud")
    return CloudContact(
        _text(row, "device", where) or "",
        _text(row, "maker", where) or "",
        _text(row, "name", where) or "",
        _texts(row, "addresses", where),
        _texts(row, "fields", where),
        _number(row, "count", where) or 0,
        _at(row.get("first_seen")),
        _at(row.get("last_seen")),
        _number(row, "connections_measured", where) or 0,
        _number(row, "bytes_sent", where),
        _number(row, "bytes_received", where),
    )


def _observation(row: object, where: str) -> Observation:
    if not isinstance(row, Mapping):
        raise CodecError(f"{where}.observations holds something else than a fact")
    field, text = _text(row, "field", where), _text(row, "text", where)
    if not field or text is None:
        raise CodecError(f"{where}.observations: a fact has `field` and `text`")
    frame = row.get("frame")
    return Observation(
        Fact(field, text),
        Speaker(),
        _text(row, "read_as", where) or "",
        frame=frame if isinstance(frame, int) else None,
    )


def _location(row: object, where: str) -> Location | None:
    if row is None:
        return None
    if not isinstance(row, Mapping):
        raise CodecError(f"{where} is not a JSON object")
    switch, port = _text(row, "switch", where), _text(row, "port", where)
    watts = row.get("poe_watts")
    if switch is None or port is None:
        raise CodecError(f"{where}: a location has `switch` and `port`")
    if watts is not None and (isinstance(watts, bool) or not isinstance(watts, int | float)):
        raise CodecError(f"{where}.poe_watts is not a number")
    return Location(
        switch,
        port,
        _text(row, "description", where),
        _number(row, "vlan", where),
        _number(row, "macs", where),
        None if watts is None else float(watts),
        _number(row, "poe_class", where),
    )


def _evidence(row: object, where: str) -> Evidence:
    if not isinstance(row, Mapping) or not isinstance(row.get("claims", {}), Mapping):
        raise CodecError(f"{where}.evidence holds something else than evidence")
    weight = row.get("weight", 0.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise CodecError(f"{where}.evidence: weight is not a number")
    return Evidence(
        rule=_text(row, "rule", where) or "",
        family=_text(row, "family", where) or "",
        field=_text(row, "field", where) or "",
        text=_text(row, "text", where) or "",
        claims={str(key): str(value) for key, value in row.get("claims", {}).items()},
        weight=float(weight),
        proof=row.get("proof") is True,
        status=_text(row, "status", where) or "stable",
    )


def _conflict(row: object, where: str) -> Conflict:
    if not isinstance(row, Mapping):
        raise CodecError(f"{where}.conflicts holds something else than a conflict")
    return Conflict(
        _text(row, "claim", where) or "",
        _text(row, "kept", where) or "",
        _text(row, "against", where) or "",
        _texts(row, "rules", where),
    )


def _match(row: object, where: str) -> PolicyMatch:
    if not isinstance(row, Mapping):
        raise CodecError(f"{where}.policy_matches holds something else than a match")
    return PolicyMatch(
        _text(row, "policy", where) or "",
        _text(row, "entry", where) or "",
        _text(row, "basis", where) or "",
        _text(row, "in_force_from", where),
    )

"""Puts a verdict in words: what was said, which rule knew it, what would change it."""

from __future__ import annotations

from collections.abc import Iterator

from fingerprints.judge import CONFIRMED, PROBABLE
from fingerprints.model import Device, Evidence, Location, Verdict
from fingerprints.rules import Knowledge, Rule

__all__ = ["explain_device", "place_in_words"]

_LEVELS = {
    "confirmed": "confirmed",
    "probable": "probable",
    "possible": "only possible",
    "unknown": "not known",
}


def explain_device(device: Device, knowledge: Knowledge) -> Iterator[str]:
    """Lines of text about one device of a report; indentation shows what belongs to what."""
    verdict = device.verdict
    rules = {rule.id: rule for rule in knowledge.rules}
    where = ", ".join(device.addresses) or device.id
    yield f"{where}: {_headline(verdict)}"
    yield f"  finding: {device.finding.status}"
    for match in device.finding.matches:
        yield f"    {match.policy}, in force from {match.in_force_from or '?'}: {match.basis}"
    for place in device.behind:
        channels = _quoted(", ".join(place.channels))
        yield f"  behind: {_quoted(place.recorder)}, channel {channels}{_only_told(device)}"
    for name in ("device_class", "model", "line", "channels", "firmware", "serial", "mac"):
        value = getattr(verdict, name)
        if value and value != "unknown":
            yield f"  {name.replace('_', ' ')}: {_quoted(str(value))}{_told_by(verdict, name, str(value))}"
    if device.location is not None:
        yield f"  plugged in: {place_in_words(device.location)}"
    yield from _evidence(verdict, rules)
    for conflict in verdict.conflicts:
        if conflict.claim == "identity":
            shared = _quoted(", ".join(conflict.rules))
            yield f"  conflict: {_quoted(conflict.against)} shows the {shared}; they are kept apart"
            continue
        yield (
            f"  conflict: {conflict.claim} {_quoted(conflict.against)} was said too (by "
            f"{', '.join(conflict.rules)}); {_quoted(conflict.kept)} is kept"
        )
    for note in (*verdict.notes, *device.finding.notes):
        yield f"  note: {note}"
    for problem in device.problems:
        yield f"  problem: {problem.where}: {_quoted(problem.what)}"
    yield f"  what would change it: {_change(verdict)}"


def place_in_words(place: Location) -> str:
    """Where to walk to: switch and port, with what is known of that port; safe on a terminal."""
    told = [f"{place.switch} port {place.port}"]
    if place.description:
        told.append(place.description)
    if place.vlan is not None:
        told.append(f"VLAN {place.vlan}")
    if place.poe_watts is not None:
        told.append(f"draws {place.poe_watts:g} W")
    elif place.poe_class is not None:
        told.append(f"PoE class {place.poe_class}")
    if place.macs is not None and place.macs > 1:
        told.append(f"one of {place.macs} MACs there")
    return _quoted(", ".join(told))


def _only_told(device: Device) -> str:
    return " (nobody but the recorder told of it)" if device.hidden else ""


def _quoted(text: str) -> str:
    """Device text that cannot play tricks on a terminal: no control or direction characters."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def _headline(verdict: Verdict) -> str:
    if verdict.manufacturer is None:
        badge = f", wearing the badge {_quoted(verdict.brand)}" if verdict.brand else ""
        return f"the maker is {_LEVELS[verdict.level]}{badge}"
    badge = f", sold as {_quoted(verdict.brand)}" if verdict.brand not in {None, verdict.manufacturer} else ""
    return f"made by {verdict.manufacturer}{badge}, {_LEVELS[verdict.level]} ({min(verdict.confidence, 0.999):.1%})"


def _told_by(verdict: Verdict, claim: str, value: str) -> str:
    tellers = [item.rule for item in verdict.evidence if item.claims.get(claim) == value]
    return f" (told by {', '.join(tellers)})" if tellers else ""


def _evidence(verdict: Verdict, rules: dict[str, Rule]) -> Iterator[str]:
    families: dict[str, list[Evidence]] = {}
    for item in verdict.evidence:
        families.setdefault(item.family, []).append(item)
    for family, items in families.items():
        voices = [item for item in items if {"manufacturer", "brand"} & set(item.claims)]
        strongest = max((item.weight for item in voices), default=0.0)
        counted = f"counts {strongest:+.1f} nats" if voices else "does not speak for a maker"
        yield f"  {family}: {counted}"
        for item in items:
            claims = ", ".join(f"{key} {_quoted(value)}" for key, value in item.claims.items())
            proof = ", proof" if item.proof else ""
            yield f"    {item.field} = {_quoted(item.text)}"
            yield f"      proves {claims} ({item.rule}, {item.weight:.1f} nats{proof}, {item.status})"
            rule = rules.get(item.rule)
            if rule is not None:
                yield f"      source: {rule.source}"


def _change(verdict: Verdict) -> str:
    if verdict.manufacturer is None:
        return "any sign of a maker: ask it over its discovery protocol, ONVIF or HTTP, or learn its MAC"
    families = {item.family for item in verdict.evidence if "manufacturer" in item.claims}
    if verdict.level == "confirmed":
        return "stronger evidence of another maker from two families; nothing weaker than that"
    missing = PROBABLE if verdict.confidence < PROBABLE else CONFIRMED
    return (
        f"a sign from a family other than {', '.join(sorted(families)) or 'these'}, or an answer to the maker's "
        f"own discovery protocol, to reach {missing:.0%}; evidence of another maker would lower it"
    )

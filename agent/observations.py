"""Reads recorded observations, one JSON object a line, into Facts.

The shape is the ``identify`` contract: ``{"id", "observations": [...]}`` where an observation
is a fact (``field``, ``text``) or a whole payload of a protocol (``protocol`` with ``payload``
text or ``payload_hex``). What cannot be used becomes a Problem of that line, never an error,
so that one bad line hides no other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent.wire import MAX_PAYLOAD, Malformed, Probe
from fingerprints.model import ATTACHED, MAX_TEXT, Fact, Problem
from fingerprints.oui import normalise_mac
from fingerprints.rules import Knowledge

__all__ = ["MAX_LINE", "MAX_OBSERVATIONS", "Sample", "read_sample"]

MAX_LINE: Final = 4 * 1024 * 1024
MAX_OBSERVATIONS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: the id it gave (any JSON value), what was said, and what could not be used."""

    id: object
    facts: tuple[Fact, ...]
    problems: tuple[Problem, ...]


def read_sample(line: str, where: str, knowledge: Knowledge, probes: Sequence[Probe]) -> Sample:
    """Read one line; `where` names it in Problems, `knowledge` has the closed vocabulary."""
    if len(line) > MAX_LINE:
        return Sample(None, (), (Problem(where, f"is longer than {MAX_LINE} characters", "oversize"),))
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = "is nested too deeply" if isinstance(error, RecursionError) else f"is not JSON: {error}"
        return Sample(None, (), (Problem(where, what, "malformed"),))
    if not isinstance(document, dict):
        return Sample(None, (), (Problem(where, "is not a JSON object", "malformed"),))
    rows = document.get("observations")
    if not isinstance(rows, list):
        return Sample(document.get("id"), (), (Problem(where, "has no list `observations`", "malformed"),))
    facts: list[Fact] = []
    problems: list[Problem] = []
    if len(rows) > MAX_OBSERVATIONS:
        problems.append(
            Problem(where, f"only the first {MAX_OBSERVATIONS} observations are read", "oversize")
        )
    by_name = {name: probe for probe in probes for name in (probe.name, *probe.aliases)}
    for at, row in enumerate(rows[:MAX_OBSERVATIONS]):
        place = f"{where} observation {at + 1}"
        for item in _read(row, place, knowledge, by_name):
            if isinstance(item, Fact):
                facts.append(item)
            else:
                problems.append(item)
    return Sample(document.get("id"), tuple(facts), tuple(problems))


def _read(
    row: Any, place: str, knowledge: Knowledge, probes: Mapping[str, Probe]
) -> Iterator[Fact | Problem]:
    if not isinstance(row, dict):
        yield Problem(place, "is not a JSON object", "malformed")
    elif "field" in row:
        yield from _fact(row, place, knowledge, probes)
    elif "protocol" in row:
        yield from _payload(row, place, probes)
    else:
        yield Problem(place, "has neither `field` nor `protocol`", "malformed")


def _fact(
    row: Mapping[str, Any], place: str, knowledge: Knowledge, probes: Mapping[str, Probe]
) -> Iterator[Fact | Problem]:
    name, text = row["field"], row.get("text")
    field = knowledge.field_named(name) if isinstance(name, str) else None
    if field is None:
        yield Problem(place, f"unknown field {str(name)[:80]!r}", "unknown-field")
        return
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str):
        yield Problem(place, f"the text of {field.name} is not a text", "malformed")
        return
    text = text[:MAX_TEXT]
    if field.name == "mac":
        mac = normalise_mac(text)
        if mac is None:
            yield Problem(place, f"{text[:40]!r} is not a MAC address", "malformed")
            return
        text = mac
    yield Fact(field.name, text)
    reader = probes.get(field.read_as)
    if reader is not None:
        yield from _dissected(reader, text.encode("utf-8", "replace")[:MAX_PAYLOAD], place)


def _payload(row: Mapping[str, Any], place: str, probes: Mapping[str, Probe]) -> Iterator[Fact | Problem]:
    name = row["protocol"]
    probe = probes.get(name) if isinstance(name, str) else None
    if isinstance(row.get("payload"), str):
        payload = row["payload"].encode("utf-8", "replace")
    elif isinstance(row.get("payload_hex"), str):
        try:
            payload = bytes.fromhex(row["payload_hex"])
        except ValueError:
            yield Problem(place, "payload_hex is not hexadecimal", "malformed")
            return
    else:
        yield Problem(place, "has neither a text `payload` nor `payload_hex`", "malformed")
        return
    if probe is None:
        # Somebody else's name for it: the bytes may still say what they are.
        yield Problem(place, f"unknown protocol {str(name)[:80]!r}", "unknown-protocol")
        probe = next((other for other in probes.values() if other.mine(payload[:MAX_PAYLOAD])), None)
        if probe is None:
            return
    if len(payload) > MAX_PAYLOAD:
        yield Problem(place, f"only the first {MAX_PAYLOAD} bytes are read", "oversize")
    yield from _dissected(probe, payload[:MAX_PAYLOAD], place)


def _dissected(probe: Probe, payload: bytes, place: str) -> Iterator[Fact | Problem]:
    """What a probe reads in a payload; nothing at all is a Problem, too."""
    said = False
    try:
        for fact in probe.dissect(payload, b""):
            said |= fact.about != "listener"
            # What a recorder says of its cameras is not said of the recorder.
            if fact.about != "listener" and not fact.about.startswith(ATTACHED):
                yield fact
    except Malformed as error:
        yield Problem(place, f"{probe.name}: {error}", "malformed")
        return
    if not said:
        yield Problem(place, f"nothing in it reads as {probe.name}", "unread")

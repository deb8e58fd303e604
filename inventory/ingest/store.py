"""Stores a chunk of devices, of one report or of several: a handful of statements for all of them.

The steps, each one statement for all devices: which are told by the very bytes of last time; of the
others, who carries these keys; what is known of those devices; where they were; then what is new goes
in, and times move on. A device that says what it said last time costs two updates of its times.

Bytes tell a device only where its keys would: as long as no other device carries the keys that decide.
Whoever begins to share a key makes those that carry it be looked up by their keys again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from inventory.clean import shown
from inventory.ingest import bulk
from inventory.ingest.glance import Glance, clock, glance, raw_of, whole
from inventory.ingest.history import Interval, late, widen
from inventory.ingest.reading import Details, Refused, Said, details, said
from inventory.ingest.resolve import Known, Match, resolve
from inventory.models import Alert, Device, Facts, Finding, Identity, Plan, PlanChange, Sighting, Verdict
from inventory.timeline import plan_state, seen_again

__all__ = ["CHUNK", "Context", "Mixed", "Outcome", "look", "store"]

CHUNK: Final = 500
_TOUCHED: Final = ["first_seen", "last_seen"]
_PLACE: Final = ["site_id", "address", "vlan"]
_WHAT: Final = [
    "hostname",
    "mac",
    "serial",
    "manufacturer",
    "brand",
    "device_class",
    "model",
    "firmware",
    "confidence",
    "level",
    "finding",
    "verdict_digest",
    "finding_digest",
    "said_digest",
    "conflicted",
    "plan_state",
    "policies",
]
_STATE: Final = [
    "id",
    "site_id",
    "address",
    "vlan",
    "manufacturer",
    "first_seen",
    "last_seen",
    "verdict_digest",
    "finding_digest",
    "said_digest",
    "conflicted",
    "plan_state",
    "said_bytes",
]
_AT_SIGHT: Final = [
    "id", "address", "vlan", "first_seen", "last_seen", "plan_state",
]  # fmt: skip


class Mixed(Exception):  # noqa: N818 - an answer, not a fault
    """Two reports tell of the same device: they are stored one after the other, not together."""


@dataclass(frozen=True, slots=True)
class Context:
    """What all devices of a report share."""

    site: int
    site_names: frozenset[str]
    """What a device's own `site` may say."""
    agent: int | None
    at: datetime
    """When the run ended: the time of devices that state none."""
    now: datetime
    gap: timedelta
    knowledge: str = ""
    policy_date: date | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer for one device: its place in the report, its id there and here, or why not."""

    id: str
    device: int | None
    change: str = ""
    """``new``, ``changed`` or ``same``."""
    reason: str = ""
    left: int | None = None
    """The site that it was at before, if it was another."""

    @property
    def accepted(self) -> bool:
        """Whether the device was taken."""
        return self.device is not None


@dataclass(slots=True)
class _State:
    """A device as the inventory has it."""

    id: int
    site: int
    address: str
    vlan: int | None
    manufacturer: str
    first: datetime
    last: datetime
    verdict: str
    finding: str
    said: str
    conflicted: bool
    plan: str
    bytes: str | UUID | None

    @property
    def bytes_digest(self) -> str | None:
        """As 32 hexadecimal digits, whichever way the database gives it."""
        return self.bytes.hex if isinstance(self.bytes, UUID) else self.bytes


@dataclass(slots=True)
class _Familiar:
    """A device of the report that says what it said last time; `kept` is when it was seen until now."""

    id: int
    context: Context
    said: Glance
    kept: tuple[datetime, datetime]


@dataclass(slots=True)
class _Taken:
    """A device of the report that is to be stored; `state` None: a new one."""

    said: Said
    context: Context
    id: int
    state: _State | None
    details: Details | None
    conflicted: bool


def store(
    rows: Sequence[Any],
    contexts: Sequence[Context],
    glances: Sequence[Glance | None],
    given: Collection[int] = (),
) -> list[Outcome]:
    """Store device objects, in one transaction that the caller holds; an outcome for each, in order.

    Each row has the context of its report, and what `look` made of it. `given` are devices that earlier chunks
    of the report have turned out to be. Raises `Mixed` where rows of two reports may be the same device.
    """
    outcomes: list[Outcome | None] = [None] * len(rows)
    familiar = _familiar(glances, contexts, given)
    for place, row in familiar.items():
        outcomes[place] = Outcome(shown(row.said.id, 200), row.id, "same")
    read: list[tuple[int, Context, Said]] = []
    for place, (row, context) in enumerate(zip(rows, contexts, strict=True)):
        if place in familiar:
            continue
        found = None
        try:
            found = whole(row)
            _check_site(found, context)
            one = said(found, context.site, context.at, context.now)
            seen = glances[place]
            one.bytes_digest = seen.digest if seen is not None else None
            read.append((place, context, one))
        except Refused as why:
            name = found.get("id") if isinstance(found, dict) else None
            outcomes[place] = Outcome(name[:200] if isinstance(name, str) else "", None, "", str(why))
    carriers, states = _known([row for _, _, row in read])
    if contexts and any(context is not contexts[0] for context in contexts):
        _keep_apart(read, familiar.values(), carriers)
    given = {*given, *(row.id for row in familiar.values())}
    matches = _resolved([row for _, _, row in read], carriers, states, given)
    taken: list[_Taken] = []
    fresh = iter(bulk.reserve(Device, sum(match.device is None for match in matches)))
    for (place, context, one), match in zip(read, matches, strict=True):
        state = states.get(match.device) if match.device is not None else None
        try:
            new = None if state is not None and state.said == one.digest else details(one)
        except Refused as why:
            outcomes[place] = Outcome(one.id, None, "", str(why))
            continue
        device = state.id if state is not None else next(fresh)
        taken.append(_Taken(one, context, device, state, new, bool(match.conflicts)))
        # One that was said to be gone changes by being seen.
        is_same = new is None and state is not None and not seen_again(state.plan)
        change = "new" if state is None else ("same" if is_same else "changed")
        left = state.site if state is not None and state.site != context.site else None
        outcomes[place] = Outcome(one.id, device, change, left=left)
    _write(taken, matches, carriers, states)
    _write_times(familiar.values())
    _write_sightings([*taken, *familiar.values()])
    return [outcome for outcome in outcomes if outcome is not None]


def look(rows: Sequence[Any], contexts: Sequence[Context]) -> list[Glance | None]:
    """Glance at each row; needs no database, so nobody has to wait for it who wants to write."""
    clocks = {id(context): clock(context.at, context.now) for context in contexts}
    found = []
    for row, context in zip(rows, contexts, strict=True):
        raw = raw_of(row)
        found.append(None if raw is None else glance(raw, clocks[id(context)]))
    return found


def _familiar(
    glances: Sequence[Glance | None], contexts: Sequence[Context], given: Collection[int]
) -> dict[int, _Familiar]:
    """By their places those of which nothing but the times is new."""
    wanted = {
        (context.site, seen.digest)
        for seen, context in zip(glances, contexts, strict=True)
        if seen is not None and (seen.site is None or seen.site in context.site_names)
    }
    pairs = list(wanted)
    kept = {
        pairs[place]: row for place, *row in bulk.pairs(Device, _AT_SIGHT, ("site_id", "said_bytes"), pairs)
    }
    found = {}
    taken = set(given)
    for place, (seen, context) in enumerate(zip(glances, contexts, strict=True)):
        if seen is None or (row := kept.get((context.site, seen.digest))) is None:
            continue
        device, address, vlan, first, last, plan = row
        here = seen.addresses[0] if seen.addresses else ""
        # What comes late, or is back from its removal, is for the long way.
        if device in taken or seen.last < last or seen_again(plan) or (here, seen.vlan) != (address, vlan):
            continue
        taken.add(device)
        found[place] = _Familiar(device, context, seen, (first, last))
    return found


def _keep_apart(
    read: Sequence[tuple[int, Context, Said]], familiar: Iterable[_Familiar], carriers: dict[str, list[int]]
) -> None:
    """Raise `Mixed` where a key, or a device that carries it, is spoken of by two reports."""
    owners: dict[str | int, Context] = {row.id: row.context for row in familiar}
    for _, context, row in read:
        for key in (*row.strong, *row.weak):
            for thing in (key, *carriers.get(key, ())):
                if owners.setdefault(thing, context) is not context:
                    raise Mixed


def _check_site(row: Any, context: Context) -> None:
    named = row.get("site") if isinstance(row, dict) else None
    if named is not None and named not in context.site_names:
        raise Refused("names another site than the report")


def _known(rows: Sequence[Said]) -> tuple[dict[str, list[int]], dict[int, _State]]:
    keys = list({key for row in rows for key in (*row.strong, *row.weak)})
    carriers: dict[str, list[int]] = defaultdict(list)
    for key, device in bulk.select(Identity, ["key", "device_id"], "key", keys, also=" ORDER BY id"):
        carriers[key].append(device)
    ids = list({device for devices in carriers.values() for device in devices})
    states = {row[0]: _State(*row) for row in bulk.select(Device, _STATE, "id", ids)}
    return carriers, states


def _resolved(
    rows: Sequence[Said],
    carriers: dict[str, list[int]],
    states: dict[int, _State],
    given: Collection[int],
) -> list[Match]:
    # Sure keys of neighbours by address matter only where no sure key of the device itself is known.
    doubtful = {
        device
        for row in rows
        if not any(key in carriers for key in row.strong)
        for key in row.weak
        for device in carriers.get(key, ())
    }
    kinds: dict[int, set[str]] = defaultdict(set)
    for key, device in bulk.select(Identity, ["key", "device_id"], "device_id", list(doubtful)):
        if not key.startswith("address:"):
            kinds[device].add(key)
    makers = {device: state.manufacturer for device, state in states.items()}
    known = Known(carriers, {device: frozenset(found) for device, found in kinds.items()}, makers)
    return resolve(rows, known, given)


def _write(
    taken: Sequence[_Taken],
    matches: Sequence[Match],
    carriers: dict[str, list[int]],
    states: dict[int, _State],
) -> None:
    _write_devices(taken)
    _write_identities(taken, carriers)
    _write_history(taken)
    _write_removal(taken)
    strangers = {device for match in matches for device in match.conflicts}
    rows = [(device, True) for device in strangers if device in states and not states[device].conflicted]
    bulk.update(Device, ["conflicted"], rows)


def _write_devices(taken: Sequence[_Taken]) -> None:
    new, changed, moved, touched = [], [], [], []
    for row in taken:
        one, state, what = row.said, row.state, row.details
        place = (row.context.site, one.addresses[0] if one.addresses else "", one.vlan)
        if state is None:
            if what is not None:
                new.append(
                    (row.id, one.first, one.last, *place, *_what(one, what, "", conflicted=row.conflicted))
                )
            continue
        first, last = min(one.first, state.first), max(one.last, state.last)
        if one.last < state.last:
            if first < state.first:
                touched.append((row.id, first, last))
        elif what is not None:
            conflicted = row.conflicted or state.conflicted
            changed.append(
                (row.id, first, last, *place, *_what(one, what, state.plan, conflicted=conflicted))
            )
        elif place != (state.site, state.address, state.vlan):
            moved.append((row.id, first, last, *place))
        elif (first, last) != (state.first, state.last):
            touched.append((row.id, first, last))
    bulk.insert(Device, ["id", *_TOUCHED, *_PLACE, *_WHAT], new)
    bulk.update(Device, [*_TOUCHED, *_PLACE, *_WHAT], changed)
    bulk.update(Device, [*_TOUCHED, *_PLACE], moved)
    bulk.update(Device, _TOUCHED, touched)


def _write_times(familiar: Iterable[_Familiar]) -> None:
    rows = [(row.id, min(row.said.first, row.kept[0]), row.said.last, row.kept) for row in familiar]
    bulk.update(Device, _TOUCHED, [row[:3] for row in rows if row[1:3] != row[3]])


def _what(one: Said, what: Details, plan: str, *, conflicted: bool) -> tuple[Any, ...]:
    return (
        what.hostname,
        one.mac,
        what.serial,
        what.manufacturer,
        what.brand,
        what.device_class,
        what.model,
        what.firmware,
        what.confidence,
        what.level,
        what.finding,
        what.verdict_digest,
        what.finding_digest,
        one.digest,
        conflicted,
        plan_state(plan, what.finding),
        what.policies,
    )


def _write_identities(taken: Sequence[_Taken], carriers: dict[str, list[int]]) -> None:
    rows = [
        (key, row.id, row.said.first)
        for row in taken
        for key in dict.fromkeys((*row.said.strong, *row.said.weak))
        if row.id not in carriers.get(key, ())
    ]
    bulk.insert(Identity, ["key", "device_id", "since"], rows, unless_there=True)
    owners: dict[str, set[int]] = {
        key: set(carriers.get(key, ())) for row in taken for key in (*row.said.strong, *row.said.weak)
    }
    for key, device, _ in rows:
        owners[key].add(device)
    told: dict[int, str | None] = {
        device: None for key, _, _ in rows if len(owners[key]) > 1 for device in owners[key]
    }
    kept = {row.id: None if row.state is None else row.state.bytes_digest for row in taken}
    for row in taken:
        if row.state is None or row.said.last >= row.state.last:
            deciding = row.said.strong or row.said.weak
            sole = bool(deciding) and all(len(owners[key]) == 1 for key in deciding)
            told[row.id] = row.said.bytes_digest if sole else None
    changed = [(device, digest) for device, digest in told.items() if kept.get(device, "") != digest]
    bulk.update(Device, ["said_bytes"], changed)


def _write_sightings(taken: Sequence[_Taken | _Familiar]) -> None:
    kept: dict[tuple[int, int, str, int | None], list[Interval]] = defaultdict(list)
    met = [row for row in taken if isinstance(row, _Familiar) or row.state is not None]
    if met:
        oldest = min(row.said.first - row.context.gap for row in met)
        for ident, device, site, address, vlan, first, last in bulk.select(
            Sighting,
            ["id", "device_id", "site_id", "address", "vlan", "first_seen", "last_seen"],
            "device_id",
            [row.id for row in met],
            also=" AND last_seen >= %s",
            given=[oldest],
        ):
            kept[device, site, address, vlan].append(Interval(ident, first, last))
    new, wider, gone = [], [], []
    for row in taken:
        one, context = row.said, row.context
        for address in one.addresses or ("",):
            near = kept.get((row.id, context.site, address, one.vlan), ())
            interval, swallowed = widen(near, one.first, one.last, context.gap)
            gone += swallowed
            if interval is None:
                continue
            if interval.id is None:
                new.append(
                    (
                        row.id,
                        context.site,
                        address,
                        one.vlan,
                        interval.first,
                        interval.last,
                        context.agent,
                    )
                )
            else:
                wider.append((interval.id, interval.first, interval.last))
    names = ["device_id", "site_id", "address", "vlan", "first_seen", "last_seen", "agent_id"]
    bulk.insert(Sighting, names, new)
    bulk.update(Sighting, ["first_seen", "last_seen"], wider)
    bulk.delete(Sighting, gone)


def _write_history(taken: Sequence[_Taken]) -> None:
    verdicts, findings, facts = [], [], []
    delayed = []
    for row in taken:
        one, context, state, what = row.said, row.context, row.state, row.details
        if what is None:
            if state is not None and one.last < state.last:
                delayed.append(row)
            continue
        if state is not None and one.last < state.last:
            delayed.append(row)
            continue
        if state is None or state.verdict != what.verdict_digest:
            verdicts.append((row.id, one.last, what.verdict_digest, what.verdict, context.knowledge, False))
        if state is None or state.finding != what.finding_digest:
            findings.append(
                (
                    row.id,
                    one.last,
                    what.finding_digest,
                    what.finding,
                    what.matches,
                    context.policy_date,
                    False,
                )
            )
        facts.append((row.id, what.observations, what.hostnames, what.ports, what.location, what.behind))
    bulk.insert(Verdict, _VERDICT, verdicts)
    bulk.insert(Finding, _FINDING, findings)
    known = {row.id for row in taken if row.state is not None}
    bulk.delete(Facts, [row[0] for row in facts if row[0] in known], "device_id")
    bulk.insert(Facts, ["device_id", "observations", "hostnames", "ports", "location", "behind"], facts)
    _write_delayed(delayed)


_VERDICT: Final = ["device_id", "since", "digest", "said", "knowledge", "rejudged"]
_FINDING: Final = ["device_id", "since", "digest", "status", "matches", "policy_date", "rejudged"]


def _write_delayed(delayed: Sequence[_Taken]) -> None:
    """Put what late reports say where it belongs in the history; few are, so it is done one by one."""
    ids = [row.id for row in delayed]
    verdicts, findings = defaultdict(list), defaultdict(list)
    for ident, device, since, kept in bulk.select(
        Verdict, ["id", "device_id", "since", "digest"], "device_id", ids
    ):
        verdicts[device].append((ident, since, kept))
    for ident, device, since, kept in bulk.select(
        Finding, ["id", "device_id", "since", "digest"], "device_id", ids
    ):
        findings[device].append((ident, since, kept))
    for row in delayed:
        what, state = row.details or details(row.said), row.state
        if state is None:
            continue
        at = row.said.last
        change = late(verdicts[row.id], at, what.verdict_digest)
        if change.earlier is not None:
            Verdict.objects.filter(pk=change.earlier).update(since=at)
        if change.insert:
            Verdict.objects.create(
                device_id=row.id,
                since=at,
                digest=what.verdict_digest,
                said=orjson.loads(what.verdict),
                knowledge=row.context.knowledge,
            )
        if change.again:
            latest = max(verdicts[row.id], key=lambda kept: (kept[1], kept[0]))
            again = Verdict.objects.get(pk=latest[0])
            again.pk, again.since = None, state.last
            again.save(force_insert=True)
        change = late(findings[row.id], at, what.finding_digest)
        if change.earlier is not None:
            Finding.objects.filter(pk=change.earlier).update(since=at)
        if change.insert:
            Finding.objects.create(
                device_id=row.id,
                since=at,
                digest=what.finding_digest,
                status=what.finding,
                matches=orjson.loads(what.matches),
                policy_date=row.context.policy_date,
            )
        if change.again:
            latest = max(findings[row.id], key=lambda kept: (kept[1], kept[0]))
            once_more = Finding.objects.get(pk=latest[0])
            once_more.pk, once_more.since = None, state.last
            once_more.save(force_insert=True)


def _write_removal(taken: Sequence[_Taken]) -> None:
    """Flagged devices enter the timeline; those that were taken down and are seen again are back."""
    changes = []
    for row in taken:
        before = row.state.plan if row.state is not None else ""
        if row.details is None or (row.state is not None and row.said.last < row.state.last):
            continue
        after = plan_state(before, row.details.finding)
        if after != before:
            changes.append((row.id, row.said.last, before, after, ""))
    bulk.insert(PlanChange, ["device_id", "at", "before", "after", "why"], changes)
    back = {row.id: row for row in taken if row.state is not None and seen_again(row.state.plan)}
    if not back:
        return
    for plan in Plan.objects.filter(device_id__in=back).select_for_update(of=("self",)):
        one = back[plan.device_id].said
        if plan.removed_at is not None and one.last <= plan.removed_at:
            continue
        where = one.addresses[0] if one.addresses else "an unknown address"
        why = f"seen at {where}"
        PlanChange.objects.create(
            device_id=plan.device_id, at=one.last, before=plan.state, after="returned", why=why
        )
        Alert.objects.create(
            device_id=plan.device_id,
            kind="returned",
            at=one.last,
            what=f"A device that was {plan.state.replace('-', ' ')} was {why} again",
        )
        Device.objects.filter(pk=plan.device_id).update(plan_state="returned")
        plan.state, plan.verified_at = "returned", None
        plan.save()

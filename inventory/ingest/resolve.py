"""Decides which device of the inventory each device of a report is, by the keys it carries.

A key can lie. The surest key that is known decides: serial, MAC, ONVIF endpoint; addresses only
where nothing sure speaks against it. Keys that point to different devices are a conflict: all of
them stay, and the devices are marked. Nothing here opens a database.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from inventory.ingest.reading import Said

__all__ = ["Known", "Match", "resolve"]


@dataclass(slots=True)
class Known:
    """What the inventory knows: who carries a key, which sure keys a device has."""

    carriers: Mapping[str, Sequence[int]]
    """For each key the devices that carry it, the latest last."""
    kinds: Mapping[int, frozenset[str]]
    """For each device at one of the addresses, the sure keys it has."""
    makers: Mapping[int, str]


@dataclass(slots=True)
class Match:
    """One device of the report, with the device of the inventory that it is (None: a new one)."""

    said: Said
    device: int | None
    conflicts: frozenset[int] = field(default_factory=frozenset)
    """Other devices that one of its sure keys points to."""


def resolve(rows: Sequence[Said], known: Known, before: Collection[int] = ()) -> list[Match]:
    """One match for each of `rows`, in order; a device of the inventory is given to one of them.

    `before` are devices that are given already.
    """
    given = set(before)
    matches = []
    for row in rows:
        match = _match(row, known, given)
        if match.device is not None:
            given.add(match.device)
        matches.append(match)
    return matches


def _match(row: Said, known: Known, given: set[int]) -> Match:
    found: dict[int, None] = {}
    chosen: int | None = None
    for key in row.strong:
        carriers = known.carriers.get(key, ())
        free = [device for device in carriers if device not in given]
        if chosen is None and free:
            # Devices that share a key are told apart by whatever else they carry.
            chosen = free[0] if len(free) == 1 else max(free, key=lambda device: _shared(row, device, known))
        found |= dict.fromkeys(carriers)
    if chosen is not None:
        return Match(row, chosen, frozenset(found) - {chosen})
    if not found:
        for key in row.weak:
            for device in reversed(known.carriers.get(key, ())):
                if device not in given and _may_be(row, device, known):
                    return Match(row, device)
    return Match(row, None, frozenset(found))


def _shared(row: Said, device: int, known: Known) -> tuple[int, int]:
    keys = (*row.strong, *row.weak)
    return sum(device in known.carriers.get(key, ()) for key in keys), -device


def _may_be(row: Said, device: int, known: Known) -> bool:
    """Whether the device last met at an address may be the one that is there now."""
    maker = known.makers.get(device, "")
    if maker and row.manufacturer and maker != row.manufacturer:
        return False
    # A key of a kind in which the device has another one says that something else stands there now.
    kinds = {key.partition(":")[0] for key in row.strong}
    return not any(key.partition(":")[0] in kinds for key in known.kinds.get(device, ()))

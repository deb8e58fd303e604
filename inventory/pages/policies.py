"""The policies that come with the rules: what each says, on what basis, how many devices it may reach."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import cache

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from fingerprints.policy import Entry, Policy, load_policies
from inventory import tallies
from inventory.pages.device import knowledge
from inventory.pages.frame import Visitor, page, show

__all__ = ["policies"]


@dataclass(frozen=True, slots=True)
class Reached:
    """One entry with how many devices of that maker there are."""

    entry: Entry
    devices: int


@dataclass(frozen=True, slots=True)
class Shown:
    """One policy with its entries."""

    policy: Policy
    in_force: bool
    entries: tuple[Reached, ...]

    @property
    def devices(self) -> int:
        """Devices of all makers that it names."""
        return sum(row.devices for row in self.entries)


@cache
def _packaged() -> tuple[Policy, ...]:
    known = knowledge()
    names = sorted(path.stem for path in (known.folder / "policies").glob("*.toml"))
    return load_policies(known, names)


def _in_force(policy: Policy, today: date) -> bool:
    return policy.in_force_from <= today and (policy.in_force_to is None or today <= policy.in_force_to)


@page()
def policies(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """All policies."""
    today = timezone.now().date()
    makers: Counter[str] = Counter()
    for sort in tallies.counted(visitor.reach):
        makers[sort.manufacturer] += sort.count
    shown = [
        Shown(
            policy,
            _in_force(policy, today),
            tuple(Reached(entry, makers[entry.manufacturer]) for entry in policy.entries),
        )
        for policy in _packaged()
    ]
    return show(
        request, visitor, "policies.html", "policies", {"policies": shown, "version": knowledge().version}
    )

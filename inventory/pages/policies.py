"""The policies that come with the rules: what each says, on what basis, how many devices it may reach."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone

from fingerprints.policy import Entry, Policy, load_policies
from inventory import deadlines, tallies
from inventory.models import Deadline, Sensitivity
from inventory.pages.device import knowledge
from inventory.pages.frame import Visitor, page, show, whole

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
    deadlines: tuple[Deadline, ...]

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


class DeadlineForm(forms.Form):
    """Until when what a policy names has to be gone from sites of a class."""

    policy = forms.ChoiceField(choices=[])
    sensitivity = forms.ChoiceField(choices=Sensitivity.choices, label="At sites that are")
    due = forms.DateField(label="Gone by", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        self.fields["policy"].choices = [(row.id, row.id) for row in _packaged()]  # type: ignore[attr-defined]


@page("POST")
def policies(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """All policies, with the deadlines that whoever administers everything sets."""
    rules = visitor.user.is_superuser
    form = DeadlineForm(request.POST or None) if rules else None
    if request.method == "POST":
        if form is None:
            return show(
                request, visitor, "refused.html", "policies", {"role": "administrator of everything"}, 403
            )
        if drop := request.POST.get("drop", ""):
            row = Deadline.objects.filter(pk=whole(drop)).first()
            if row is not None:
                deadlines.clear(row, visitor.user)
                messages.success(request, "The deadline is taken back.")
            return redirect("policies")
        if form.is_valid():
            given = form.cleaned_data
            deadlines.put(given["policy"], given["sensitivity"], given["due"], visitor.user)
            messages.success(request, "The deadline is set.")
            return redirect("policies")
    today = timezone.now().date()
    due: dict[str, list[Deadline]] = {}
    for deadline in Deadline.objects.order_by("due"):
        due.setdefault(deadline.policy, []).append(deadline)
    makers: Counter[str] = Counter()
    for sort in tallies.counted(visitor.reach):
        makers[sort.manufacturer] += sort.count
    shown = [
        Shown(
            policy,
            _in_force(policy, today),
            tuple(Reached(entry, makers[entry.manufacturer]) for entry in policy.entries),
            tuple(due.get(policy.id, ())),
        )
        for policy in _packaged()
    ]
    context = {"policies": shown, "version": knowledge().version, "form": form}
    status = 422 if form is not None and form.errors else 200
    return show(request, visitor, "policies.html", "policies", context, status)

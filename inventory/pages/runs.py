"""Runs: each report that came, with what it covered."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.db.models import Q
from django.http import Http404, HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse

from inventory.api.lists import selected
from inventory.api.reads import RUNS
from inventory.models import Run
from inventory.pages.frame import Visitor, page, show
from inventory.pages.paging import page_of
from inventory.pages.sites import blind_spots

__all__ = ["run", "runs"]

SIZE: Final = 50
_COLUMNS: Final = {"site": "site__code", "agent": "agent__name", "complete": "complete"}


class RunsFilter(forms.Form):
    """Which runs; the same names as the API has."""

    site = forms.CharField(required=False, max_length=64, label="Site code")
    agent = forms.CharField(required=False, max_length=100)
    complete = forms.ChoiceField(
        required=False,
        label="Coverage",
        choices=[("", "Any"), ("true", "Complete"), ("false", "Incomplete")],
    )


@page()
def runs(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """The list, the latest first."""
    form = RunsFilter(request.GET)
    form.is_valid()
    asked = {name: value for name, value in form.cleaned_data.items() if value}
    condition = Q(
        **{_COLUMNS[name]: value == "true" if name == "complete" else value for name, value in asked.items()}
    )
    rows = selected(RUNS, visitor.reach, condition).select_related("site", "agent")
    export = QueryDict(mutable=True)
    export.update({**asked, "format": "csv"})
    context = {
        "form": form,
        "page": page_of(rows.defer("coverage", "facts"), "-id", request.GET.get("cursor", ""), SIZE),
        "filtered": bool(asked),
        "export": f"{reverse('api-1:get_runs')}?{export.urlencode()}",
    }
    return show(request, visitor, "runs.html", "runs", context, 422 if form.errors else 200)


@page()
def run(request: HttpRequest, visitor: Visitor, key: int) -> HttpResponseBase:
    """One run: who looked, where, what was not seen."""
    if key >= 2**63:
        raise Http404
    found: Run = get_object_or_404(
        selected(RUNS, visitor.reach, Q()).select_related("site__organisation", "agent"), pk=key
    )
    context = {
        "run": found,
        "blind": blind_spots(found),
        "subnets": _rows(found.coverage.get("subnets")),
        "recorders": _rows(found.coverage.get("recorders")),
        "facts": [
            (name, value)
            for name, value in found.facts.items()
            if isinstance(value, str | int | float) and not isinstance(value, bool)
        ],
    }
    return show(request, visitor, "run.html", "runs", context)


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)][:200] if isinstance(value, list) else []

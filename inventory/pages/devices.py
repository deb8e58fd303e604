"""The list of devices: filtered, searched, sorted, in chosen columns, changed many at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.http import HttpRequest, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from pydantic import ValidationError

from inventory import plans, rights, tallies
from inventory.api.lists import selected
from inventory.api.reads import DEVICES, DeviceFilters, devices_where
from inventory.models import Device, Organisation, SavedView
from inventory.pages import words
from inventory.pages.frame import Visitor, page, show, whole
from inventory.pages.paging import page_of
from inventory.pages.steps import StepForm
from inventory.tallies import Sort
from inventory.timeline import Step

__all__ = ["COLUMNS", "bulk", "devices", "keep_view"]

SIZE: Final = 50
COUNTED: Final = 1_000
"""Up to how many rows are counted where no tally knows the number."""
SORTED: Final = 50_000
"""Up to how many devices are put in an order for which no index is kept."""

COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "device": ("Device", "address"),
    "maker": ("Maker", "manufacturer"),
    "brand": ("Sold as", "brand"),
    "model": ("Model", "model"),
    "class": ("Kind", "device_class"),
    "finding": ("Finding", "finding"),
    "confidence": ("Confidence", "confidence"),
    "site": ("Site", "site__name"),
    "state": ("Removal", "plan_state"),
    "mac": ("MAC", "mac"),
    "serial": ("Serial number", "serial"),
    "firmware": ("Firmware", "firmware"),
    "vlan": ("VLAN", "vlan"),
    "switch": ("Switch and port", ""),
    "first-seen": ("First seen", "first_seen"),
    "last-seen": ("Last seen", "last_seen"),
}
"""Each column with its title and what it is sorted by."""
USUAL: Final = ("device", "maker", "model", "class", "finding", "site", "state", "last-seen")
_INDEXED: Final = frozenset({"maker"})
_UNSORTED: Final = frozenset({"vlan", "brand", "firmware", "class", "switch"})
_TALLIED: Final = {
    "finding": "finding",
    "manufacturer": "manufacturer",
    "plan_state": "plan_state",
    "site": "site__code",
}
_SORTED_BY: Final = frozenset({"finding", "manufacturer", "plan_state"})
_MOST_VIEWS: Final = 30
AT_ONCE: Final = 10_000
"""For how many devices one step is taken at once."""
_NAMED: Final = 50


@dataclass(frozen=True, slots=True)
class Head:
    """The head of one column: `sort` is what its link asks for, empty where it cannot be sorted."""

    name: str
    title: str
    sort: str
    order: str
    """``ascending``, ``descending`` or empty."""


class FilterForm(forms.Form):
    """What the filter of the list offers; the same names as the API has."""

    q = forms.CharField(
        required=False, max_length=100, label="Search", widget=forms.TextInput(attrs={"type": "search"})
    )
    finding = forms.ChoiceField(required=False, choices=[("", "Any finding"), *words.FINDINGS.items()])
    plan_state = forms.ChoiceField(
        required=False, label="Removal", choices=[("", "Any state"), *words.STATES.items()]
    )
    manufacturer = forms.CharField(
        required=False, max_length=200, label="Maker", widget=forms.TextInput(attrs={"list": "makers"})
    )
    device_class = forms.ChoiceField(
        required=False, label="Kind", choices=[("", "Any kind"), *words.CLASSES.items()]
    )
    level = forms.ChoiceField(
        required=False, label="How sure", choices=[("", "However sure"), *words.LEVELS.items()]
    )
    site = forms.CharField(required=False, max_length=64, label="Site code")
    organisation = forms.IntegerField(
        required=False, min_value=0, max_value=2**63 - 1, widget=forms.HiddenInput()
    )
    conflicted = forms.ChoiceField(
        required=False,
        label="Identity",
        choices=[("", "Any"), ("true", "In doubt"), ("false", "Not in doubt")],
    )
    due_from = forms.DateField(
        required=False, label="Due from", widget=forms.DateInput(attrs={"type": "date"})
    )
    due_until = forms.DateField(
        required=False, label="Due until", widget=forms.DateInput(attrs={"type": "date"})
    )


MORE: Final = ("device_class", "level", "site", "conflicted", "due_from", "due_until")


class ViewForm(forms.Form):
    """A name for a view."""

    name = forms.CharField(max_length=60)


def _filters(form: FilterForm) -> DeviceFilters:
    """What was asked; what is not understood is not asked, and the form says so."""
    form.is_valid()
    given = {
        name: form.data[name].strip()
        for name in form.fields
        if form.data.get(name, "").strip() and name not in form.errors
    }
    try:
        return DeviceFilters.model_validate(given)
    except ValidationError:
        return DeviceFilters.model_validate({})


def found(visitor: Visitor, filters: DeviceFilters) -> QuerySet[Device]:
    """The devices that the visitor may see, and that the filters leave."""
    return selected(DEVICES, visitor.reach, devices_where(filters))


def number(
    visitor: Visitor, filters: DeviceFilters, rows: QuerySet[Device], sorts: Sequence[Sort]
) -> tuple[int, bool]:
    """How many devices there are, and whether there are more: tallies (`sorts`: of all) know without counting."""
    given = filters.model_dump(exclude_none=True)
    if set(given) <= _SORTED_BY:
        wanted = list(given.items())
        return sum(
            row.count for row in sorts if all(getattr(row, key) == value for key, value in wanted)
        ), False
    organisation = given.pop("organisation", None)
    if set(given) <= set(_TALLIED):
        condition = Q(**{_TALLIED[name]: value for name, value in given.items()})
        if organisation is not None:
            path = Organisation.objects.filter(pk=organisation).values_list("path", flat=True).first()
            condition &= Q(site__organisation__path__startswith=path) if path else Q(pk__in=())
        return sum(sort.count for sort in tallies.counted(visitor.reach, condition)), False
    count = rows.order_by()[: COUNTED + 1].count()
    return min(count, COUNTED), count > COUNTED


@page()
def devices(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """The list."""
    form = FilterForm(request.GET)
    filters = _filters(form)
    rows = found(visitor, filters)
    sorts = tallies.counted(visitor.reach)
    count, more = number(visitor, filters, rows, sorts)
    wanted = [name for name in request.GET.getlist("column") if name in COLUMNS]
    columns = ["device", *(name for name in COLUMNS if name in (wanted or USUAL) and name != "device")]
    sort = request.GET.get("sort", "")
    sortable = _sortable(count, more=more)
    order = _order(sort, sortable)
    if "switch" in columns:
        rows = rows.annotate(
            switch=KeyTextTransform("switch", "facts__location"),
            port=KeyTextTransform("port", "facts__location"),
        )
    shown = page_of(rows.select_related("site", "plan"), order, request.GET.get("cursor", ""), SIZE)
    asked = filters.model_dump(exclude_none=True)
    chips = _chips(request.GET, form, asked)
    context = {
        "form": form,
        "usual_fields": [form[name] for name in ("finding", "plan_state", "manufacturer")],
        "more_fields": [form[name] for name in MORE],
        "more_open": any(name in asked for name in MORE) or bool(form.errors),
        "page": shown,
        "count": count,
        "more": more,
        "heads": [_head(name, sort if order != "-id" else "", sortable) for name in columns],
        "columns": columns,
        "all_columns": [(name, title, name in columns) for name, (title, _) in COLUMNS.items()],
        "unsorted": bool(sort) and order == "-id",
        "sorted_most": SORTED,
        "chips": chips,
        "export": _export(request.GET, asked),
        "views": [
            (view.name, f"?{view.query}", view.pk) for view in SavedView.objects.filter(user=visitor.user)
        ],
        "makers": sorted({sort.manufacturer for sort in sorts if sort.manufacturer})[:500],
        "step_form": StepForm() if visitor.may_plan else None,
        "at_once": AT_ONCE,
        "any_at_all": bool(asked) or count > 0,
    }
    return show(request, visitor, "devices.html", "devices", context, 422 if form.errors else 200)


def _sortable(count: int, *, more: bool) -> frozenset[str]:
    small = not more and count <= SORTED
    return frozenset(COLUMNS) - _UNSORTED if small else _INDEXED


def _order(sort: str, sortable: frozenset[str]) -> str:
    name = sort.removeprefix("-")
    if name not in sortable:
        return "-id"
    return f"{'-' if sort.startswith('-') else ''}{COLUMNS[name][1]}"


def _head(name: str, sort: str, sortable: frozenset[str]) -> Head:
    title = COLUMNS[name][0]
    if name not in sortable:
        return Head(name, title, "", "")
    if sort == name:
        return Head(name, title, f"-{name}", "ascending")
    return Head(name, title, name, "descending" if sort == f"-{name}" else "")


def _chips(query: QueryDict, form: FilterForm, asked: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What is filtered by, in words, with the query that leaves it out."""
    chips = []
    for name in asked:
        without = query.copy()
        for gone in (name, "cursor"):
            without.pop(gone, None)
        field = form.fields[name]
        text = str(form.data.get(name, ""))
        if isinstance(field, forms.ChoiceField):
            choices: Any = field.choices
            text = str(dict(choices).get(text, text))
        if name == "organisation":
            text = str(Organisation.objects.filter(pk=asked[name]).first() or text)
        chips.append((str(field.label or name.capitalize()), text, f"?{without.urlencode()}"))
    return chips


def _export(query: QueryDict, asked: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The API's address of the same devices, by format."""
    given = QueryDict(mutable=True)
    for name in asked:
        given[name] = query.get(name, "").strip()
    links = []
    for form, title in (("csv", "CSV"), ("json", "JSON"), ("ndjson", "NDJSON")):
        given["format"] = form
        given.pop("all", None)
        if form == "json":
            given["all"] = "true"
        links.append((title, f"{reverse('api-1:get_devices')}?{given.urlencode()}"))
    return links


@page("POST")
def keep_view(request: HttpRequest, visitor: Visitor) -> HttpResponseRedirect:
    """Keep the query under a name, or drop a kept one."""
    if request.method != "POST":
        return redirect("devices")
    if drop := request.POST.get("drop", ""):
        mine = SavedView.objects.filter(user=visitor.user)
        gone = mine.filter(pk=whole(drop)).delete()[0]
        if gone:
            messages.success(request, "The view is gone.")
        return redirect("devices")
    query = QueryDict(request.POST.get("query", "")[:2000].removeprefix("?"), mutable=True)
    query.pop("cursor", None)
    form = ViewForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Give the view a name of up to 60 characters.")
    elif SavedView.objects.filter(user=visitor.user).count() >= _MOST_VIEWS:
        messages.error(request, f"You have {_MOST_VIEWS} views: drop one first.")
    else:
        name = form.cleaned_data["name"]
        SavedView.objects.update_or_create(
            user=visitor.user, name=name, defaults={"query": query.urlencode()[:2000]}
        )
        messages.success(request, f"The view “{name}” is kept.")
    return redirect(f"{reverse('devices')}?{query.urlencode()}")


@page("POST")
def bulk(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """Take one step for the devices that were ticked, or for all that the filters leave, once that is confirmed."""
    if request.method != "POST":
        return redirect("devices")
    query = request.POST.get("query", "")[:2000].removeprefix("?")
    back = f"{reverse('devices')}?{query}"
    every = request.POST.get("every", "") == "1"
    chosen = _all_that_match(visitor, query) if every else _ticked(request, visitor)
    if chosen is None:
        messages.error(request, "The filters are wrong, so no step is taken.")
        return redirect(back)
    rows = list(chosen.select_related("site")[: AT_ONCE + 1])
    if not rows or len(rows) > AT_ONCE:
        told = f"A step is taken for at most {AT_ONCE:,} devices at once: filter for fewer."
        messages.error(request, told if rows else "Tick the devices that the step is for.")
        return redirect(back)
    form = StepForm(request.POST)
    context: dict[str, Any] = {"form": form, "rows": rows, "query": f"?{query}", "every": every}
    if not form.is_valid():
        return show(request, visitor, "bulk.html", "devices", context, 422)
    step = form.step()
    if every and request.POST.get("confirmed", "") != str(len(rows)):
        # More may have come since the number was shown: nobody agreed to those.
        context |= {"confirm": step, "sites": len({row.site_id for row in rows})}
        return show(request, visitor, "bulk.html", "devices", context)
    refused = _step(visitor, rows, step)
    taken = len(rows) - len(refused)
    if taken:
        messages.success(
            request,
            f"{taken:,} device{'s are' if taken != 1 else ' is'} {words.STATES[step.state].lower()} now.",
        )
    if refused:
        context |= {"rows": [], "refused": refused[:_NAMED], "refused_count": len(refused)}
        return show(request, visitor, "bulk.html", "devices", context, 422)
    return redirect(back)


def _ticked(request: HttpRequest, visitor: Visitor) -> QuerySet[Device]:
    ids = [whole(text) for text in request.POST.getlist("device")[:500]]
    return found(visitor, DeviceFilters.model_validate({})).filter(pk__in=ids)


def _all_that_match(visitor: Visitor, query: str) -> QuerySet[Device] | None:
    """The devices of the list that `query` shows, on all its pages; None where a filter is wrong."""
    form = FilterForm(QueryDict(query))
    filters = _filters(form)
    return None if form.errors else found(visitor, filters).order_by("pk")


def _step(visitor: Visitor, rows: Sequence[Device], step: Step) -> list[tuple[Device, str]]:
    """Take a step for those for which the visitor may, and the rules have it; gives the others."""
    mine = set(
        rights.sites(visitor.user, rights.needed(step.state))
        .filter(pk__in={row.site_id for row in rows})
        .values_list("pk", flat=True)
    )
    allowed = {row.pk: row for row in rows if row.site_id in mine}
    refused = [(row, "you may not do this at its site") for row in rows if row.pk not in allowed]
    refusals = plans.take_all(dict.fromkeys(sorted(allowed), step), visitor.user, partly=True)
    return refused + [(allowed[row.device], row.why) for row in refusals]

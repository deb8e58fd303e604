"""Sites in their tree, each with what was seen of it, what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from inventory import audit, tallies
from inventory.api.lists import selected
from inventory.api.reads import SITES
from inventory.fleet import jobs
from inventory.ingest.covering import spans
from inventory.models import Organisation, Role, Run, Sensitivity, Site, SiteTally, Subnet
from inventory.pages import charts, words
from inventory.pages.frame import Visitor, page, show, whole
from inventory.pages.overview import FRESH
from inventory.pages.paging import page_of
from inventory.pages.recorders import recorders

__all__ = ["Part", "blind_spots", "site", "sites"]

SIZE: Final = 50
_RUNS: Final = 60
_WAYS: Final = {
    "fresh": "Completely scanned within 30 days",
    "stale": "Last completely scanned longer ago",
    "never": "Never completely scanned",
}


@dataclass(slots=True)
class Part:
    """One organisation below the shown one, with the sums of all that hangs below it."""

    organisation: Organisation
    sites: int = 0
    flagged: int = 0
    gone: int = 0


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One site of the list."""

    site: Site
    devices: int
    flagged: int
    open: int
    last: datetime | None
    fresh: bool


class SitesFilter(forms.Form):
    """Which sites."""

    q = forms.CharField(
        required=False,
        max_length=100,
        label="Search by name or code",
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    sensitivity = forms.ChoiceField(required=False, choices=[("", "Any sensitivity"), *Sensitivity.choices])
    coverage = forms.ChoiceField(required=False, choices=[("", "Any coverage"), *_WAYS.items()])
    organisation = forms.IntegerField(
        required=False, min_value=0, max_value=2**63 - 1, widget=forms.HiddenInput()
    )


class SiteForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's class takes none when it runs
    """What people say of a site."""

    class Meta:
        model = Site
        fields = ("name", "address", "sensitivity", "owner")
        widgets = {"address": forms.Textarea(attrs={"rows": 3})}  # noqa: RUF012 - Django reads it
        labels = {"owner": "Who answers for it"}  # noqa: RUF012 - Django reads it


class SubnetForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's class takes none when it runs
    """A range of addresses that ought to be scanned."""

    class Meta:
        model = Subnet
        fields = ("range", "vlan", "name")
        labels = {"range": "Addresses", "vlan": "VLAN", "name": "What it is for"}  # noqa: RUF012 - Django reads it
        help_texts = {"range": "Such as 192.0.2.0/24"}  # noqa: RUF012 - Django reads it

    def clean_range(self) -> str:
        """The range as a network, in one way of writing."""
        try:
            return str(ip_network(self.cleaned_data["range"].strip(), strict=False))
        except ValueError:
            raise ValidationError("Enter a network such as 192.0.2.0/24") from None

    def clean_vlan(self) -> int | None:
        """A VLAN there can be."""
        vlan: int | None = self.cleaned_data["vlan"]
        if vlan is not None and vlan > 4094:
            raise ValidationError("Enter a VLAN from 0 to 4094")
        return vlan


@page()
def sites(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """One level of the tree, with the sites below it."""
    now = timezone.now()
    form = SitesFilter(request.GET)
    form.is_valid()
    asked = {name: value for name, value in form.cleaned_data.items() if value not in {None, ""}}
    chosen = visitor.organisations.filter(pk=asked.get("organisation", -1)).first()
    rows = selected(SITES, visitor.reach, _condition(asked, chosen)).select_related("organisation")
    if way := asked.get("coverage"):
        rows = _covered(rows, way, now)
    shown = page_of(rows, "name", request.GET.get("cursor", ""), SIZE)
    filtered = bool(set(asked) - {"organisation"})
    context = {
        "form": form,
        "fields": [form[name] for name in ("q", "sensitivity", "coverage")],
        "page": shown,
        "rows": _site_rows(shown.rows, now),
        "count": rows.count(),
        "chosen": chosen,
        "above": _above(visitor, chosen),
        "parts": [] if filtered else _parts(visitor, chosen),
        "filtered": filtered,
        "any_at_all": visitor.sites.exists(),
    }
    return show(request, visitor, "sites.html", "sites", context, 422 if form.errors else 200)


def _condition(asked: dict[str, Any], chosen: Organisation | None) -> Q:
    condition = Q()
    if "organisation" in asked:
        condition &= Q(organisation__path__startswith=chosen.path) if chosen else Q(pk__in=())
    if "sensitivity" in asked:
        condition &= Q(sensitivity=asked["sensitivity"])
    for word in asked.get("q", "").split()[:5]:
        condition &= Q(name__icontains=word) | Q(code__icontains=word)
    return condition


def _covered(rows: QuerySet[Site], way: str, now: datetime) -> QuerySet[Site]:
    conditions = {
        "fresh": Q(scanned__gte=now - FRESH),
        "stale": Q(scanned__lt=now - FRESH),
        "never": Q(scanned=None),
    }
    return rows.filter(conditions[way])


def _above(visitor: Visitor, chosen: Organisation | None) -> list[Organisation]:
    if chosen is None:
        return []
    ids = [int(text) for text in chosen.path.strip("/").split("/")[:-1]]
    return list(visitor.organisations.filter(pk__in=ids).order_by("path"))


def _parts(visitor: Visitor, chosen: Organisation | None) -> list[Part]:
    """What stands directly below, each with the sums of all below it."""
    mine = visitor.organisations
    top = mine.filter(parent=chosen) if chosen else mine.filter(Q(parent=None) | ~Q(parent__in=mine))
    parts = {row.path: Part(row) for row in top.order_by("name")[:300]}
    depths = {path.count("/") for path in parts}
    below = (
        visitor.sites if chosen is None else visitor.sites.filter(organisation__path__startswith=chosen.path)
    )

    def part(path: str) -> Part | None:
        pieces = path.split("/")
        return next(
            (parts[key] for depth in depths if (key := "/".join(pieces[:depth]) + "/") in parts), None
        )

    for path, count in below.order_by().values_list("organisation__path").annotate(Count("pk")):
        if found := part(path):
            found.sites += count
    counted = SiteTally.objects.filter(Q(finding="flagged") | Q(plan_state="verified-gone"))
    if not visitor.user.is_superuser or chosen is not None:
        counted = counted.filter(site__in=below.values("pk"))
    summed = (
        counted.order_by()
        .values_list("site__organisation__path")
        .annotate(
            flagged=Sum("count", filter=Q(finding="flagged")),
            gone=Sum("count", filter=Q(plan_state="verified-gone")),
        )
    )
    for path, flagged, gone in summed:
        if found := part(path):
            found.flagged += flagged or 0
            found.gone += gone or 0
    return list(parts.values())


def _site_rows(rows: Sequence[Site], now: datetime) -> list[SiteRow]:
    devices: Counter[int] = Counter()
    flagged: Counter[int] = Counter()
    still: Counter[int] = Counter()
    for tally in SiteTally.objects.filter(site__in=[row.pk for row in rows]):
        devices[tally.site_id] += tally.count
        if tally.finding == "flagged":
            flagged[tally.site_id] += tally.count
        if tally.plan_state not in {"", "verified-gone", "exempt"}:
            still[tally.site_id] += tally.count
    return [
        SiteRow(
            row,
            devices[row.pk],
            flagged[row.pk],
            still[row.pk],
            row.scanned,
            row.scanned is not None and row.scanned >= now - FRESH,
        )
        for row in rows
    ]


@page("POST")
def site(request: HttpRequest, visitor: Visitor, key: int) -> HttpResponseBase:
    """The page of one site."""
    if key >= 2**63:
        raise Http404
    rows = selected(SITES, visitor.reach, Q()).select_related("organisation")
    found: Site = get_object_or_404(rows, pk=key)
    may = visitor.may(Role.TECHNICIAN, found)
    form, subnet = SiteForm(instance=found), SubnetForm()
    status = 200
    if request.method == "POST":
        if not may:
            return show(request, visitor, "refused.html", "sites", {"role": "site technician"}, 403)
        action = request.POST.get("action", "")
        if action == "describe":
            form = SiteForm(request.POST, instance=Site.objects.get(pk=key))
            if form.is_valid():
                _describe(found, form, visitor)
                messages.success(request, "The site is described anew.")
                return redirect("site", key)
        elif action == "subnet":
            subnet = SubnetForm(request.POST)
            if subnet.is_valid() and _add_subnet(found, subnet, visitor):
                messages.success(request, "The subnet is added.")
                return redirect("site", key)
        elif action == "drop-subnet":
            _drop_subnet(found, request.POST.get("subnet", ""), visitor)
            return redirect("site", key)
        elif action == "scan":
            jobs.ask(found, visitor.user.get_username())
            messages.success(
                request, "A scan is asked for. An agent of this site takes it when it next calls."
            )
            return redirect("site", key)
        status = 422
    return show(request, visitor, "site.html", "sites", _about(found, visitor, form, subnet, may=may), status)


def _about(found: Site, visitor: Visitor, form: SiteForm, subnet: SubnetForm, *, may: bool) -> dict[str, Any]:
    sorts = tallies.counted(frozenset({found.pk}))
    findings: Counter[str] = Counter()
    states: Counter[str] = Counter()
    makers: dict[str, Counter[str]] = {}
    for sort in sorts:
        findings[sort.finding] += sort.count
        states[sort.plan_state] += sort.count
        makers.setdefault(sort.manufacturer or "Not known", Counter())[sort.finding] += sort.count
    runs = list(found.runs.select_related("agent").order_by("-started")[:_RUNS])
    complete = [run for run in runs if run.complete]
    now = timezone.now()
    on_timeline = sum(states[state] for state in words.STATES)
    return {
        "site": found,
        "above": [*_above(visitor, found.organisation), found.organisation],
        "findings": [(name, title, findings[name]) for name, title in words.FINDINGS.items()],
        "total": findings.total(),
        "states": [(state, title, states[state]) for state, title in words.STATES.items() if states[state]],
        "state_bar": charts.bar([(state, states[state]) for state in words.STATES], on_timeline, 4),
        "on_timeline": on_timeline,
        "makers": sorted(
            ((name, counts["flagged"], counts.total()) for name, counts in makers.items()),
            key=lambda row: (-row[1], -row[2], row[0]),
        ),
        "runs": runs[:8],
        "last": complete[0] if complete else None,
        "fresh": bool(complete) and complete[0].finished >= now - FRESH,
        "blind": blind_spots(runs[0]) if runs else [],
        "recorders": recorders(visitor, found, runs),
        "subnets": _subnets(found, complete),
        "jobs": found.jobs.order_by("-created")[:5],
        "form": form if form.errors or not subnet.errors else subnet,
        "site_form": form,
        "subnet_form": subnet,
        "may": may,
        "week": now - timedelta(days=7),
    }


def blind_spots(run: Run) -> list[dict[str, Any]]:
    """What a run says it could not see, each with the step that would close it."""
    spots = run.coverage.get("blind_spots")
    return [spot for spot in spots if isinstance(spot, dict)] if isinstance(spots, list) else []


def _subnets(found: Site, complete: Sequence[Run]) -> list[tuple[Subnet, Run | None]]:
    """Each expected subnet with the last complete run that covered all of it, in its VLAN."""
    rows = []
    for subnet in found.subnets.filter(expected=True).order_by("range")[:500]:
        wanted = next(iter(spans([subnet.range])), None)
        run = next(
            (run for run in complete if wanted is not None and _covers(run, wanted, subnet.vlan)), None
        )
        rows.append((subnet, run))
    return rows


def _covers(run: Run, wanted: tuple[int, int, int], vlan: int | None) -> bool:
    if vlan is not None and run.vlans is not None and vlan not in run.vlans:
        return False
    version, low, high = wanted
    return any(kind == version and first <= low and high <= last for kind, first, last in spans(run.covered))


def _describe(before: Site, form: SiteForm, visitor: Visitor) -> None:
    was = {name: getattr(before, name) for name in form.fields}
    with transaction.atomic():
        now: Site = form.save()
        audit.record(
            visitor.user.get_username(),
            "describe",
            f"site {now.pk}",
            organisation=now.organisation,
            before=was,
            after={name: getattr(now, name) for name in form.fields},
        )


def _add_subnet(found: Site, form: SubnetForm, visitor: Visitor) -> bool:
    try:
        with transaction.atomic():
            made: Subnet = form.save(commit=False)
            made.site = found
            made.save()
            audit.record(
                visitor.user.get_username(),
                "add-subnet",
                f"site {found.pk}",
                organisation=found.organisation,
                after={"range": made.range, "vlan": made.vlan, "name": made.name},
            )
    except IntegrityError:
        form.add_error("range", "This site has that subnet already")
        return False
    return True


def _drop_subnet(found: Site, key: str, visitor: Visitor) -> None:
    with transaction.atomic():
        gone = found.subnets.filter(pk=whole(key)).first()
        if gone is None:
            return
        audit.record(
            visitor.user.get_username(),
            "drop-subnet",
            f"site {found.pk}",
            organisation=found.organisation,
            before={"range": gone.range, "vlan": gone.vlan, "name": gone.name},
        )
        gone.delete()

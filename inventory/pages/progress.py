"""How the removal goes: burn-downs with their forecast, what is overdue, figures to publish."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any, Final, cast

from django import forms
from django.core.cache import cache
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Max, QuerySet, Sum
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from inventory import burndown, deadlines, publication
from inventory.api.lists import Reach
from inventory.forecast import METHOD, Forecast
from inventory.models import DailyStep, Organisation, SiteTally
from inventory.pages import charts
from inventory.pages.frame import Visitor, page, show, whole
from inventory.pages.paging import page_of
from inventory.timeline import OPEN

__all__ = ["Drawn", "drawn", "late", "progress", "published"]

SIZE: Final = 50
_ROWS: Final = 100
_KEPT_SECONDS: Final = 600
_DEAR_SECONDS: Final = 0.1
_DEAR_KEPT_SECONDS: Final = 60.0
_WEEKS_SHOWN: Final = 8
_GROUPS: Final = {
    "organisation": "organisation",
    "site": "site",
    "sensitivity": "sensitivity of the site",
    "manufacturer": "maker",
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """One burn-down as a drawing, with the table beside it."""

    chart: SafeString
    rows: tuple[burndown.Point, ...]
    open: int
    forecast: Forecast


@dataclass(frozen=True, slots=True)
class _Kept:
    """Burn-downs as they were with the step `latest`; until then they are good whatever has come since."""

    lines: list[burndown.Line]
    latest: int | None
    good_until: float


class ProgressForm(forms.Form):
    """What the burn-downs are grouped by."""

    by = forms.ChoiceField(required=False, label="Compare by", choices=list(_GROUPS.items()))


class PublicationForm(forms.Form):
    """How much the figures tell."""

    level = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=publication.MAX_LEVEL,
        label="Levels of the tree that are named",
        help_text="1: the organisations at its root.",
    )
    fewest = forms.IntegerField(
        required=False,
        min_value=3,
        max_value=1000,
        label="Smallest count that is told",
        help_text="Smaller ones, and what would tell them, are left out.",
    )


def _lines(
    sites: Reach, today: date, by: burndown.Group, every: burndown.Span, below: Organisation | None
) -> list[burndown.Line]:
    """Burn-downs, kept for some minutes as long as no site has taken another step.

    Whenever one has, its sums are written anew, with higher ids. In a country that is every few seconds:
    what takes long to add up may then be a minute old.
    """
    latest = DailyStep.objects.aggregate(Max("pk"))["pk__max"]
    try:
        reach = str(sites.query) if isinstance(sites, QuerySet) else str(sites)
    except EmptyResultSet:
        # Who has no role has no sites to ask for.
        return []
    asked = (connection.settings_dict["NAME"], reach, today, by, every, below and below.path)
    key = f"burndown-{sha256(repr(asked).encode()).hexdigest()}"
    kept: _Kept | None = cache.get(key)
    began = time.monotonic()
    if kept is not None and (kept.latest == latest or began < kept.good_until):
        return kept.lines
    lines = burndown.lines(sites, today, by, every, None, below)
    now = time.monotonic()
    good_until = now + _DEAR_KEPT_SECONDS if now - began > _DEAR_SECONDS else now
    cache.set(key, _Kept(lines, latest, good_until), _KEPT_SECONDS)
    return lines


def _busiest(visitor: Visitor, below: Organisation | None) -> Reach:
    """The sites with most to do: of more than those no page can tell."""
    rows = SiteTally.objects.filter(plan_state__in=OPEN)
    if visitor.reach is not None:
        rows = rows.filter(site__in=visitor.reach)
    if below is not None:
        rows = rows.filter(site__organisation__path__startswith=below.path)
    most = rows.order_by().values_list("site").annotate(open=Sum("count")).order_by("-open", "site")
    return frozenset(site for site, _ in most[:_ROWS])


def drawn(visitor: Visitor, today: date, below: Organisation | None = None) -> Drawn | None:
    """The burn-down of what the visitor may see; None where nothing was ever flagged."""
    found = _lines(visitor.reach, today, "", "week", below)
    if not found:
        return None
    line = found[0]
    points = [(point.day, point.open) for point in line.points]
    told = line.forecast
    ahead = None
    if told.done is not None and told.done > today:
        ahead = charts.Ahead(told.done, told.early, told.late)
    return Drawn(
        charts.burn_down(points, ahead), line.points[-_WEEKS_SHOWN:][::-1], line.points[-1].open, told
    )


@page()
def progress(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """The burn-down of all, then of each group."""
    today = timezone.now().date()
    form = ProgressForm(request.GET)
    by = (form.cleaned_data["by"] if form.is_valid() else "") or "organisation"
    chosen = visitor.organisations.filter(pk=whole(request.GET.get("organisation", ""))).first()
    sites = _busiest(visitor, chosen) if by == "site" else visitor.reach
    groups = _lines(sites, today, cast("burndown.Group", by), "month", chosen)
    export = QueryDict(mutable=True)
    export.update({"by": by, "format": "csv", **({"organisation": str(chosen.pk)} if chosen else {})})
    context = {
        "form": ProgressForm({"by": by}),
        "by": _GROUPS[by],
        "chosen": chosen,
        "drawn": drawn(visitor, today, chosen),
        "groups": groups[:_ROWS],
        "more": len(groups) >= _ROWS,
        "method": METHOD,
        "export": f"{reverse('api-1:get_burndown')}?{export.urlencode()}",
        "part": {"title": chosen.name, "query": f"organisation={chosen.pk}"} if chosen else {},
    }
    return show(request, visitor, "progress.html", "plan", context)


@page()
def late(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """What ought to be gone by now: by its own plan, or by the policy for sites of its class."""
    today = timezone.now().date()
    rows = deadlines.overdue(visitor.reach, today)
    shown = page_of(rows.select_related("site", "plan"), "id", request.GET.get("cursor", ""), SIZE)
    context = {
        "page": shown,
        "rows": [(device, deadlines.due(device)) for device in shown.rows],
        "export": f"{reverse('api-1:get_overdue')}?format=csv",
        "part": {},
    }
    return show(request, visitor, "late.html", "plan", context)


@page()
def published(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """Figures fit to be published, as they would be."""
    form = PublicationForm(request.GET)
    form.is_valid()
    level = form.cleaned_data.get("level") or 1
    fewest = form.cleaned_data.get("fewest") or publication.FEWEST
    found = publication.publication(visitor.reach, timezone.now().date(), level, fewest)
    links = []
    for name, title in (("csv", "CSV"), ("json", "JSON")):
        query = QueryDict(mutable=True)
        query.update({"level": str(level), "fewest": str(fewest), "format": name})
        links.append((title, f"{reverse('api-1:get_publication')}?{query.urlencode()}"))
    context: dict[str, Any] = {
        "form": PublicationForm({"level": level, "fewest": fewest}) if form.is_valid() else form,
        "found": found,
        "links": links,
        "anything": any(len(table.rows) > 1 for table in found.tables),
        "part": {},
    }
    return show(request, visitor, "published.html", "plan", context, 422 if form.errors else 200)

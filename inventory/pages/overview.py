"""The first page: how many, how far, what is not known, who does not report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.safestring import SafeString

from inventory import deadlines, tallies
from inventory.models import Agent, Alert, ApiToken, Device, Organisation, Site
from inventory.pages import charts, words
from inventory.pages.frame import Visitor, page, show, whole
from inventory.pages.progress import drawn
from inventory.tallies import Sort

__all__ = ["Trouble", "overview", "troubled"]

SILENT: Final = timedelta(days=2)
"""How long an agent may say nothing until it is in trouble."""
ENDING: Final = timedelta(days=14)
"""How long before its end a token is spoken of."""
FRESH: Final = timedelta(days=30)
"""How old a complete scan may be for its site to count as covered."""
COUNTED: Final = 1_000
"""Up to how many overdue devices are counted."""
_MAKERS: Final = 8
_ALERTS: Final = 5
_ON_TIMELINE: Final = ("found", "scheduled", "removed", "returned", "exempt", "verified-gone")


@dataclass(frozen=True, slots=True)
class Maker:
    """One row of the table of makers."""

    name: str
    flagged: int
    suspected: int
    other: int
    bar: SafeString

    @property
    def total(self) -> int:
        """All devices of this maker."""
        return self.flagged + self.suspected + self.other


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with an agent."""

    agent: Agent
    what: str


@page()
def overview(request: HttpRequest, visitor: Visitor) -> HttpResponseBase:
    """The overview of all that the visitor may see, or of one part of the tree."""
    now = timezone.now()
    chosen = _chosen(request, visitor)
    sites = visitor.sites
    if chosen is not None:
        sites = sites.filter(organisation__path__startswith=chosen.path)
    reach = None if chosen is None and visitor.user.is_superuser else sites.values("pk")
    sorts = tallies.counted(reach)
    findings: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for sort in sorts:
        findings[sort.finding] += sort.count
        states[sort.plan_state] += sort.count
    total = findings.total()
    on_timeline = sum(states[state] for state in _ON_TIMELINE)
    overdue = deadlines.overdue(reach, now.date())
    alerts = Alert.objects.filter(settled=None).select_related("device__site")
    if reach is not None:
        alerts = alerts.filter(device__site__in=reach)
    context = {
        "total": total,
        "findings": [
            (name, title, findings[name], words.finding_help(name)) for name, title in words.FINDINGS.items()
        ],
        "makers": _makers(sorts),
        "unknown_makers": sum(sort.count for sort in sorts if not sort.manufacturer),
        "states": [(state, words.STATES[state], states[state]) for state in _ON_TIMELINE],
        "state_bar": charts.bar([(state, states[state]) for state in reversed(_ON_TIMELINE)], on_timeline, 4),
        "on_timeline": on_timeline,
        "gone": states["verified-gone"],
        "overdue": overdue.order_by()[: COUNTED + 1].count(),
        "counted": COUNTED,
        "drawn": drawn(visitor, now.date(), chosen),
        "alerts": alerts[:_ALERTS],
        "coverage": _coverage(sites, now),
        "troubles": troubled(visitor, now)[:_ALERTS],
        "agents": Agent.objects.filter(organisation__in=visitor.organisations).exists(),
        "chosen": chosen,
        "parts": _parts(visitor, chosen),
        "anything": total or Device.objects.filter(site__in=sites).exists(),
    }
    return show(request, visitor, "overview.html", "overview", context)


def _chosen(request: HttpRequest, visitor: Visitor) -> Organisation | None:
    return visitor.organisations.filter(pk=whole(request.GET.get("organisation", ""))).first()


def _parts(visitor: Visitor, chosen: Organisation | None) -> list[Organisation]:
    """Where one may go on from here: what stands directly below."""
    if chosen is not None:
        return list(visitor.organisations.filter(parent=chosen).order_by("name")[:200])
    mine = visitor.organisations
    return list(mine.filter(Q(parent=None) | ~Q(parent__in=mine)).order_by("name")[:200])


def _makers(sorts: Sequence[Sort]) -> list[Maker]:
    found: dict[str, Counter[str]] = {}
    for sort in sorts:
        if sort.manufacturer:
            kind = sort.finding if sort.finding in {"flagged", "suspected"} else "other"
            found.setdefault(sort.manufacturer, Counter())[kind] += sort.count
    ordered = sorted(found.items(), key=lambda row: (-row[1]["flagged"], -row[1].total(), row[0]))[:_MAKERS]
    most = max((counts.total() for _, counts in ordered), default=0)
    return [
        Maker(
            name,
            counts["flagged"],
            counts["suspected"],
            counts["other"],
            charts.bar(
                [
                    ("flagged", counts["flagged"]),
                    ("suspected", counts["suspected"]),
                    ("clear", counts["other"]),
                ],
                most,
            ),
        )
        for name, counts in ordered
    ]


def _coverage(sites: QuerySet[Site], now: datetime) -> dict[str, Any]:
    """How many sites were scanned completely of late, once upon a time, never."""
    found = sites.aggregate(
        sites=Count("pk"),
        fresh=Count("pk", filter=Q(scanned__gte=now - FRESH)),
        stale=Count("pk", filter=Q(scanned__lt=now - FRESH)),
    )
    found["never"] = found["sites"] - found["fresh"] - found["stale"]
    found["bar"] = charts.bar(
        [("fresh", found["fresh"]), ("stale", found["stale"]), ("never", found["never"])], found["sites"], 4
    )
    return found


def troubled(visitor: Visitor, now: datetime) -> list[Trouble]:
    """The agents that need somebody: the silent ones first, then those whose keys end."""
    agents = Agent.objects.filter(organisation__in=visitor.organisations)
    silent = agents.filter(Q(last_seen__lt=now - SILENT) | Q(last_seen=None)).order_by("last_seen", "name")
    found = [
        Trouble(agent, "has never reported" if agent.last_seen is None else "has stopped reporting")
        for agent in silent[:200]
    ]
    good = ApiToken.objects.filter(agent=OuterRef("pk"), revoked=None).order_by("-expires")
    ending = agents.annotate(ends=Subquery(good.values("expires")[:1])).filter(ends__lt=now + ENDING)
    for agent in ending.order_by("name")[:200]:
        ends: datetime = agent.ends
        said = "has no token that is good any more" if ends <= now else f"has a token until {ends:%-d %B %Y}"
        found.append(Trouble(agent, said))
    return found

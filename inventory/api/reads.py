"""What programs and pages read: devices, sites, runs, findings, steps of removal."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import FilterSchema, Query, Router
from pydantic import AwareDatetime, Field

from inventory.api.access import PersonAuth, TokenAuth, asker
from inventory.api.lists import Listing, PageQuery, answer
from inventory.models import Device, Finding, PlanChange, Run, Sighting, Site, Verdict

__all__ = ["router"]

router = Router(tags=["lists"], auth=[TokenAuth(), PersonAuth()])


def _same(*names: str, **renamed: str) -> dict[str, str]:
    return {**{name: name for name in names}, **renamed}


DEVICES: Final = Listing(
    Device.objects.all,
    "site_id",
    _same(
        "id", "address", "vlan", "hostname", "mac", "serial", "manufacturer", "brand", "device_class",
        "model", "firmware", "confidence", "level", "finding", "first_seen", "last_seen", "conflicted",
        "plan_state", site="site__code", plan_due="plan__due", plan_owner="plan__owner",
    ),
)  # fmt: skip
SITES: Final = Listing(
    Site.objects.all,
    "pk",
    _same("id", "code", "name", "address", "sensitivity", "owner", organisation="organisation__name"),
)
RUNS: Final = Listing(
    Run.objects.all,
    "site_id",
    _same(
        "id", "report", "started", "finished", "complete", "covered", "vlans", "accepted", "refused",
        "problems", "parts", "parts_received", "coverage", site="site__code", agent="agent__name",
    ),
)  # fmt: skip
FINDINGS: Final = Listing(
    Finding.objects.all,
    "device__site_id",
    _same("id", "since", "status", "matches", "policy_date", "rejudged", device="device_id"),
)
VERDICTS: Final = Listing(
    Verdict.objects.all,
    "device__site_id",
    _same("id", "since", "said", "knowledge", "rejudged", device="device_id"),
)
SIGHTINGS: Final = Listing(
    Sighting.objects.all,
    "site_id",
    _same("id", "address", "vlan", "first_seen", "last_seen", device="device_id", site="site__code"),
)
TIMELINE: Final = Listing(
    PlanChange.objects.all,
    "device__site_id",
    _same("id", "at", "before", "after", "why", device="device_id", by="by__username"),
)


def _given(filters: FilterSchema, **columns: str) -> dict[str, Any]:
    """The filters that were given, by the columns that they are on."""
    given = filters.model_dump(exclude_none=True)
    return {columns.get(name, name): value for name, value in given.items()}


class DeviceFilters(FilterSchema):
    """Which devices."""

    site: str | None = Field(None, max_length=64)
    finding: str | None = Field(None, max_length=12)
    manufacturer: str | None = Field(None, max_length=200)
    device_class: str | None = Field(None, max_length=20)
    level: str | None = Field(None, max_length=12)
    plan_state: str | None = Field(None, max_length=16)
    mac: str | None = Field(None, max_length=17)
    address: str | None = Field(None, max_length=64)
    serial: str | None = Field(None, max_length=200)
    conflicted: bool | None = None
    seen_since: AwareDatetime | None = None


class SiteFilters(FilterSchema):
    """Which sites."""

    code: str | None = Field(None, max_length=64)
    sensitivity: str | None = Field(None, max_length=20)


class RunFilters(FilterSchema):
    """Which runs."""

    site: str | None = Field(None, max_length=64)
    agent: str | None = Field(None, max_length=100)
    complete: bool | None = None
    since: AwareDatetime | None = None


class OfDevice(FilterSchema):
    """Of which device."""

    device: int | None = Field(None, ge=0, lt=2**63)


def _list(
    request: HttpRequest, listing: Listing, page: PageQuery, filters: dict[str, Any]
) -> HttpResponseBase:
    for value in filters.values():
        if isinstance(value, str) and "\0" in value:
            # No text here holds one, and PostgreSQL refuses to look for it.
            return answer(listing, frozenset(), page, {})
        if isinstance(value, datetime) and not 1900 < value.year < 9999:
            return answer(listing, frozenset(), page, {})
    return answer(listing, asker(request).sites, page, filters)


@router.get("/devices", summary="Devices")
def get_devices(
    request: HttpRequest, page: Query[PageQuery], filters: Query[DeviceFilters]
) -> HttpResponseBase:
    """Devices, each with what is current of it."""
    return _list(request, DEVICES, page, _given(filters, site="site__code", seen_since="last_seen__gte"))


@router.get("/sites", summary="Sites")
def get_sites(request: HttpRequest, page: Query[PageQuery], filters: Query[SiteFilters]) -> HttpResponseBase:
    """Sites that may be read."""
    return _list(request, SITES, page, _given(filters))


@router.get("/runs", summary="Runs")
def get_runs(request: HttpRequest, page: Query[PageQuery], filters: Query[RunFilters]) -> HttpResponseBase:
    """Runs with what they covered."""
    columns = _given(filters, site="site__code", agent="agent__name", since="started__gte")
    return _list(request, RUNS, page, columns)


@router.get("/findings", summary="Findings, current and past")
def get_findings(request: HttpRequest, page: Query[PageQuery], filters: Query[OfDevice]) -> HttpResponseBase:
    """What policies said, from when on."""
    return _list(request, FINDINGS, page, _given(filters, device="device_id"))


@router.get("/verdicts", summary="Verdicts with their evidence, current and past")
def get_verdicts(request: HttpRequest, page: Query[PageQuery], filters: Query[OfDevice]) -> HttpResponseBase:
    """What was judged, from when on, by which evidence."""
    return _list(request, VERDICTS, page, _given(filters, device="device_id"))


@router.get("/sightings", summary="Intervals in which devices were seen")
def get_sightings(request: HttpRequest, page: Query[PageQuery], filters: Query[OfDevice]) -> HttpResponseBase:
    """Where devices were, from when to when."""
    return _list(request, SIGHTINGS, page, _given(filters, device="device_id"))


@router.get("/timeline", summary="Steps of removal")
def get_timeline(request: HttpRequest, page: Query[PageQuery], filters: Query[OfDevice]) -> HttpResponseBase:
    """Each step of each device's removal."""
    return _list(request, TIMELINE, page, _given(filters, device="device_id"))

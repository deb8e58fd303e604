"""What programs and pages read: devices, sites, runs, findings, steps of removal."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final

from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import FilterSchema, Query, Router
from pydantic import AwareDatetime, BeforeValidator, Field

from inventory.api.access import PersonAuth, TokenAuth, asker
from inventory.api.lists import Listing, PageQuery, answer
from inventory.models import (
    CloudCall,
    Contact,
    Device,
    Finding,
    Organisation,
    PlanChange,
    Run,
    Sighting,
    Site,
    Verdict,
)

__all__ = ["DEVICES", "RUNS", "SITES", "DeviceFilters", "devices_where", "router"]

MAX_WORDS: Final = 5
"""Most words of a search."""


def _written(value: object) -> object:
    """A time is a text: pydantic would take a number for seconds since 1970, which nobody means here."""
    if not isinstance(value, str) or value.replace(".", "", 1).lstrip("+-").isdigit():
        raise ValueError("a time is written like 2027-03-31T06:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written)]
Day = Annotated[date, BeforeValidator(_written)]

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
        switch="facts__location__switch", port="facts__location__port",
        poe_watts="facts__location__poe_watts", behind="facts__behind",
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
CONTACTS: Final = Listing(
    Contact.objects.all,
    "asker__site_id",
    _same("id", "protocols", "records", "first_seen", "last_seen", asker="asker_id", asked="asked_id"),
)
CLOUD_CALLS: Final = Listing(
    CloudCall.objects.all,
    "device__site_id",
    _same(
        "id", "maker", "name", "addresses", "count", "bytes_sent", "bytes_received", "first_seen",
        "last_seen", device="device_id",
    ),
)  # fmt: skip
TIMELINE: Final = Listing(
    PlanChange.objects.all,
    "device__site_id",
    _same("id", "at", "before", "after", "why", device="device_id", by="by__username"),
)


def _given(filters: FilterSchema, **columns: str) -> dict[str, Any]:
    """The filters that were given, by the columns that they are on."""
    given = filters.model_dump(exclude_none=True)
    return {columns.get(name, name): value for name, value in given.items()}


def _condition(given: dict[str, Any]) -> Q:
    """What the filters ask for; values that no row can have leave none."""
    for value in given.values():
        if isinstance(value, str) and "\0" in value:
            # No text here holds one, and PostgreSQL refuses to look for it.
            return Q(pk__in=())
        if isinstance(value, datetime) and not 1900 < value.year < 9999:
            return Q(pk__in=())
    return Q(**given)


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
    seen_since: Moment | None = None
    unseen_since: Moment | None = Field(None, description="Last seen before then.")
    due_from: Day | None = None
    due_until: Day | None = None
    organisation: int | None = Field(
        None, ge=0, lt=2**63, description="The id of an organisation, with all that stands below it."
    )
    q: str | None = Field(
        None,
        max_length=100,
        description="Words: each begins the address, MAC, maker or brand, or stands in the host name, serial or model.",
    )


class SiteFilters(FilterSchema):
    """Which sites."""

    code: str | None = Field(None, max_length=64)
    sensitivity: str | None = Field(None, max_length=20)


class RunFilters(FilterSchema):
    """Which runs."""

    site: str | None = Field(None, max_length=64)
    agent: str | None = Field(None, max_length=100)
    complete: bool | None = None
    since: Moment | None = None


class OfDevice(FilterSchema):
    """Of which device."""

    device: int | None = Field(None, ge=0, lt=2**63)


_DEVICE_COLUMNS: Final = {
    "site": "site__code",
    "seen_since": "last_seen__gte",
    "unseen_since": "last_seen__lt",
    "due_from": "plan__due__gte",
    "due_until": "plan__due__lte",
}
_BEGINS: Final = ("address", "mac", "manufacturer", "brand")
_WITHIN: Final = ("hostname", "serial", "model")
"""Where a word of a search stands; both are what the indexes of PostgreSQL are made for."""


def devices_where(filters: DeviceFilters) -> Q:
    """The condition that the filters of the device list make, for programs as for pages."""
    given = _given(filters, **_DEVICE_COLUMNS)
    words, organisation = given.pop("q", ""), given.pop("organisation", None)
    condition = _condition(given)
    if organisation is not None:
        path = Organisation.objects.filter(pk=organisation).values_list("path", flat=True).first()
        condition &= Q(site__organisation__path__startswith=path) if path else Q(pk__in=())
    for word in words.replace("\0", " ").split()[:MAX_WORDS]:
        held = Q()
        for column in _BEGINS:
            held |= Q(**{f"{column}__istartswith": word})
        for column in _WITHIN:
            held |= Q(**{f"{column}__icontains": word})
        condition &= held
    return condition


def _list(
    request: HttpRequest, listing: Listing, page: PageQuery, filters: dict[str, Any]
) -> HttpResponseBase:
    return answer(listing, asker(request).sites, page, _condition(filters))


@router.get("/devices", summary="Devices")
def get_devices(
    request: HttpRequest, page: Query[PageQuery], filters: Query[DeviceFilters]
) -> HttpResponseBase:
    """Devices, each with what is current of it."""
    return answer(DEVICES, asker(request).sites, page, devices_where(filters))


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


@router.get("/contacts", summary="Which devices asked which")
def get_contacts(request: HttpRequest, page: Query[PageQuery], filters: Query[OfDevice]) -> HttpResponseBase:
    """Devices that asked others, by which protocols; `device` is the one that asked."""
    return _list(request, CONTACTS, page, _given(filters, device="asker_id"))


@router.get("/cloud-calls", summary="Which clouds devices call")
def get_cloud_calls(
    request: HttpRequest, page: Query[PageQuery], filters: Query[OfDevice]
) -> HttpResponseBase:
    """Names of makers' clouds that devices called."""
    return _list(request, CLOUD_CALLS, page, _given(filters, device="device_id"))

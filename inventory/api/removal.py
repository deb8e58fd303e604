"""Lets programs and pages see how devices come down, plan it, publish it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Literal

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import Field

from inventory import burndown, deadlines, plans, publication, rights, sheets
from inventory.api.access import PersonAuth, TokenAuth, asker
from inventory.api.bodies import sent
from inventory.api.lists import PageQuery, answer
from inventory.api.reads import DEVICES
from inventory.api.reports import Fault, Mistakes
from inventory.clean import formula_safe
from inventory.forecast import METHOD
from inventory.models import Deadline, Device, Organisation, Sensitivity
from inventory.timeline import STATES, Step
from inventory.unpacking import BodyError

__all__ = ["router"]

router = Router(tags=["removal"], auth=[TokenAuth(), PersonAuth()])
_MAX_SHEET = 32 * 1024 * 1024
_MAX_BULK = 10_000
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class BurndownQuery(Schema):
    """Which burn-downs, in which steps of time."""

    by: burndown.Group = ""
    every: burndown.Span = "week"
    organisation: int | None = Field(None, ge=0, lt=2**63, description="With all that stands below it.")
    site: str | None = Field(None, max_length=64)
    sensitivity: str | None = Field(None, max_length=20)
    manufacturer: str | None = Field(None, max_length=200)
    format: Literal["json", "csv"] = "json"


class ForecastAnswer(Schema):
    """When the last device will be gone, likely between `early` and `late`; `why` there is no `done`."""

    done: date | None
    early: date | None
    late: date | None
    weekly: float | None
    why: str


class PointAnswer(Schema):
    """How many devices were in each state at the end of a day."""

    day: date
    open: int
    states: dict[str, int]


class LineAnswer(Schema):
    """One burn-down."""

    name: str
    forecast: ForecastAnswer
    points: list[PointAnswer]


class BurndownAnswer(Schema):
    """Burn-downs, the one with most to do first."""

    method: str
    lines: list[LineAnswer]


@router.get("/burndown", response={200: BurndownAnswer, 401: Fault}, summary="How devices came down")
def get_burndown(request: HttpRequest, query: Query[BurndownQuery]) -> BurndownAnswer | HttpResponseBase:
    """Devices by state over time, with a forecast of the day when the last is gone."""
    below = None
    texts = {
        "site__code": query.site,
        "site__sensitivity": query.sensitivity,
        "manufacturer": query.manufacturer,
    }
    given = {key: value for key, value in texts.items() if value is not None}
    condition = Q(pk__in=()) if any("\0" in value for value in given.values()) else Q(**given)
    if query.organisation is not None:
        below = Organisation.objects.filter(pk=query.organisation).first()
        condition &= Q() if below is not None else Q(pk__in=())
    today = timezone.now().date()
    found = burndown.lines(asker(request).sites, today, query.by, query.every, condition, below)
    if query.format == "csv":
        return _csv(_burndown_rows(found), "burndown.csv")
    return BurndownAnswer(
        method=METHOD,
        lines=[
            LineAnswer(
                name=line.name,
                forecast=ForecastAnswer(
                    done=line.forecast.done,
                    early=line.forecast.early,
                    late=line.forecast.late,
                    weekly=line.forecast.weekly,
                    why=line.forecast.why,
                ),
                points=[
                    PointAnswer(day=point.day, open=point.open, states=dict(point.counts))
                    for point in line.points
                ],
            )
            for line in found
        ],
    )


def _burndown_rows(found: Sequence[burndown.Line]) -> Iterator[list[str]]:
    yield ["name", "day", "open", *STATES, "forecast", "forecast_early", "forecast_late"]
    for line in found:
        ends = [str(day or "") for day in (line.forecast.done, line.forecast.early, line.forecast.late)]
        for point in line.points:
            counts = [str(point.counts[state]) for state in STATES]
            yield [formula_safe(line.name), str(point.day), str(point.open), *counts, *ends]


def _csv(rows: Iterator[list[str]], name: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        sheets.csv_lines(rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get("/overdue", summary="Devices that ought to be gone by now")
def get_overdue(request: HttpRequest, page: Query[PageQuery]) -> HttpResponseBase:
    """Devices whose own plan, or whose policy at a site of that class, named a day that has passed."""
    late = deadlines.overdue(None, timezone.now().date())
    return answer(DEVICES, asker(request).sites, page, Q(pk__in=late.values("pk")))


class DeadlineAnswer(Schema):
    """Until when what a policy flags has to be gone from sites of a class."""

    id: int
    policy: str
    sensitivity: str
    due: date


class DeadlineBody(Schema):
    """A deadline to set."""

    policy: str = Field(min_length=1, max_length=100, pattern=r"^[a-z0-9][a-z0-9.-]*$")
    sensitivity: Sensitivity
    due: date


@router.get("/deadlines", response={200: list[DeadlineAnswer], 401: Fault}, summary="Deadlines")
def get_deadlines(request: HttpRequest) -> QuerySet[Deadline]:  # noqa: ARG001 - ninja's signature
    """All deadlines: they hold everywhere."""
    return Deadline.objects.all()


@router.put(
    "/deadlines",
    response={200: DeadlineAnswer, 401: Fault, 403: Fault, 422: Mistakes},
    auth=PersonAuth(),
    tags=["removal", "people"],
    summary="Set a deadline",
)
def put_deadline(request: HttpRequest, body: DeadlineBody) -> Deadline | Status[Fault]:
    """Set, or set anew, the deadline of a policy at sites of a class; for administrators of everything."""
    user = _person(request)
    if not user.is_superuser:
        return Status(
            403, Fault(detail="deadlines hold everywhere: an administrator of everything sets them")
        )
    return deadlines.put(body.policy, body.sensitivity, body.due, user)


@router.delete(
    "/deadlines/{key}",
    response={204: None, 401: Fault, 403: Fault, 404: Fault, 422: Mistakes},
    auth=PersonAuth(),
    tags=["removal", "people"],
    summary="Take a deadline back",
)
def delete_deadline(request: HttpRequest, key: int) -> Status[Any]:
    """Take a deadline back; for administrators of everything."""
    user = _person(request)
    if not user.is_superuser:
        return Status(
            403, Fault(detail="deadlines hold everywhere: an administrator of everything sets them")
        )
    row = Deadline.objects.filter(pk=key).first() if 0 < key < 2**63 else None
    if row is None:
        return Status(404, Fault(detail="there is no such deadline"))
    deadlines.clear(row, user)
    return Status(204, None)


def _person(request: HttpRequest) -> User:
    user = request.user
    if not isinstance(user, User):
        raise TypeError("an endpoint for people was reached by nobody")
    return user


class StepBody(Schema):
    """What is to become of some devices."""

    devices: list[int] = Field(min_length=1, max_length=_MAX_BULK)
    state: str = Field(max_length=16)
    due: date | None = None
    owner: str = Field("", max_length=200)
    replacement: str = Field("", max_length=200)
    reason: str = Field("", max_length=2_000)
    exempt_until: date | None = None


class RefusalAnswer(Schema):
    """A device whose step is refused."""

    device: int
    why: str


class BulkAnswer(Schema):
    """How many devices took the step; where one is refused, none did."""

    taken: int
    refused: list[RefusalAnswer]


@router.post(
    "/plans",
    response={200: BulkAnswer, 401: Fault, 403: Fault, 409: BulkAnswer, 422: Mistakes},
    auth=PersonAuth(),
    tags=["removal", "people"],
    summary="Plan for many devices at once",
)
def post_plans(request: HttpRequest, body: StepBody) -> BulkAnswer | Status[Any]:
    """Take one step with many devices: all of them, or none."""
    user = _person(request)
    texts = (body.owner, body.replacement, body.reason)
    if any("\0" in text for text in texts):
        return Status(422, Mistakes(detail="a text holds a character that no text here may hold"))
    wanted = {key for key in body.devices if 0 < key < 2**63}
    mine = Device.objects.filter(pk__in=wanted, site__in=rights.sites(user, rights.needed(body.state)))
    if len(wanted) != len(set(body.devices)) or mine.count() != len(wanted):
        return Status(403, Fault(detail="you may not plan for all of these devices"))
    step = Step(body.state, body.due, body.owner, body.replacement, body.reason, body.exempt_until)
    refused = plans.take_all(dict.fromkeys(sorted(wanted), step), user)
    rows = [RefusalAnswer(device=row.device, why=row.why) for row in refused]
    if rows:
        return Status(409, BulkAnswer(taken=0, refused=rows))
    return BulkAnswer(taken=len(wanted), refused=[])


class ExportQuery(Schema):
    """In which form plans are wanted."""

    format: Literal["csv", "xlsx"] = "csv"


@router.get("/plans/export", summary="All plans as a sheet")
def get_plans(request: HttpRequest, query: Query[ExportQuery]) -> HttpResponseBase:
    """Every device on the timeline with its plan, in the layout that the import reads."""
    sites = asker(request).sites
    devices = Device.objects.all() if sites is None else Device.objects.filter(site__in=sites)
    rows = sheets.table(devices)
    if query.format == "csv":
        return _csv(rows, "plans.csv")
    return HttpResponse(
        sheets.xlsx(rows),
        content_type=_XLSX,
        headers={"Content-Disposition": 'attachment; filename="plans.xlsx"'},
    )


class SheetFault(Schema):
    """What is wrong where in a sheet."""

    line: int
    column: str
    what: str


class ImportAnswer(Schema):
    """What a sheet changes; `applied` says whether it has. Where there are faults nothing is changed."""

    rows: int
    changes: int
    applied: bool
    faults: list[SheetFault]


class ImportQuery(Schema):
    """Whether to do it, or only to say what would be done."""

    apply: bool = False


@router.post(
    "/plans/import",
    response={200: ImportAnswer, 400: Fault, 401: Fault, 413: Fault, 415: Fault, 422: Mistakes},
    auth=PersonAuth(),
    tags=["removal", "people"],
    summary="Plans from a sheet",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                _XLSX: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
def post_sheet(request: HttpRequest, query: Query[ImportQuery]) -> ImportAnswer | Status[Fault]:
    """Read a sheet as the export writes it, CSV or XLSX; without `apply` only say what would change."""
    try:
        rows = sheets.read(sent(request, _MAX_SHEET))
    except BodyError as error:
        return Status(error.status, Fault(detail=str(error)))
    except sheets.SheetError as error:
        return Status(400, Fault(detail=str(error)))
    found = sheets.bring(rows, _person(request), apply=query.apply)
    return ImportAnswer(
        rows=found.rows,
        changes=found.changes,
        applied=found.applied,
        faults=[SheetFault(line=row.line, column=row.column, what=row.what) for row in found.faults],
    )


class PublicationQuery(Schema):
    """How much the figures tell."""

    level: int = Field(
        1, ge=1, le=publication.MAX_LEVEL, description="Down to which organisations are named."
    )
    fewest: int = Field(
        publication.FEWEST, ge=3, le=1000, description="The smallest count that is told, besides nought."
    )
    format: Literal["json", "csv"] = "json"


class TableAnswer(Schema):
    """One table: counts by name, in the order of the columns; null is suppressed. The last row is the total."""

    by: str
    rows: list[tuple[str, list[int | None]]]


class PublicationAnswer(Schema):
    """Figures fit to be published."""

    day: date
    fewest: int
    columns: list[str]
    tables: list[TableAnswer]


@router.get(
    "/publication", response={200: PublicationAnswer, 401: Fault}, summary="Figures fit to be published"
)
def get_publication(
    request: HttpRequest, query: Query[PublicationQuery]
) -> PublicationAnswer | HttpResponseBase:
    """Sums by organisation, class of site and maker; small counts, and what would tell them, are left out."""
    today = timezone.now().date()
    found = publication.publication(asker(request).sites, today, query.level, query.fewest)
    if query.format == "csv":
        return _csv(_publication_rows(found), "publication.csv")
    return PublicationAnswer(
        day=found.day,
        fewest=found.fewest,
        columns=list(found.columns),
        tables=[
            TableAnswer(by=table.by, rows=[(name, list(counts)) for name, counts in table.rows])
            for table in found.tables
        ],
    )


def _publication_rows(found: publication.Publication) -> Iterator[list[str]]:
    yield ["by", "name", *found.columns]
    for table in found.tables:
        for name, counts in table.rows:
            yield [table.by, formula_safe(name), *("" if count is None else str(count) for count in counts)]

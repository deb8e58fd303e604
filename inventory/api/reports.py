"""Takes reports from agents."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from exchange.parcel import Parcel
from fingerprints.codec import SCHEMA
from inventory import tokens
from inventory.api import metrics
from inventory.api.access import TokenAuth, asker
from inventory.api.bodies import is_gzip, sent
from inventory.fleet import identity
from inventory.ingest.service import MAX_PARTS, ReportRefused, Submission, receive
from inventory.models import Site
from inventory.unpacking import BodyError, gunzipped, read_report

__all__ = ["Fault", "Mistakes", "router"]

router = Router(tags=["reports"], auth=TokenAuth())
_log = logging.getLogger(__name__)


class DeviceAnswer(Schema):
    """What became of one device of a report."""

    id: str
    device: int | None
    change: str
    reason: str


class ReportAnswer(Schema):
    """What became of a report, or of a part of it; `devices` in the order in which they were sent."""

    run: int
    accepted: int
    refused: int
    complete: bool
    devices: list[DeviceAnswer]


class Fault(Schema):
    """Why a request is not met."""

    detail: str


class Mistakes(Schema):
    """Why a request is not met: in words, or as a list of what is wrong where."""

    detail: str | list[Any]


class ReportQuery(Schema):
    """Which report of which site a body is."""

    site: str = Field(max_length=64)
    report: str = Field(min_length=1, max_length=64)
    part: int = Field(1, ge=1, le=MAX_PARTS)
    parts: int = Field(1, ge=1, le=MAX_PARTS)


@router.post(
    "/reports",
    response={
        200: ReportAnswer,
        400: Fault,
        401: Fault,
        403: Fault,
        413: Fault,
        415: Fault,
        422: Mistakes,
        503: Fault,
    },
    summary="Send a report, or one part of it",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["schema", "devices"],
                        "properties": {
                            "schema": {"const": SCHEMA},
                            "devices": {"type": "array", "items": {"type": "object"}},
                            "coverage": {"type": "object"},
                            "run": {"type": "object"},
                        },
                    }
                }
            },
        }
    },
)
def post_report(
    request: HttpRequest, response: HttpResponse, query: Query[ReportQuery]
) -> ReportAnswer | Status[Any]:
    """Take a report of the layout that ``report.schema.json`` describes, plain or gzip.

    Sending the same again is safe: a client that lost the answer, or was told 503, sends once more.
    """
    token = asker(request).token
    site = Site.objects.select_related("organisation").filter(code=query.site).first()
    # A token learns nothing of sites that are not its own, not even whether they are.
    if token is None or site is None or not tokens.may_report(token, site):
        return Status(403, Fault(detail="this token may not report for that site"))
    try:
        packed = is_gzip(request)
        body = sent(request, settings.CAMCENSUS_MAX_BODY)
        parcel = Parcel(
            query.site,
            query.report,
            query.part,
            query.parts,
            body,
            request.headers.get("Camcensus-Agent", ""),
            request.headers.get("Camcensus-Instance", ""),
            request.headers.get("Camcensus-Signature", ""),
        )
        identity.check(parcel, token.agent)
        document = read_report(gunzipped(body, settings.CAMCENSUS_MAX_REPORT) if packed else body)
        receipt = receive(Submission(query.report, site, document, token.agent, query.part, query.parts))
    except BodyError as error:
        return Status(error.status, Fault(detail=str(error)))
    except identity.Stranger as why:
        return Status(403, Fault(detail=str(why)))
    except ReportRefused as why:
        return Status(HTTPStatus.UNPROCESSABLE_ENTITY, Mistakes(detail=str(why)))
    except (OperationalError, InterfaceError):
        _log.exception("the database went away while a report was stored")
        response.headers["Retry-After"] = "10"
        return Status(HTTPStatus.SERVICE_UNAVAILABLE, Fault(detail="the database is away: send again soon"))
    identity.note_instance(token.agent, parcel.instance)
    refused = len(receipt.outcomes) - receipt.accepted
    metrics.DEVICES.labels("accepted").inc(receipt.accepted)
    metrics.DEVICES.labels("refused").inc(refused)
    metrics.REPORTS.inc()
    answers = [
        DeviceAnswer.model_construct(id=row.id, device=row.device, change=row.change, reason=row.reason)
        for row in receipt.outcomes
    ]
    return ReportAnswer.model_construct(
        run=receipt.run.pk,
        accepted=receipt.accepted,
        refused=refused,
        complete=receipt.run.complete,
        devices=answers,
    )

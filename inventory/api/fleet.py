"""Lets machines become agents, and agents take jobs."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status

from inventory import tokens
from inventory.api.access import TokenAuth, asker
from inventory.api.reports import Fault
from inventory.fleet import enrolment, jobs, signing
from inventory.models import Job, KnowledgePack, Site

__all__ = ["router"]

router = Router(tags=["fleet"], auth=TokenAuth())


class Enrolment(Schema):
    """A machine that wants to be an agent: the code that it was given, the public key that it made."""

    code: str
    public_key: str


class Enrolled(Schema):
    """Who the machine is from now on; `inventory_key` signs receipts and bundles."""

    agent: str
    token: str
    sites: list[str]
    inventory_key: str


class JobRow(Schema):
    """A scan that somebody asks for."""

    id: UUID
    site: str
    scope: str
    targets: list[str]
    profile: str


class JobList(Schema):
    """The jobs that wait for a site."""

    jobs: list[JobRow]


class JobAnswer(Schema):
    """What an agent says of a job: done, failed, refused, or waiting for another time."""

    state: str
    reason: str = ""
    report: str = ""


class PackRow(Schema):
    """The newest knowledge pack; number 0: none is published."""

    number: int
    sha256: str = ""


class Taken(Schema):
    """That a word was taken."""

    taken: bool


@router.post(
    "/enrol",
    auth=None,
    response={200: Enrolled, 400: Fault, 403: Fault},
    summary="Become an agent, by a code",
)
def post_enrol(request: HttpRequest, body: Enrolment) -> Enrolled | Status[Fault]:  # noqa: ARG001 - ninja's signature
    """Make the machine that holds the code an agent. The code is good once."""
    try:
        agent, token = enrolment.enrol(body.code[:100], body.public_key)
    except enrolment.Refused as why:
        return Status(403, Fault(detail=str(why)))
    sites = agent.sites.values_list("code", flat=True)
    return Enrolled(agent=agent.name, token=token, sites=list(sites), inventory_key=signing.public_key())


@router.get("/jobs", response={200: JobList, 401: Fault, 403: Fault}, summary="Take the jobs of a site")
def get_jobs(request: HttpRequest, site: str) -> JobList | Status[Fault]:
    """What the centre asks this site for; what is given out here is this agent's to answer."""
    token = asker(request).token
    found = Site.objects.select_related("organisation").filter(code=site).first()
    if token is None or found is None or not tokens.may_report(token, found):
        return Status(403, Fault(detail="this token may not report for that site"))
    rows = [
        JobRow(id=job.pk, site=site, scope=job.scope, targets=job.targets, profile=job.profile)
        for job in jobs.take(found, token.agent)
    ]
    return JobList(jobs=rows)


@router.post(
    "/jobs/{job}",
    response={200: Taken, 400: Fault, 401: Fault, 403: Fault},
    summary="Say what became of a job",
)
def post_job(request: HttpRequest, job: UUID, body: JobAnswer) -> Taken | Status[Fault]:
    """Done, failed, refused with a reason, or waiting: it will be given out again."""
    token = asker(request).token
    found = Job.objects.select_related("site__organisation").filter(pk=job).first()
    if token is None or found is None or not tokens.may_report(token, found.site):
        return Status(403, Fault(detail="this token may not answer for that job"))
    return Taken(taken=jobs.answer(found, token.agent, body.state, body.reason, body.report))


@router.get("/knowledge", response={200: PackRow, 401: Fault}, summary="Which knowledge pack is the newest")
def get_newest(request: HttpRequest) -> PackRow:  # noqa: ARG001 - ninja's signature
    """Its number, with the SHA-256 of the file."""
    newest = KnowledgePack.objects.defer("content").first()
    return PackRow(number=0) if newest is None else PackRow(number=newest.number, sha256=newest.sha256)


@router.get("/knowledge/{number}", response={401: Fault, 404: Fault}, summary="Fetch a knowledge pack")
def get_pack(request: HttpRequest, number: int) -> HttpResponse | Status[Fault]:  # noqa: ARG001 - ninja's signature
    """The file as it was signed."""
    pack = KnowledgePack.objects.filter(number=number).first() if 0 < number < 2**31 else None
    if pack is None:
        return Status(404, Fault(detail="there is no pack of this number"))
    return HttpResponse(bytes(pack.content), content_type="application/zip")

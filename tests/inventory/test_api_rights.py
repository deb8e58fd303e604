"""Tests that every endpoint of the API is for those alone whose it is: each that its document names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inventory import tokens
from inventory.api.v1 import api
from inventory.fleet import jobs
from inventory.ingest.service import Submission, receive
from inventory.models import (
    Agent,
    AuditEntry,
    Deadline,
    Device,
    Job,
    Membership,
    Organisation,
    Plan,
    Role,
    Run,
)
from tests.inventory.making import agent, camera, document, site

pytestmark = pytest.mark.usefixtures("database")
OURS: Final = (
    b"Hikvision",
    b"school-1",
    b"10.0.0.1",
    b"28:57:be",
    b"cloud.example",
    b"Council",
    b'"asker"',
    b'"found"',
)
"""What nobody elsewhere reads."""
FOR_AGENTS: Final = {"/api/v1/jobs", "/api/v1/knowledge", "/api/v1/knowledge/{number}"}
EMPTY: Final = {"/api/v1/overdue", "/api/v1/deadlines", *FOR_AGENTS}
"""Where a person has nothing of a place to read in this inventory; deadlines are those of all."""
CHANGES: Final[dict[tuple[str, str], tuple[str, Any]]] = {
    ("post", "/api/v1/reports"): ("?site=school-1&report=r2", document([])),
    ("post", "/api/v1/plans"): ("", {"devices": ["{device}"], "state": "found"}),
    ("post", "/api/v1/plans/import"): ("?apply=true", "device,state,due\n{device},scheduled,2099-01-01\n"),
    ("put", "/api/v1/deadlines"): (
        "",
        {"policy": "ndaa-889", "sensitivity": "critical", "due": "2027-01-01"},
    ),
    ("delete", "/api/v1/deadlines/{key}"): ("", None),
    ("post", "/api/v1/jobs/{job}"): ("", {"state": "done"}),
}
WITHOUT_ACCOUNT: Final = {("post", "/api/v1/enrol")}
"""For a machine that has a code, and nothing else yet."""


def _operations() -> Iterator[tuple[str, str]]:
    for path, methods in api.get_openapi_schema(path_prefix="/api/v1/")["paths"].items():
        for method in methods:
            yield method, path


def _fill() -> dict[str, str]:
    """A site with a flagged camera, its contacts, a job, a deadline; what stands in addresses for them."""
    told = document([camera(number) for number in range(8)])
    told["contacts"] = [{"from": "10.0.0.1", "to": "10.0.0.2", "protocols": ["rtsp"]}]
    told["phone_home"] = [{"device": "10.0.0.1", "maker": "Hikvision", "name": "a.cloud.example"}]
    receive(Submission("r1", site(), told, agent()))
    jobs.ask(site(), "root")
    deadline = Deadline.objects.create(policy="x", sensitivity="critical", due="2099-01-01")
    device = Device.objects.earliest("pk")
    return {
        "key": str(deadline.pk),
        "job": str(Job.objects.get().pk),
        "device": str(device.pk),
        "number": "1",
    }


def _ask(who: Client, method: str, path: str, things: dict[str, str], **headers: str) -> tuple[int, bytes]:
    query, body = CHANGES.get((method, path), ("?site=school-1" if path.endswith("/jobs") else "", None))
    for name, value in things.items():
        path = path.replace(f"{{{name}}}", value)
    text = body if isinstance(body, str) else json.dumps(body)
    text = text.replace('"{device}"', things["device"]).replace("{device}", things["device"])
    kind = "text/csv" if isinstance(body, str) else "application/json"
    given: dict[str, Any] = {} if body is None else {"data": text, "content_type": kind}
    answer = getattr(who, method)(f"{path}{query}", headers=headers, **given)
    return answer.status_code, b"".join(answer.streaming_content) if answer.streaming else answer.content


def _client(name: str, where: Organisation, role: str) -> Client:
    user = User.objects.create_user(name)
    Membership.objects.create(user=user, organisation=where, role=role)
    made = Client(headers={"host": "localhost"})
    made.force_login(user)
    return made


def _state() -> list[Any]:
    return [
        list(Plan.objects.values_list()), list(Deadline.objects.values_list()), Run.objects.count(),
        list(Job.objects.values_list("state")), AuditEntry.objects.count(),
    ]  # fmt: skip


def test_each_endpoint_for_strangers() -> None:
    """Without an account 401; with one elsewhere, or a token of elsewhere: nothing read, nothing changed."""
    things = _fill()
    other = Organisation.objects.create(name="Hospital")
    stranger = _client("stranger", other, Role.ADMINISTRATOR)
    foreign = Agent.objects.create(name="foreign", organisation=other)
    nobody = Client(headers={"host": "localhost"})
    ways: list[tuple[Client, dict[str, str]]] = [(stranger, {})]
    ways += [
        (nobody, {"Authorization": f"Bearer {tokens.issue(foreign, may_read=read)[1]}"})
        for read in (True, False)
    ]
    before = _state()
    seen = 0
    for method, path in _operations():
        if (method, path) in WITHOUT_ACCOUNT:
            continue
        assert method == "get" or (method, path) in CHANGES, f"{method} {path} is not known to this test"
        assert _ask(nobody, method, path, things)[0] == 401, path
        for who, headers in ways:
            status, body = _ask(who, method, path, things, **headers)
            assert status < 500, (method, path, status)
            assert not any(word in body for word in OURS), (method, path, body[:300])
            if method != "get" and not path.endswith("/import"):
                assert status in {401, 403, 404}, (method, path, status)
        seen += 1
    assert seen > 20
    assert _state() == before


def test_each_list_for_whose_it_is() -> None:
    """A viewer of the place reads there what strangers do not; so the test before can fail."""
    things = _fill()
    viewer = _client("viewer", site().organisation, Role.VIEWER)
    for method, path in _operations():
        if method == "get":
            status, body = _ask(viewer, method, path, things)
            assert status == (401 if path in FOR_AGENTS else 200), path
            assert any(word in body for word in OURS) or path in EMPTY, (path, body[:300])


def test_a_viewer_changes_nothing() -> None:
    """Reading is all that the role is for, whatever is sent."""
    things = _fill()
    viewer = _client("viewer", site().organisation, Role.VIEWER)
    before = _state()
    for method, path in CHANGES:
        _ask(viewer, method, path, things)
    assert _state() == before

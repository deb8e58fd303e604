"""Tests of who may see and plan what through the endpoints of removal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inventory.models import Deadline, Device, Membership, Organisation, Plan, Role
from tests.inventory.making import camera, report, site

pytestmark = pytest.mark.usefixtures("database")
READ = ("burndown", "overdue", "plans/export", "publication", "contacts", "cloud-calls")
STEP = {"state": "scheduled", "due": "2099-01-01"}


def client(role: str | None, where: Organisation, **more: Any) -> Client:
    """Somebody with a role in an organisation, signed in."""
    user = User.objects.create_user(f"{role}-{where.pk}")
    if role is not None:
        Membership.objects.create(user=user, organisation=where, role=role)
    made = Client(headers={"host": "localhost"}, **more)
    made.force_login(user)
    return made


def sent(who: Client, path: str, body: object, method: str = "post") -> Any:
    """A request with a JSON body."""
    return getattr(who, method)(f"/api/v1/{path}", json.dumps(body), content_type="application/json")


def body(answer: Any) -> bytes:
    """What was answered, in one piece."""
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_what_is_elsewhere_is_not_seen() -> None:
    """A planner of the hospital reads nothing of the council's cameras; one of the council does."""
    report("r1", [camera(number) for number in range(9)])
    inside = client(Role.VIEWER, site().organisation)
    outside = client(Role.PLANNER, Organisation.objects.create(name="Hospital"))
    for name in READ:
        assert Client(headers={"host": "localhost"}).get(f"/api/v1/{name}").status_code == 401
        assert b"Hikvision" not in body(outside.get(f"/api/v1/{name}"))
    for name in ("plans/export", "publication", "burndown?by=manufacturer"):
        assert b"Hikvision" in body(inside.get(f"/api/v1/{name}"))


def test_plans_are_for_planners_of_the_place() -> None:
    """Neither a viewer there nor a planner elsewhere; nor a request that another page has sent."""
    report("r1", [camera(1)])
    wanted = {"devices": [Device.objects.get().pk], **STEP}
    elsewhere = client(Role.ADMINISTRATOR, Organisation.objects.create(name="Hospital"))
    for who in (client(Role.VIEWER, site().organisation), elsewhere):
        assert sent(who, "plans", wanted).status_code == 403
    planner = client(Role.PLANNER, site().organisation, enforce_csrf_checks=True)
    assert sent(planner, "plans", wanted).status_code in {401, 403}
    assert not Plan.objects.exists()
    planner.handler.enforce_csrf_checks = False
    assert json.loads(body(sent(planner, "plans", wanted)))["taken"] == 1


def test_deadlines_are_for_administrators_of_everything() -> None:
    """An administrator of a part sets none and takes none back."""
    wanted = {"policy": "ndaa-889", "sensitivity": "critical", "due": "2027-01-01"}
    part = client(Role.ADMINISTRATOR, site().organisation)
    assert sent(part, "deadlines", wanted, "put").status_code == 403
    whole = Client(headers={"host": "localhost"})
    whole.force_login(User.objects.create_superuser("root"))
    assert sent(whole, "deadlines", wanted, "put").status_code == 200
    key = Deadline.objects.get().pk
    assert part.delete(f"/api/v1/deadlines/{key}").status_code == 403
    assert whole.delete(f"/api/v1/deadlines/{key}").status_code == 204

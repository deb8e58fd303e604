"""Tests that every page is for those alone whose it is: each address, each role, each part of the tree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern

from inventory.models import Agent, Alert, AuditEntry, Deadline, Device, Role, Run, SavedView, Site
from inventory.pages.urls import urlpatterns
from tests.inventory.pages.conftest import Browse
from tests.inventory.pages.scene import Scene

OPEN = {"sign-in"}
NOT_SET_UP = {"sign-on", "sign-on-return"}
"""There for whoever comes, once a provider is configured: see tests/inventory/test_sign_on.py."""
POST_ALONE = {"sign-out"}
LEADS_ON = {"keep-view", "bulk"}
ADMINISTRATORS = {"audit", "people"}
ROLES = (*Role.values, "stranger", "nobody", "root")


def _things(scene: Scene, place: str) -> dict[str, int]:
    """One thing of each kind at a site, by the name of its page."""
    site: Site = getattr(scene, place)
    run = Run.objects.filter(site=site, agent__isnull=False).latest("pk")
    assert run.agent_id is not None
    return {
        "device": Device.objects.filter(site=site, plan_state="found").latest("pk").pk,
        "site": site.pk,
        "run": run.pk,
        "agent": run.agent_id,
        "person": scene.people["viewer" if place == "school" else "stranger"].pk,
    }


def _addresses(things: dict[str, int]) -> Iterator[tuple[str, str]]:
    """Every page with its address; a page of a kind that is not known here fails the test."""
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        name, route = str(pattern.name), str(pattern.pattern)
        yield name, f"/{route.replace('<int:key>', str(things[name]))}" if "<" in route else f"/{route}"


def _allowed(name: str, role: str, *, ours: bool) -> int:
    if name in POST_ALONE:
        return 405
    if name in NOT_SET_UP:
        return 404
    if name in LEADS_ON:
        return 302
    if name in ADMINISTRATORS:
        return 200 if role in {"administrator", "stranger", "root"} else 403
    if name == "person":
        return 200 if role in {"root", "administrator" if ours else "stranger"} else 404
    if name in {"device", "site", "run", "agent"}:
        if role == "root":
            return 200
        mine = role != "nobody" and (role == "stranger") != ours
        return 200 if mine else 404
    return 200


@pytest.mark.parametrize("role", ROLES)
def test_each_page_for_each_role(scene: Scene, browse: Browse, role: str) -> None:
    """Who has no right there learns not even that the thing is."""
    client = browse(role)
    for place in ("school", "barracks"):
        for name, address in _addresses(_things(scene, place)):
            if name in OPEN:
                continue
            wanted = _allowed(name, role, ours=place == "school")
            assert client.get(address).status_code == wanted, f"{role} at {address}"


def test_nobody_sees_a_page_without_signing_in(scene: Scene) -> None:
    """Each address leads to the sign-in, or takes a form alone."""
    client = Client(SERVER_NAME="localhost")
    for name, address in _addresses(_things(scene, "school")):
        answer = client.get(address)
        if name in OPEN:
            assert answer.status_code == 200
        elif name in POST_ALONE | NOT_SET_UP:
            assert answer.status_code == (405 if name in POST_ALONE else 404)
        else:
            assert (answer.status_code, answer["Location"].startswith("/sign-in?next=")) == (302, True), (
                address
            )


def test_no_list_shows_what_is_not_theirs(scene: Scene, browse: Browse) -> None:
    """No page of a council's people speaks of the ministry, nor the other way round."""
    pages = ("/", "/devices", "/sites", "/plan", "/plan/calendar", "/policies", "/runs", "/agents", "/audit")
    for role, foreign in (
        ("administrator", ("Old Barracks", "barracks-1", "box-works", "Ministry of Works", "10.0.4.")),
        ("stranger", ("Riverside", "school-1", "box-schools", "Northshire", "10.0.1.")),
        ("nobody", ("Riverside", "Barracks", "box-", "10.0.")),
    ):
        client = browse(role)
        for address in pages:
            text = client.get(address).content.decode()
            for word in foreign:
                assert word not in text, f"{role} reads {word} at {address}"
    theirs = {device.pk for device in Device.objects.filter(site=scene.barracks)}
    assert theirs
    for query in ("site=barracks-1", "q=barracks", f"organisation={scene.barracks.organisation_id}"):
        assert "/devices/" not in _results(browse("administrator"), query)


def _results(client: Client, query: str) -> str:
    text = client.get(f"/devices?{query}").content.decode()
    return "".join(line for line in text.splitlines() if 'role="rowheader"' in line)


FORMS = (
    ("device", {"settle": "{alert}"}, {"technician", "planner", "administrator"}),
    ("device", {"state": "scheduled", "due": "2031-01-01"}, {"planner", "administrator"}),
    ("device", {"state": "removed"}, {"technician", "planner", "administrator"}),
    (
        "device",
        {"state": "exempt", "reason": "r", "exempt_until": "2031-01-01"},
        {"planner", "administrator"},
    ),
    (
        "site",
        {"action": "describe", "name": "N", "sensitivity": "critical"},
        {"technician", "planner", "administrator"},
    ),
    ("site", {"action": "subnet", "range": "10.77.0.0/16"}, {"technician", "planner", "administrator"}),
    ("site", {"action": "scan"}, {"technician", "planner", "administrator"}),
    ("agent", {"action": "revoke-agent"}, {"administrator"}),
    ("agents", {"name": "box-new", "organisation": "{organisation}"}, {"administrator"}),
    ("people", {"name": "newcomer", "organisation": "{organisation}", "role": "viewer"}, {"administrator"}),
    ("person", {"action": "grant", "organisation": "{organisation}", "role": "planner"}, {"administrator"}),
    ("person", {"action": "deactivate"}, {"administrator"}),
    ("person", {"action": "new-password"}, {"administrator"}),
    ("policies", {"policy": "ndaa-889", "sensitivity": "critical", "due": "2031-01-01"}, {"root"}),
    ("policies", {"drop": "{deadline}"}, {"root"}),
    (
        "devices/step",
        {"device": "{device}", "state": "scheduled", "due": "2031-01-01"},
        {"planner", "administrator"},
    ),
    (
        "devices/step",
        {"every": "1", "query": "?plan_state=found&site=library-1", "confirmed": "11", "state": "removed"},
        {"technician", "planner", "administrator"},
    ),
)
ENTRIES = {"people": 2, "devices/step": 11}
"""How many entries of the log a form makes, where it makes more than one."""


@pytest.mark.parametrize("role", [*Role.values, "stranger", "nobody", "root"])
@pytest.mark.parametrize("number", range(len(FORMS)))
def test_each_form_for_each_role(scene: Scene, browse: Browse, role: str, number: int) -> None:
    """A form changes something, with an entry in the log, for those alone who may; else nothing at all."""
    name, given, may = FORMS[number]
    things = _things(scene, "school")
    alert = Alert.objects.get()
    if "settle" in given:
        things["device"] = alert.device_id
    address = (
        f"/{'people' if name == 'person' else f'{name}s'}/{things[name]}" if name in things else f"/{name}"
    )
    deadline = Deadline.objects.create(policy="of-ours", sensitivity="critical", due="2031-01-01")
    given = {
        key: value.format(
            organisation=scene.school.organisation_id,
            alert=alert.pk,
            deadline=deadline.pk,
            device=things["device"],
        )
        for key, value in given.items()
    }
    before = AuditEntry.objects.count()
    answer = browse(role).post(address, given)
    changed = AuditEntry.objects.count() - before
    if role in may | {"root"}:
        entries = ENTRIES.get(name, 1) if "every" in given or name == "people" else 1
        assert (changed, answer.status_code in {200, 302}) == (entries, True)
        assert AuditEntry.objects.first() is not None
        latest = AuditEntry.objects.latest("pk")
        assert latest.who == role
    else:
        assert changed == 0
        # A step for devices of which none is theirs leads back to the list, which says so.
        assert answer.status_code in {403, 404, 422} | ({302} if name == "devices/step" else set())


def test_a_token_is_renewed_and_revoked_by_administrators_alone(scene: Scene, browse: Browse) -> None:
    """The new one is shown once; the old one's end is near; a stranger's post changes nothing."""
    agent = Agent.objects.get(name="box-schools")
    token = agent.tokens.get()
    address = f"/agents/{agent.pk}"
    for role in ("viewer", "planner", "stranger"):
        assert browse(role).post(address, {"action": "revoke", "token": token.pk}).status_code in {403, 404}
    text = browse("administrator").post(address, {"action": "rotate", "token": token.pk}).content.decode()
    assert "cci_" in text
    assert agent.tokens.count() == 2
    assert "cci_" not in browse("administrator").get(address).content.decode()
    assert browse("administrator").post(address, {"action": "revoke", "token": token.pk}).status_code == 302
    token.refresh_from_db()
    assert token.revoked is not None
    other = Agent.objects.get(name="box-works").tokens.get()
    browse("administrator").post(address, {"action": "revoke", "token": other.pk})
    other.refresh_from_db()
    assert other.revoked is None
    assert scene.school


def test_forms_want_their_own_page(scene: Scene) -> None:
    """A form that another site sends changes nothing."""
    client = Client(SERVER_NAME="localhost", enforce_csrf_checks=True)
    client.force_login(scene.people["planner"])
    device = Device.objects.filter(site=scene.school, plan_state="found").latest("pk")
    for address, given in (
        (f"/devices/{device.pk}", {"state": "removed"}),
        ("/devices/views", {"name": "x"}),
        ("/sign-out", {}),
    ):
        assert client.post(address, given).status_code == 403
    device.refresh_from_db()
    assert (device.plan_state, SavedView.objects.count()) == ("found", 0)


def test_numbers_that_are_none_are_no_fault(browse: Browse) -> None:
    """Ids of any length and script, in addresses as in forms, end in a page, never in a fault."""
    client = browse("root")
    for text in ("9" * 5000, "x", "-1", "²", "٣", "1e3", "\0", ""):
        for address in ("/", "/devices", "/sites", "/plan", "/plan/calendar", "/runs"):
            answer = client.get(address, {"organisation": text, "site": text, "agent": text, "cursor": text})
            assert answer.status_code in {200, 422}, f"{text[:9]!r} at {address}"
        assert client.post("/devices/step", {"device": text, "state": "found"}).status_code == 302
        assert client.post("/devices/views", {"drop": text, "name": ""}).status_code == 302
        posts = (("/sites/1", "drop-subnet", "subnet"), ("/agents/1", "revoke", "token"))
        for address, action, name in posts:
            assert client.post(address, {"action": action, name: text}).status_code in {200, 302}

"""Tests of accounts and roles: who may give what to whom."""

from __future__ import annotations

import re

from django.contrib.auth.models import User
from django.test import Client

from inventory.models import AuditEntry, Membership, Organisation, Role
from tests.inventory.pages.conftest import Browse
from tests.inventory.pages.scene import Scene


def test_an_account_is_made_with_a_password_shown_once(scene: Scene, browse: Browse) -> None:
    """The password works; neither page nor log has it again; a name that is taken is named."""
    client = browse("administrator")
    where = scene.library.organisation_id
    given = {"name": "ada", "organisation": where, "role": "planner"}
    text = client.post("/people", given).content.decode()
    shown = re.search(r'<pre class="command">([^<]+)</pre>', text)
    assert shown is not None
    assert Client(SERVER_NAME="localhost").login(username="ada", password=shown[1])
    assert shown[1] not in client.get("/people").content.decode()
    assert Membership.objects.get(user__username="ada").role == "planner"
    actions = list(AuditEntry.objects.order_by("-pk").values_list("action", "what")[:2])
    assert actions == [("grant", "user ada"), ("create-person", "user ada")]
    assert not any(shown[1] in str([row.before, row.after]) for row in AuditEntry.objects.all())
    assert client.post("/people", given).status_code == 422


def test_roles_are_given_in_ones_own_part_alone(scene: Scene, browse: Browse) -> None:
    """Not in another's part, not to oneself, not by those who do not administer."""
    viewer, theirs = scene.people["viewer"], scene.barracks.organisation_id
    mine = scene.school.organisation_id
    address = f"/people/{viewer.pk}"
    before = AuditEntry.objects.count()
    admin = browse("administrator")
    assert (
        admin.post(address, {"action": "grant", "organisation": theirs, "role": "viewer"}).status_code == 422
    )
    assert admin.post("/people", {"name": "x", "organisation": theirs, "role": "viewer"}).status_code == 422
    own = f"/people/{scene.people['administrator'].pk}"
    admin.post(own, {"action": "grant", "organisation": mine, "role": "viewer"})
    admin.post(own, {"action": "deactivate"})
    for role in ("viewer", "planner", "stranger", "nobody"):
        answer = browse(role).post(
            address, {"action": "grant", "organisation": mine, "role": "administrator"}
        )
        assert answer.status_code == 404
    assert AuditEntry.objects.count() == before
    admin.post(address, {"action": "grant", "organisation": mine, "role": "technician"})
    assert Membership.objects.get(user=viewer, organisation=mine).role == Role.TECHNICIAN


def test_an_account_beyond_ones_part_is_for_others(scene: Scene, browse: Browse) -> None:
    """Somebody with a role elsewhere keeps password and account; the role here may be taken away."""
    viewer = scene.people["viewer"]
    Membership.objects.create(user=viewer, organisation=Organisation.objects.get(name="Ministry of Works"))
    admin, address = browse("administrator"), f"/people/{viewer.pk}"
    hash_ = viewer.password
    for action in ("new-password", "deactivate"):
        admin.post(address, {"action": action})
    viewer.refresh_from_db()
    assert (viewer.is_active, viewer.password) == (True, hash_)
    assert "Ministry" not in admin.get(address).content.decode()
    held = Membership.objects.get(user=viewer, organisation__name="Northshire Council")
    other = Membership.objects.get(user=viewer, organisation__name="Ministry of Works")
    assert admin.post(address, {"action": "take-away", "membership": other.pk}).status_code == 404
    assert admin.post(address, {"action": "take-away", "membership": held.pk})["Location"] == "/people"
    assert list(Membership.objects.filter(user=viewer)) == [other]


def test_a_closed_account_is_closed_at_once(scene: Scene, browse: Browse) -> None:
    """Its session ends; a superuser is out of reach for administrators of a part."""
    planner, admin = browse("planner"), browse("administrator")
    assert planner.get("/devices").status_code == 200
    admin.post(f"/people/{scene.people['planner'].pk}", {"action": "deactivate"})
    assert planner.get("/devices").status_code == 302
    admin.post(f"/people/{scene.people['planner'].pk}", {"action": "activate"})
    assert User.objects.get(username="planner").is_active
    root = User.objects.get(username="root")
    Membership.objects.create(user=root, organisation=scene.library.organisation)
    assert admin.get(f"/people/{root.pk}").status_code == 404
    viewer = browse("viewer")
    admin.post(f"/people/{scene.people['viewer'].pk}", {"action": "new-password"})
    assert viewer.get("/devices").status_code == 302

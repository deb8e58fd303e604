"""Tests of sites, plan, policies, runs, agents, audit."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from inventory.models import AuditEntry, Device, Job, Run, Site, Subnet
from tests.inventory.making import report
from tests.inventory.pages.conftest import Browse
from tests.inventory.pages.scene import Scene


def _text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def test_the_tree_adds_up(browse: Browse) -> None:
    """An organisation stands for all below it; one goes down level by level."""
    text = _text(browse("root"), "/sites")
    for part in ("Northshire Council", "Ministry of Works", "Riverside School", "Highways Depot"):
        assert part in text
    council = Site.objects.get(code="library-1").organisation
    below = _text(browse("root"), f"/sites?organisation={council.pk}")
    assert "Northshire Schools" in below
    assert "Old Barracks" not in below
    assert "Highways Depot" in _text(browse("viewer"), "/sites?coverage=never")
    assert "Riverside" not in _text(browse("viewer"), "/sites?coverage=never")
    assert "Central Library" in _text(browse("viewer"), "/sites?coverage=stale&q=LIBRARY")


def test_a_site_names_its_blind_spots(scene: Scene, browse: Browse) -> None:
    """What the last run could not see, with the step; a subnet that no complete run covered."""
    Subnet.objects.create(site=scene.school, range="172.16.0.0/24", vlan=7, name="Gate")
    spot = {"kind": "silent", "count": 3, "what": "Three hosts said nothing", "step": "Scan as root"}
    report(
        "blind",
        [],
        timezone.now() + timedelta(minutes=2),
        scene.school,
        blind_spots=[spot],
        targets=("10.0.1.0/24",),
    )
    text = _text(browse("technician"), f"/sites/{scene.school.pk}")
    for part in ("Three hosts said nothing", "Scan as root", "172.16.0.0/24", "not covered"):
        assert part in text
    run = Run.objects.get(report="blind")
    assert "Three hosts said nothing" in _text(browse("viewer"), f"/runs/{run.pk}")


def test_a_site_names_channels_that_nobody_knows(scene: Scene, browse: Browse) -> None:
    """Each recorder with its channels, those matched to a camera, those in the dark first."""
    text = _text(browse("viewer"), f"/sites/{scene.school.pk}")
    recorder = Device.objects.filter(site=scene.school, device_class="recorder").earliest("pk")
    rows = text.partition("Recorders and their channels")[2].partition("Subnets that")[0]
    assert f'href="/devices/{recorder.pk}"' in rows
    assert rows.index("5 channels") < rows.index("not told") < rows.index("not known")
    assert "behind it" in rows


def test_a_site_is_described_with_an_entry_in_the_log(scene: Scene, browse: Browse) -> None:
    """What was, what is; a subnet comes and goes; a scan is asked for; wrong input is named."""
    client, address = browse("technician"), f"/sites/{scene.library.pk}"
    client.post(address, {"action": "describe", "name": "Library", "sensitivity": "critical", "owner": "Ada"})
    entry = AuditEntry.objects.latest("pk")
    assert ((entry.before or {})["name"], (entry.after or {})["name"]) == ("Central Library", "Library")
    wrong = client.post(address, {"action": "subnet", "range": "here"})
    assert (wrong.status_code, "Enter a network" in wrong.content.decode()) == (422, True)
    client.post(address, {"action": "subnet", "range": "10.5.0.9/24", "vlan": "5"})
    subnet = Subnet.objects.get(site=scene.library)
    assert (subnet.range, subnet.vlan) == ("10.5.0.0/24", 5)
    assert client.post(address, {"action": "subnet", "range": "10.5.0.0/24"}).status_code == 422
    theirs = Subnet.objects.filter(site=scene.school).first()
    assert theirs is not None
    client.post(address, {"action": "drop-subnet", "subnet": theirs.pk})
    assert Subnet.objects.filter(pk=theirs.pk).exists()
    client.post(address, {"action": "drop-subnet", "subnet": subnet.pk})
    assert not Subnet.objects.filter(pk=subnet.pk).exists()
    client.post(address, {"action": "scan"})
    assert Job.objects.get().site == scene.library


def test_the_board_has_a_lane_for_each_state(browse: Browse) -> None:
    """With what is overdue first, what returned, why something is exempt."""
    text = _text(browse("viewer"), "/plan")
    for part in ("overdue since", "Inside a ceiling", "Verified gone", "seen", "Contractor"):
        assert part in text
    assert text.index("overdue since") < text.index("due</span>") if "due</span>" in text else True
    part = _text(browse("viewer"), "/plan?site=library-1")
    assert "Central Library" in part
    assert "Contractor" not in part


def test_the_calendar_counts_what_is_due(scene: Scene, browse: Browse) -> None:
    """On its day, with a link to those devices; a month that is none is this one."""
    today = timezone.now().date()
    soon = today + timedelta(days=6)
    text = _text(browse("viewer"), f"/plan/calendar?month={soon:%Y-%m}")
    assert f"due_from={soon:%Y-%m-%d}&amp;due_until={soon:%Y-%m-%d}" in text
    until = today + timedelta(days=90)
    assert "exemption" in _text(browse("viewer"), f"/plan/calendar?month={until:%Y-%m}")
    for month in ("x", "0000-00", "99999-1", "2026-13"):
        assert f"{today:%B %Y}" in _text(browse("viewer"), f"/plan/calendar?month={month}")
    assert "should have happened" in text
    assert "should have happened" not in _text(browse("viewer"), "/plan/calendar?site=library-1")
    assert scene.school


def test_policies_say_whom_they_name_on_what_basis(browse: Browse) -> None:
    """All that come with the rules, with their sources and with how many devices there are."""
    text = _text(browse("viewer"), "/policies")
    for part in (
        "uk-2022-sensitive-sites",
        "ndaa-889",
        "Hikvision",
        "National Intelligence Law",
        "in force since",
    ):
        assert part in text


def test_runs_are_listed_filtered_and_shown(browse: Browse) -> None:
    """By site, agent, coverage; a run says what was asked."""
    client = browse("viewer")
    text = _text(client, "/runs?site=library-1")
    assert "Central Library" in text
    assert "Riverside" not in text
    assert "Riverside" not in _text(client, "/runs?complete=false")
    assert "box-schools" in _text(client, "/runs?agent=box-schools&complete=true")
    run = Run.objects.filter(site__code="library-1").latest("pk")
    assert "10.0.0.0/8" in _text(client, f"/runs/{run.pk}")


def test_the_log_is_exported_without_formulas(browse: Browse) -> None:
    """As CSV and NDJSON; a name that is a formula is one no more; dates filter."""
    AuditEntry.objects.create(who="=1+1", action="test", what="thing 1", organisation_id=1)
    client = browse("root")
    body = b"".join(client.get("/audit?format=csv").streaming_content).decode()  # type: ignore[attr-defined]  # it streams
    rows = list(csv.DictReader(io.StringIO(body)))
    assert [row["who"] for row in rows if row["action"] == "test"] == ["'=1+1"]
    lines = b"".join(client.get("/audit?format=ndjson&action=test").streaming_content)  # type: ignore[attr-defined]  # it streams
    assert [json.loads(line)["who"] for line in lines.splitlines()] == ["=1+1"]
    assert "No entry is like that" in _text(client, "/audit?since=2100-01-01")
    ours = b"".join(browse("administrator").get("/audit?format=csv").streaming_content).decode()  # type: ignore[attr-defined]  # it streams
    assert "stranger" not in ours


def test_a_code_is_shown_once_with_the_command(scene: Scene, browse: Browse) -> None:
    """For sites of the organisation alone."""
    client = browse("administrator")
    given = {"name": "box-9", "organisation": scene.school.organisation_id, "sites": "school-1, barracks-1"}
    wrong = client.post("/agents", given)
    assert (wrong.status_code, "has no site barracks-1" in wrong.content.decode()) == (422, True)
    text = client.post("/agents", {**given, "sites": "school-1"}).content.decode()
    assert "camcensus agent enrol http://localhost/ --code " in text
    taken = client.post("/agents", {**given, "sites": "", "name": "box-works"})
    assert "this one is taken" in taken.content.decode()


@pytest.mark.usefixtures("database")
def test_empty_pages_say_what_to_do_next() -> None:
    """Each page of a new inventory leads on."""
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.create_superuser("root"))
    for address, part in (
        ("/sites", "There is no site yet"),
        ("/plan", "Nothing is on the timeline"),
        ("/plan/calendar", "Nothing is due"),
        ("/runs", "No report has come yet"),
        ("/agents", "No agent reports here yet"),
        ("/audit", "Nothing was changed yet"),
    ):
        assert part in _text(client, address)


def test_a_page_that_is_not_says_so(browse: Browse) -> None:
    """In the look of the others, with a way back."""
    answer = browse("viewer").get("/devices/999999999")
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()
    for address in (f"/devices/{2**70}", f"/sites/{2**70}", f"/runs/{2**70}", f"/agents/{2**70}"):
        assert browse("root").get(address).status_code == 404

"""Tests of the burn-down, what is overdue, plans as a sheet, figures to publish, deadlines."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from inventory.models import AuditEntry, Deadline, Device
from inventory.pages import charts
from tests.inventory.pages.conftest import Browse
from tests.inventory.pages.scene import Scene

TODAY = date(2026, 11, 23)


def _text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return answer.content.decode()


def test_the_burn_down_stands_beside_its_table(browse: Browse) -> None:
    """On the overview and by itself: what still hangs, a drawing, a table with the same numbers."""
    for address in ("/", "/plan/progress"):
        text = _text(browse("viewer"), address)
        assert "<strong>21</strong> still hang" in text
        assert 'class="chart"' in text
        assert 'Still to go</th><th scope="col" class="number">Verified gone' in text


def test_burn_downs_are_compared(scene: Scene, browse: Browse) -> None:
    """By organisation, site, sensitivity, maker; what is not the visitor's is in none."""
    for by, names in (
        ("organisation", ("Northshire Council",)),
        ("site", ("Riverside School", "Central Library")),
        ("sensitivity", ("sensitive", "ordinary")),
        ("manufacturer", ("Hikvision", "Dahua")),
    ):
        text = _text(browse("viewer"), f"/plan/progress?by={by}")
        for name in names:
            assert f'scope="row">{name}</th>' in text, by
        assert "Barracks" not in text
    below = _text(browse("root"), f"/plan/progress?organisation={scene.library.organisation_id}")
    assert "Northshire Schools" in below
    assert "Ministry" not in below


@pytest.mark.parametrize(
    "ahead",
    [
        None,
        charts.Ahead(TODAY + timedelta(200), TODAY + timedelta(100), TODAY + timedelta(300)),
        charts.Ahead(TODAY + timedelta(200), TODAY + timedelta(100), None),
        charts.Ahead(TODAY + timedelta(9000), None, None),
    ],
)
def test_a_drawing_stays_within_its_frame(ahead: charts.Ahead | None) -> None:
    """Whatever the forecast, nothing of the past is outside; nothing in it is a style or a script."""
    points = [(TODAY - timedelta(weeks=10 - week), 100 - week) for week in range(11)]
    drawn = str(charts.burn_down(points, ahead))
    line = re.search(r'class="line" points="([^"]+)"', drawn)
    assert line is not None
    for pair in line[1].split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= 640
        assert 0 <= y <= 260
    assert ("forecast" in drawn) == (ahead is not None)
    assert "style" not in drawn
    assert charts.burn_down(points[:1]) == ""


def test_what_is_late_is_named(scene: Scene, browse: Browse) -> None:
    """A planned day that has passed; a policy's deadline for sites of a class, which overdue devices show."""
    client = browse("viewer")
    text = _text(client, "/plan/overdue")
    assert text.count('role="rowheader"') == 1
    Deadline.objects.create(policy="uk-2022-sensitive-sites", sensitivity="sensitive", due=date(2025, 4, 30))
    text = _text(client, "/plan/overdue")
    assert text.count('role="rowheader"') == 9
    assert "30 Apr 2025" in text
    device = Device.objects.filter(site=scene.school, plan_state="found").latest("pk")
    page = _text(client, f"/devices/{device.pk}")
    assert "30 April 2025" in page
    assert "Nothing is overdue" in _text(browse("stranger"), "/plan/overdue")


def test_deadlines_are_for_administrators_of_everything(browse: Browse) -> None:
    """Set, shown, taken back, each with an entry in the log."""
    given = {"policy": "ndaa-889", "sensitivity": "critical", "due": "2027-01-01"}
    assert browse("administrator").post("/policies", given).status_code == 403
    root = browse("root")
    assert root.post("/policies", {**given, "policy": "none"}).status_code == 422
    assert root.post("/policies", given).status_code == 302
    assert "1 January 2027" in _text(browse("viewer"), "/policies")
    root.post("/policies", {"drop": Deadline.objects.get().pk})
    assert not Deadline.objects.exists()
    assert AuditEntry.objects.filter(action="deadline").count() == 2


def test_a_sheet_is_checked_then_taken(scene: Scene, browse: Browse) -> None:
    """What it would change is said first; mistakes stand with line and column, and nothing is changed."""
    device = Device.objects.filter(site=scene.library, plan_state="found").latest("pk")
    foreign = Device.objects.filter(site=scene.barracks, plan_state="found").latest("pk")
    day = timezone.now().date() + timedelta(days=30)

    def send(rows: str, do: str) -> str:
        file = SimpleUploadedFile("plans.csv", f"device,state,due\n{rows}".encode())
        return browse("planner").post("/plan/sheet", {"file": file, "do": do}, follow=True).content.decode()

    good = f"{device.pk},scheduled,{day}\n"
    looked = send(good, "look")
    assert "The sheet is sound" in looked
    preview = looked.partition("What it would change")[2]
    for part in (f'href="/devices/{device.pk}"', "Found", "Scheduled", f"due {day:%-d %b %Y}"):
        assert part in preview
    wrong = send(f"{good}{foreign.pk},scheduled,{day}\n{device.pk},scheduled,soon\n", "apply")
    assert "nothing is changed" in wrong
    assert "there is no such device" in wrong
    device.refresh_from_db()
    assert device.plan_state == "found"
    assert "1 plan is changed" in send(good, "apply")
    device.refresh_from_db()
    assert device.plan_state == "scheduled"


def test_published_figures_name_no_site(browse: Browse) -> None:
    """Counts that are small are left out, names of sites and addresses are not in it at all."""
    text = _text(browse("root"), "/plan/publication")
    assert "Northshire Council" in text
    assert "suppressed" in text
    for word in ("Riverside", "10.0.1.", "Old Barracks"):
        assert word not in text
    assert browse("root").get("/plan/publication?level=99").status_code == 422
    assert "There is nothing to publish yet" in _text(browse("nobody"), "/plan/publication")

"""Tests of the list of devices with the page of each."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from inventory.models import AuditEntry, Device, SavedView
from inventory.pages import devices as page
from tests.inventory.making import camera, report
from tests.inventory.pages.conftest import Browse
from tests.inventory.pages.scene import Scene


def _rows(client: Client, **query: str) -> list[int]:
    answer = client.get(f"/devices?{urlencode(query)}")
    assert answer.status_code == 200
    return [int(key) for key in re.findall(r'<a href="/devices/(\d+)">', answer.content.decode())]


def test_filters_and_words_choose(scene: Scene, browse: Browse) -> None:
    """Finding, maker, site, state, words in any order of letters' case; what nobody has finds nothing."""
    client = browse("planner")
    assert len(_rows(client, finding="flagged", site="school-1")) == 11
    assert len(_rows(client, manufacturer="Axis")) == 4
    assert len(_rows(client, plan_state="scheduled")) == 3
    assert len(_rows(client, q="lorex NVR-2")) == 2
    assert _rows(client, q="no such thing") == []
    due = Device.objects.get(plan__due__lt=date.today(), plan__state="scheduled")  # noqa: DTZ011 - as due is kept
    assert _rows(client, plan_state="scheduled", due_until=date.today().isoformat()) == [due.pk]  # noqa: DTZ011
    assert scene.school.pk == due.site_id


def test_a_sorted_list_pages_without_losing_a_row(browse: Browse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page, in any order, each device stands once."""
    monkeypatch.setattr(page, "SIZE", 7)
    client = browse("planner")
    for sort in ("", "maker", "-last-seen", "site", "-state", "confidence"):
        seen: list[int] = []
        address = f"/devices?sort={sort}"
        while address:
            text = client.get(address).content.decode()
            seen += [int(key) for key in re.findall(r'<a href="/devices/(\d+)">', text)]
            following = re.search(r'href="(\?[^"]*cursor=[^"]*)"', text)
            address = f"/devices{following[1].replace('&amp;', '&')}" if following else ""
        assert len(seen) == len(set(seen)) == 30, sort


@pytest.mark.parametrize("cursor", ["x", "bnVsbA==", "WzEsIDJd", "WyJ4IiwgMV0=", "W251bGwsIC0xXQ=="])
def test_a_cursor_that_is_none_begins_anew(browse: Browse, cursor: str) -> None:
    """Whatever somebody writes there, a page comes."""
    client = browse("planner")
    for sort in ("", "last-seen", "maker", "confidence"):
        assert client.get(f"/devices?sort={sort}&cursor={cursor}").status_code == 200


def test_bad_filters_are_named(browse: Browse) -> None:
    """The page says which field is wrong, and still shows devices."""
    answer = browse("viewer").get("/devices?finding=nonsense&due_from=yesterday&organisation=-1")
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "There is a problem" in text
    assert 'href="#id_finding"' in text


def test_export_holds_the_same_devices(browse: Browse) -> None:
    """The links lead to the API with the same filters, words included."""
    client = browse("planner")
    text = client.get("/devices?q=lorex&site=school-1").content.decode()
    address = re.search(r'href="([^"]*format=csv[^"]*)"', text)
    assert address is not None
    body = b"".join(client.get(address[1].replace("&amp;", "&")).streaming_content)  # type: ignore[attr-defined]  # it streams
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert {row["brand"] for row in rows} == {"Lorex"}
    assert len(rows) == 4


def test_json_of_all_is_one_object(scene: Scene, browse: Browse) -> None:
    """The link gives every device of the list, not a page of it, with where its cable ends and what records it."""
    text = browse("planner").get("/devices?site=school-1").content.decode()
    address = re.search(r'href="([^"]*format=json[^"]*)"', text)
    assert address is not None
    answer = browse("planner").get(f"{address[1].replace('&amp;', '&')}&limit=1")
    rows = json.loads(b"".join(answer.streaming_content))["items"]  # type: ignore[attr-defined]  # it streams
    assert len(rows) == Device.objects.filter(site=scene.school).count()
    (row,) = (row for row in rows if row["port"] == "Gi1/0/1")
    assert (row["switch"], row["poe_watts"], row["behind"]["recorders"][0]["channels"]) == (
        "sw-east-1",
        4.5,
        ["1"],
    )


def test_switch_and_port_are_a_column(browse: Browse) -> None:
    """Chosen like the others, kept by a view; nobody's text is a name of ours."""
    text = browse("viewer").get("/devices?column=switch&site=school-1").content.decode()
    assert "Switch and port" in text
    assert "sw-east-1" in text
    assert "sw-east-1" not in browse("viewer").get("/devices?site=school-1").content.decode()
    assert browse("viewer").get("/devices?column=switch&sort=switch").status_code == 200


def test_all_that_match_take_one_step(scene: Scene, browse: Browse, monkeypatch: pytest.MonkeyPatch) -> None:
    """On every page of the list, once their number is confirmed; who is not ours is left alone."""
    monkeypatch.setattr(page, "SIZE", 3)
    client, query = browse("planner"), "?plan_state=found&site=library-1"
    ours = Device.objects.filter(site=scene.library, plan_state="found")
    count = ours.count()
    assert f"all {count} devices that the filters leave" in client.get(f"/devices{query}").content.decode()
    given = {"every": "1", "query": query, "state": "scheduled", "due": "2031-01-01"}
    asked = client.post("/devices/step", given).content.decode()
    assert f"{count} devices at 1 site" in asked
    assert f'name="confirmed" value="{count}"' in asked
    # Another number than the one that was shown is asked for again.
    assert client.post("/devices/step", {**given, "confirmed": count - 1}).status_code == 200
    assert ours.count() == count
    answer = client.post("/devices/step", {**given, "confirmed": count})
    assert (answer.status_code, answer["Location"]) == (302, f"/devices{query}")
    assert Device.objects.filter(site=scene.library, plan_state="scheduled").count() == count
    assert AuditEntry.objects.filter(who="planner", action="plan", after__due="2031-01-01").count() == count
    # The whole list, without a filter: the ministry's devices are not in it.
    everything = {"every": "1", "state": "found", "query": ""}
    theirs = set(Device.objects.filter(site=scene.barracks).values_list("pk", "plan_state"))
    mine = Device.objects.filter(site__in=(scene.school, scene.library)).count()
    assert f"{mine} devices at 2 sites" in client.post("/devices/step", everything).content.decode()
    refused = client.post("/devices/step", {**everything, "confirmed": mine})
    assert (refused.status_code, "did not take the step" in refused.content.decode()) == (422, True)
    assert not Device.objects.filter(site=scene.library, plan_state="scheduled").exists()
    assert set(Device.objects.filter(site=scene.barracks).values_list("pk", "plan_state")) == theirs


def test_all_that_match_are_bounded(scene: Scene, browse: Browse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many, wrong filters, nobody's right: nothing changes, and the page says why."""
    before = AuditEntry.objects.count()
    given = {"every": "1", "query": "?site=library-1", "state": "removed", "confirmed": "12"}
    viewer = browse("viewer").post("/devices/step", given)
    assert "you may not do this at its site" in viewer.content.decode()
    wrong = browse("planner").post("/devices/step", {**given, "query": "?finding=nonsense"}, follow=True)
    assert "filters are wrong" in wrong.content.decode()
    monkeypatch.setattr(page, "AT_ONCE", 5)
    many = browse("planner").post("/devices/step", given, follow=True)
    assert "at most 5 devices at once" in many.content.decode()
    assert AuditEntry.objects.count() == before
    assert scene.library


def test_a_view_is_kept_for_one_person(scene: Scene, browse: Browse) -> None:
    """Its name, its query; nobody else sees it; its owner drops it."""
    client = browse("viewer")
    client.post("/devices/views", {"name": "Lorex", "query": "?q=lorex&cursor=x"})
    view = SavedView.objects.get()
    assert (view.user, view.query) == (scene.people["viewer"], "q=lorex")
    assert "Lorex</a>" in client.get("/devices").content.decode()
    browse("planner").post("/devices/views", {"drop": view.pk})
    assert SavedView.objects.exists()
    client.post("/devices/views", {"drop": view.pk})
    assert not SavedView.objects.exists()


def test_many_take_one_step(scene: Scene, browse: Browse) -> None:
    """The ticked devices are scheduled, each with an entry in the log; what is not ours is left alone."""
    ours = list(
        Device.objects.filter(site=scene.library, plan_state="found").values_list("pk", flat=True)[:3]
    )
    theirs = list(
        Device.objects.filter(site=scene.barracks, plan_state="found").values_list("pk", flat=True)[:1]
    )
    before = AuditEntry.objects.count()
    given = {"device": [*ours, *theirs], "state": "scheduled", "query": "?q=x"}
    assert browse("planner").post("/devices/step", given).status_code == 422
    answer = browse("planner").post("/devices/step", {**given, "due": "2031-01-01"})
    assert (answer.status_code, answer["Location"]) == (302, "/devices?q=x")
    assert set(Device.objects.filter(plan__due="2031-01-01").values_list("pk", flat=True)) == set(ours)
    assert AuditEntry.objects.count() == before + 3


def test_who_may_not_plan_is_refused(scene: Scene, browse: Browse) -> None:
    """A viewer changes nothing; a technician says what was removed, and plans nothing."""
    device = Device.objects.filter(site=scene.library, plan_state="found").first()
    assert device is not None
    schedule = {"device": device.pk, "state": "scheduled", "due": "2031-01-01"}
    for role in ("viewer", "technician"):
        browse(role).post("/devices/step", schedule)
        browse(role).post(f"/devices/{device.pk}", schedule)
        device.refresh_from_db()
        assert device.plan_state == "found"
    assert browse("technician").post(f"/devices/{device.pk}", {"state": "removed"}).status_code == 302
    device.refresh_from_db()
    assert device.plan_state == "removed"


def test_the_page_of_a_device_says_why(scene: Scene, browse: Browse) -> None:
    """Verdict, policy, evidence in words, keys, switch, history."""
    said = [
        {"field": "switch.name", "text": "sw-cellar", "read_as": "snmp"},
        {"field": "switch.port", "text": "Gi1/0/7", "read_as": "snmp"},
    ]
    report("r9", [camera(99, observations=said)], where=scene.school)
    device = Device.objects.get(address="10.0.0.99")
    text = browse("viewer").get(f"/devices/{device.pk}").content.decode()
    for part in (
        "Made by <strong>Hikvision</strong>",
        "uk-2022-sensitive-sites",
        "App-webs/",
        "made by Hikvision",
        "HTTP Server header",
        "28:57:be:00:00:63",
        "sw-cellar",
        "Gi1/0/7",
        "Finding: Flagged",
    ):
        assert part in text


def test_a_recorder_shows_its_channels(scene: Scene, browse: Browse) -> None:
    """Each camera at its channel, those that the recorder alone knows, the channels that nobody knows."""
    recorder = Device.objects.filter(site=scene.library, device_class="recorder").earliest("pk")
    text = " ".join(browse("viewer").get(f"/devices/{recorder.pk}").content.decode().split())
    assert "<strong>6</strong> more channels of 8 are not matched" in text
    assert text.count('data-label="Camera"') == 2
    assert "fetches video" in text
    camera_ = Device.objects.get(site=scene.library, serial__endswith=f"{scene.library.pk * 256:09d}")
    text = " ".join(browse("viewer").get(f"/devices/{camera_.pk}").content.decode().split())
    for part in (f'href="/devices/{recorder.pk}"', "channel 1", "sw-east-1", "Gi1/0/1", "4.5 W"):
        assert part in text
    for part in (
        "litedev.hik-connect.example",
        "1,440 times",
        "5.0 MB sent",
        "80.0 KB received",
        "192.0.2.77",
    ):
        assert part in text
    assert "4.5 W" not in browse("stranger").get(f"/devices/{camera_.pk}").content.decode()


def test_a_camera_that_nobody_met_says_so(scene: Scene, browse: Browse) -> None:
    """Hidden behind a recorder: at the camera, in the recorder's list; a recorder that is not here is named."""
    at = timezone.now()
    rows = [
        camera(70, at, device_class="recorder", channels=4),
        camera(71, at, hidden=True, behind=[{"recorder": "10.0.0.70", "channels": ["2"]}]),
        camera(72, at, behind=[{"recorder": "10.9.9.9", "channels": []}]),
    ]
    report("r7", rows, at, where=scene.school)
    text = browse("viewer").get(f"/devices/{_at('10.0.0.71')}").content.decode()
    assert "Its recorder alone knows it" in text
    assert "behind the recorder" in browse("viewer").get(f"/devices/{_at('10.0.0.70')}").content.decode()
    text = browse("viewer").get(f"/devices/{_at('10.0.0.72')}").content.decode()
    assert "the recorder <code>10.9.9.9</code>" in text
    assert "alone knows it" not in text


def _at(address: str) -> int:
    return Device.objects.get(address=address).pk


def test_what_a_device_says_is_only_text(scene: Scene, browse: Browse) -> None:
    """Markup in a name, a model, evidence is shown, never run."""
    evil = "<script>alert(1)</script>"
    row = camera(98, model=evil, hostnames=[evil], firmware=evil)
    row["location"] = {"switch": evil, "port": evil, "description": evil}
    row["behind"] = [{"recorder": evil, "channels": [evil]}]
    row["evidence"][0]["text"] = evil
    report("r8", [row], where=scene.school)
    device = Device.objects.get(model=evil)
    client = browse("planner")
    for address in ("/devices", f"/devices/{device.pk}", "/", "/devices?column=switch"):
        text = client.get(address).content.decode()
        assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in client.get(f"/devices/{device.pk}").content.decode()

"""Tests of the overview, of the frame around every page."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inventory import clock
from inventory.models import Alert, Organisation, Plan
from tests.inventory.pages.conftest import Browse
from tests.inventory.pages.scene import Scene


def _figures(text: str) -> dict[str, int]:
    pairs = re.findall(r'class="value">([\d,]+)</span><span class="label"><a [^>]*>([^<]+)<', text)
    return {name: int(number.replace(",", "")) for number, name in pairs}


def test_it_counts_what_the_visitor_may_see(browse: Browse) -> None:
    """A council's people see theirs, a ministry's theirs, a superuser all, somebody without a role nothing."""
    found = {
        role: _figures(browse(role).get("/").content.decode()) for role in ("viewer", "stranger", "root")
    }
    assert found["viewer"] == {"Devices": 30, "Flagged": 22, "Suspected": 2, "Unidentified": 2, "Clear": 4}
    assert found["stranger"]["Devices"] == 18
    assert found["root"]["Devices"] == 48
    assert "Nothing has been found yet" in browse("nobody").get("/").content.decode()
    part = Organisation.objects.get(name="Northshire Schools")
    assert _figures(browse("viewer").get(f"/?organisation={part.pk}").content.decode())["Devices"] == 18
    other = Organisation.objects.get(name="Ministry of Works")
    assert _figures(browse("viewer").get(f"/?organisation={other.pk}").content.decode())["Devices"] == 30


def test_it_names_what_needs_somebody(browse: Browse) -> None:
    """A device that came back, a plan that is late, an agent that never reported, a token that ends."""
    text = browse("viewer").get("/").content.decode()
    for part in (
        "seen at 10.0.1.5 again",
        "1 overdue",
        "box-depot",
        "never reported",
        "box-schools",
        "has a token until",
    ):
        assert part in text
    assert "box-works" not in text


def test_an_exemption_that_ended_is_an_alert(scene: Scene, browse: Browse) -> None:
    """On the overview and at the device, until somebody has looked."""
    plan = Plan.objects.get(state="exempt", device__site=scene.school)
    assert plan.exempt_until is not None
    clock.end_exemptions(plan.exempt_until + timedelta(days=1))
    address = f"/devices/{plan.device_id}"
    for page in ("/", address):
        assert "Found again: the exemption ended on" in browse("viewer").get(page).content.decode()
    alert = Alert.objects.get(kind="exemption-ended")
    assert browse("technician").post(address, {"settle": alert.pk}).status_code == 302
    assert "the exemption ended on" not in browse("viewer").get("/").content.decode()


@pytest.mark.usefixtures("database")
def test_an_empty_inventory_says_what_to_do_next() -> None:
    """The first pages of a newcomer name the commands that fill them."""
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.create_superuser("root"))
    for address in ("/", "/devices"):
        text = client.get(address).content.decode()
        assert "camcensus scan" in text
        assert "camcensus inventory token" in text


def test_pages_need_nothing_from_elsewhere(browse: Browse) -> None:
    """No address of others, no style or script within; the files are served, and may be kept."""
    client = browse("viewer")
    answer = client.get("/")
    text = answer.content.decode()
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)
    assert not re.findall(r"<style|<script(?! src)|\sstyle=|\son[a-z]+=", text)
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', text):
        file = client.get(address)
        assert file.status_code == 200
        assert "max-age=86400" in file["Cache-Control"]
        file.close()

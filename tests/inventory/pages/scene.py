"""Fills an inventory as a central team would meet it: a tree, sites, scans of weeks, plans in every state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.contrib.auth.models import User
from django.utils import timezone

from inventory import audit, plans, tokens
from inventory.ingest.service import Submission, receive
from inventory.models import (
    Agent,
    Device,
    Kind,
    Membership,
    Organisation,
    Role,
    Sensitivity,
    Site,
    Subnet,
)
from inventory.timeline import Step
from tests.inventory.making import camera, document

__all__ = ["PASSWORD", "Scene", "find", "make"]

PASSWORD: Final = "correct horse battery"  # noqa: S105 - of accounts that live as long as a test


@dataclass(frozen=True, slots=True)
class Scene:
    """What was made: people by role, the sites that are theirs, one site that is nobody's of them."""

    people: dict[str, User]
    school: Site
    library: Site
    barracks: Site


def make() -> None:
    """Make the scene; times are counted back from now, as pages speak of what is late."""
    now = timezone.now().replace(microsecond=0)
    council = Organisation.objects.create(name="Northshire Council", kind=Kind.COUNCIL)
    schools = Organisation.objects.create(name="Northshire Schools", kind=Kind.SCHOOL, parent=council)
    ministry = Organisation.objects.create(name="Ministry of Works", kind=Kind.DEPARTMENT)
    school = Site.objects.create(
        code="school-1",
        name="Riverside School",
        organisation=schools,
        address="1 River Street\nNorthtown",
        sensitivity=Sensitivity.SENSITIVE,
        owner="Estates, Northshire",
    )
    library = Site.objects.create(code="library-1", name="Central Library", organisation=council)
    Site.objects.create(code="depot-1", name="Highways Depot", organisation=council)
    barracks = Site.objects.create(
        code="barracks-1", name="Old Barracks", organisation=ministry, sensitivity=Sensitivity.CRITICAL
    )
    Subnet.objects.create(site=school, range=f"10.0.{school.pk}.0/24", vlan=20, name="Cameras")
    Subnet.objects.create(site=school, range="10.0.9.0/24", vlan=90, name="Caretaker")
    people = {role: _person(role, council, role) for role in Role.values}
    _person("stranger", ministry, Role.ADMINISTRATOR)
    User.objects.create_user("nobody", password=PASSWORD)
    User.objects.create_superuser("root", password=PASSWORD)
    _scan(school, "box-schools", schools, now)
    _scan(library, "box-council", council, now)
    _scan(barracks, "box-works", ministry, now)
    Agent.objects.create(name="box-depot", organisation=council)
    _plan(school, people[Role.PLANNER], now)


def find() -> Scene:
    """The scene that was made."""
    school, library, barracks = (
        Site.objects.get(code=code) for code in ("school-1", "library-1", "barracks-1")
    )
    return Scene({user.username: user for user in User.objects.all()}, school, library, barracks)


def _person(name: str, where: Organisation, role: str) -> User:
    user = User.objects.create_user(name, password=PASSWORD)
    Membership.objects.create(user=user, organisation=where, role=role)
    audit.record("root", "grant", f"user {name}", organisation=where, after={"role": role})
    return user


def other(number: int, at: datetime, maker: str, **more: Any) -> dict[str, Any]:
    """A device that no policy names."""
    return camera(
        number,
        at,
        manufacturer=maker or None,
        brand=maker or None,
        model=more.pop("model", "M3045-V" if maker else None),
        serial=f"{maker or 'X'}-{number:06d}",
        policies=[],
        policy_matches=[],
        **{"finding": "clear" if maker else "unidentified", "evidence": [], **more},
    )


def devices(base: int, at: datetime) -> list[dict[str, Any]]:
    """Eighteen devices, from the address `base` on; some at switch ports, some at channels of a recorder."""
    recorder = str(camera(base + 10)["id"])
    dahua = {
        "manufacturer": "Dahua",
        "model": "IPC-HDW4433C-A",
        "policy_matches": [
            {
                "policy": "uk-2022-sensitive-sites",
                "entry": "Dahua",
                "basis": "Company of the People's Republic of China; reviewed.",
                "in_force_from": "2022-11-24",
            }
        ],
    }
    flagged = [camera(base + number, at, location=port(number)) for number in range(7)]
    for number in (0, 1):
        flagged[number]["behind"] = [{"recorder": recorder, "channels": [str(number + 1)]}]
    rebranded = [
        camera(
            base + 10 + number,
            at,
            brand="Lorex",
            hostnames=[f"nvr-{number}.example"],
            device_class="recorder",
            channels=8,
            location=port(number + 10),
            **dahua,
        )
        for number in range(4)
    ]
    suspected = [camera(base + 20, at, finding="suspected", level="possible", confidence=0.71)]
    clear = [other(base + 30 + number, at, "Axis", level="confirmed") for number in range(4)]
    clear[3] |= {"hidden": True, "behind": [{"recorder": recorder, "channels": ["5"]}]}
    unknown = [other(base + 40 + number, at, "", level="unknown", confidence=0.2) for number in range(2)]
    return [*flagged, *rebranded, *suspected, *clear, *unknown]


def port(number: int) -> dict[str, Any]:
    """A port of a switch that feeds what hangs there."""
    return {
        "switch": "sw-east-1",
        "port": f"Gi1/0/{number + 1}",
        "description": f"camera {number + 1}",
        "vlan": 20,
        "macs": 1,
        "poe_watts": 4.5 + number / 10,
        "poe_class": 2,
    }


def report(rows: list[dict[str, Any]], at: datetime, base: int) -> dict[str, Any]:
    """A report with the recorder's channels, whom it asks, whose cloud a camera calls."""
    recorder, first, second = (str(camera(base + number)["id"]) for number in (10, 0, 1))
    told = document(
        rows,
        at,
        recorders=[
            {"id": recorder, "manufacturer": "Dahua", "channels": 8, "cameras": 3, "listed": True},
            {"id": str(camera(base + 11)["id"]), "manufacturer": "Dahua", "channels": None, "cameras": 0},
        ],
    )
    told["contacts"] = [
        {"from": recorder, "to": camera_, "protocols": ["onvif", "rtsp"], "records": True}
        for camera_ in (first, second)
    ]
    told["phone_home"] = [
        {
            "device": first,
            "maker": "Hikvision",
            "name": "litedev.hik-connect.example",
            "addresses": ["192.0.2.77"],
            "count": 1440,
            "bytes_sent": 5_242_880,
            "bytes_received": 81_920,
        }
    ]
    return told


def _scan(site: Site, name: str, organisation: Organisation, now: datetime) -> None:
    agent, _ = Agent.objects.get_or_create(name=name, defaults={"organisation": organisation})
    if name == "box-schools":
        tokens.issue(agent, 5, [site])
    else:
        tokens.issue(agent, 300)
    base = site.pk * 256
    for days in (40, 20, 6, 1):
        if site.code == "library-1" and days < 40:
            continue
        at = now - timedelta(days=days)
        found = devices(base, at)[: 18 if days < 40 else 12]
        receive(Submission(f"{site.code}-{days}", site, report(found, at, base), agent))


def _plan(site: Site, planner: User, now: datetime) -> None:
    today = now.date()
    flagged = list(Device.objects.filter(site=site, finding="flagged").order_by("id"))
    take = plans.take
    take(
        flagged[0],
        Step("scheduled", due=today - timedelta(days=9), owner="Estates", replacement="Axis"),
        planner,
    )
    take(flagged[1], Step("scheduled", due=today + timedelta(days=6), owner="Estates"), planner)
    take(flagged[2], Step("scheduled", due=_next_month(today), owner="Contractor"), planner)
    take(flagged[3], Step("removed"), planner)
    take(
        flagged[4],
        Step(
            "exempt",
            reason="Inside a ceiling that is closed until the works",
            exempt_until=today + timedelta(days=90),
        ),
        planner,
    )
    take(flagged[5], Step("removed"), planner)
    back = camera(site.pk * 256 + 5, now)
    address = str(back["addresses"][0])
    assert flagged[5].address == address
    later = now + timedelta(seconds=50)
    receive(
        Submission(
            f"{site.code}-back", site, document([{**back, "last_seen": later.isoformat()}], later), None
        )
    )


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=40)).replace(day=14)

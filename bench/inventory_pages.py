"""Asks each page and each list of the inventory many times, with what people would ask for.

    CAMCENSUS_DATABASE_URL=... python bench/inventory_pages.py REQUESTS [NAME ...]

Prints, as JSON, the median and the 95th percentile of each in milliseconds. A request is a whole one:
session, rights, queries, template, all but the network. Before each of them some site takes a step of
removal, as in a country one does every few seconds: what is kept only as long as none does is not kept.
``cold`` is where nothing is kept at all, as in the first request of a server process.
"""

from __future__ import annotations

import base64
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

REPO: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

MAKERS: Final = ("Hikvision", "Dahua", "Uniview", "Axis", "Hanwha Vision", "Bosch")
STATES: Final = ("found", "scheduled", "removed", "verified-gone", "returned", "exempt")
FINDINGS: Final = ("flagged", "suspected", "clear", "unidentified")
API: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Country:
    """What there is to ask for: how many of each, and the draw of what is asked."""

    sites: int
    devices: int
    runs: int
    agents: int
    organisations: tuple[int, ...]
    draw: random.Random

    @property
    def site(self) -> int:
        """A site."""
        return self.draw.randint(1, self.sites)

    @property
    def device(self) -> int:
        """A device."""
        return self.draw.randint(1, self.devices)

    @property
    def maker(self) -> str:
        """A maker."""
        return self.draw.choice(MAKERS)

    @property
    def state(self) -> str:
        """A state of removal."""
        return self.draw.choice(STATES)

    @property
    def part(self) -> int:
        """An organisation."""
        return self.draw.choice(self.organisations)

    @property
    def cursor(self) -> str:
        """Somewhere far down a list of devices by their ids, as pages write it."""
        return base64.urlsafe_b64encode(json.dumps([None, self.device]).encode()).decode()

    @property
    def filters(self) -> dict[str, Any]:
        """A filter of the devices: one of the fields, or some together."""
        choices: list[dict[str, Any]] = [
            {"finding": self.draw.choice(FINDINGS)},
            {"manufacturer": self.maker},
            {"plan_state": self.state},
            {"finding": "flagged", "plan_state": self.state},
            {"finding": "flagged", "manufacturer": self.draw.choice(MAKERS[:2])},
            {"device_class": self.draw.choice(("camera", "recorder", "doorbell"))},
            {"device_class": "doorbell", "manufacturer": self.maker},
            {"level": self.draw.choice(("confirmed", "probable", "possible"))},
            {"site": f"site-{self.site}"},
            {"site": f"site-{self.site}", "plan_state": "found"},
            {"organisation": self.part},
            {"organisation": self.part, "finding": "flagged"},
            {"organisation": self.part, "plan_state": self.state, "device_class": "recorder"},
            {"conflicted": "true"},
            {"conflicted": "true", "manufacturer": self.maker},
            {"plan_state": "scheduled", "due_until": "2026-12-31"},
            {"due_from": "2027-01-01", "due_until": "2027-01-31"},
        ]
        return self.draw.choice(choices)

    @property
    def word(self) -> str:
        """What people search for."""
        n = self.device
        return self.draw.choice(
            [
                f"10.{n >> 16 & 255}.{n >> 8 & 255}.",
                f"28:57:be:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}",
                f"cam-{n:x}",
                f"{n:09d}",
                f"DS-2CD2{n % 60}",
                f"hik {n % 60}2016",
                f"{n:x}",
                "nothing-of-this-name",
            ]
        )


def requests(country: Country) -> Mapping[str, tuple[str, Callable[[], str]]]:
    """By name: who asks, for what."""
    c = country

    def to(path: str, **query: Any) -> str:
        return f"{path}?{urlencode(query)}" if query else path

    lists = {
        "devices": lambda: to(f"{API}/devices", **c.filters),
        "devices.cursor": lambda: to(f"{API}/devices", **c.filters, cursor=c.device),
        "devices.search": lambda: to(f"{API}/devices", q=c.word),
        "sites": lambda: to(f"{API}/sites", cursor=c.site),
        "runs": lambda: to(f"{API}/runs", cursor=c.draw.randint(1, c.runs)),
        "runs.site": lambda: to(f"{API}/runs", site=f"site-{c.site}", complete="true"),
        "runs.agent": lambda: to(f"{API}/runs", agent=f"agent-{c.draw.randint(1, c.agents)}"),
        "findings": lambda: to(f"{API}/findings", cursor=c.device),
        "findings.device": lambda: to(f"{API}/findings", device=c.device),
        "verdicts": lambda: to(f"{API}/verdicts", cursor=c.device),
        "verdicts.device": lambda: to(f"{API}/verdicts", device=c.device),
        "sightings": lambda: to(f"{API}/sightings", cursor=c.device),
        "sightings.device": lambda: to(f"{API}/sightings", device=c.device),
        "timeline": lambda: to(f"{API}/timeline", cursor=c.device),
        "timeline.device": lambda: to(f"{API}/timeline", device=c.device),
        "contacts": lambda: to(f"{API}/contacts", cursor=c.device),
        "cloud-calls": lambda: to(f"{API}/cloud-calls", cursor=c.device),
        "burndown": lambda: to(f"{API}/burndown", by=c.draw.choice(("", "organisation", "manufacturer"))),
        "overdue": lambda: to(f"{API}/overdue"),
        "publication": lambda: to(f"{API}/publication", level=c.draw.randint(1, 3)),
    }
    pages = {
        "list": lambda: to("/devices", **c.filters),
        "list.sorted": lambda: to(
            "/devices", site=f"site-{c.site}", sort=c.draw.choice(("last-seen", "-model"))
        ),
        "list.cursor": lambda: to("/devices", **c.filters, cursor=c.cursor),
        "list.search": lambda: to("/devices", q=c.word),
        "device": lambda: f"/devices/{c.device}",
        "sites": lambda: to(
            "/sites", **c.draw.choice(({}, {"organisation": c.part}, {"q": f"mill {c.site}"}))
        ),
        "sites.coverage": lambda: to("/sites", coverage=c.draw.choice(("fresh", "stale", "never"))),
        "site": lambda: f"/sites/{c.site}",
        "overview": lambda: "/",
        "overview.part": lambda: to("/", organisation=c.part),
        "plan": lambda: "/plan",
        "plan.part": lambda: to(
            "/plan", **c.draw.choice(({"organisation": c.part}, {"site": f"site-{c.site}"}))
        ),
        "calendar": lambda: to("/plan/calendar", month=f"2027-{c.draw.randint(1, 12):02d}"),
        "progress": lambda: to(
            "/plan/progress", by=c.draw.choice(("organisation", "site", "sensitivity", "manufacturer"))
        ),
        "overdue": lambda: "/plan/overdue",
        "publication": lambda: to("/plan/publication", level=c.draw.randint(1, 3)),
        "policies": lambda: "/policies",
        "runs": lambda: to("/runs", **c.draw.choice(({}, {"complete": "false"}, {"site": f"site-{c.site}"}))),
        "run": lambda: f"/runs/{c.draw.randint(1, c.runs)}",
        "agents": lambda: "/agents",
        "agent": lambda: f"/agents/{c.draw.randint(1, c.agents)}",
        "people": lambda: "/people",
        "audit": lambda: to(
            "/audit",
            **c.draw.choice(
                (
                    {},
                    {"what": f"device {c.device}"},
                    {"who": f"planner-{c.draw.randint(1, c.agents)}"},
                    {"action": "plan"},
                )
            ),
        ),
    }
    found = {name: ("administrator", ask) for name, ask in pages.items()}
    found |= {f"{name}.cold": ("administrator", pages[name]) for name in ("overview", "progress")}
    found |= {
        f"{name}.viewer": ("viewer", pages[name])
        for name in (
            "overview",
            "list",
            "list.search",
            "sites",
            "plan",
            "progress",
            "overdue",
            "publication",
            "runs",
            "agents",
        )
    }
    return (
        found
        | {f"api.{name}": ("administrator", ask) for name, ask in lists.items()}
        | {f"api.{name}.viewer": ("viewer", lists[name]) for name in ("devices", "runs", "sightings")}
    )


def people() -> dict[str, Any]:
    """One client for each of the people: who may see all, who may see one region."""
    from django.contrib.auth.models import User  # noqa: PLC0415 - after the settings
    from django.test import Client  # noqa: PLC0415 - after the settings

    from inventory.models import Membership, Organisation  # noqa: PLC0415 - after the settings

    clients = {}
    for name, rules in (("administrator", True), ("viewer", False)):
        user, _ = User.objects.get_or_create(username=name, defaults={"is_superuser": rules})
        if not rules:
            region = Organisation.objects.filter(parent__parent=None, parent__isnull=False).first()
            Membership.objects.get_or_create(user=user, organisation=region)
        clients[name] = Client(SERVER_NAME="localhost")
        clients[name].force_login(user)
    return clients


def country() -> Country:
    """What the database holds."""
    from inventory.models import Agent, Device, Organisation, Run, Site  # noqa: PLC0415 - after the settings

    def last(model: Any) -> int:
        return int(model.objects.order_by("-pk").values_list("pk", flat=True).first())

    every = tuple(Organisation.objects.exclude(parent=None).values_list("pk", flat=True))
    draw = random.Random(7)  # noqa: S311 - the same requests each time
    return Country(last(Site), last(Device), last(Run), last(Agent), every, draw)


def take_a_step() -> None:
    """Let the sums of steps be written anew, with a higher id; they stay what they are."""
    from inventory.models import DailyStep  # noqa: PLC0415 - after the settings

    nothing = DailyStep(site_id=1, manufacturer="nobody", day=date(2026, 1, 1), state="found", change=0)
    DailyStep.objects.filter(manufacturer=nothing.manufacturer).delete()
    nothing.save()


def measured(names: list[str], count: int) -> Iterator[tuple[str, dict[str, float]]]:
    """The times of each that is named, or of all."""
    from django.core.cache import cache  # noqa: PLC0415 - after the settings

    clients = people()
    for name, (who, ask) in requests(country()).items():
        if names and name not in names:
            continue
        times, slowest = [], (0.0, "")
        for turn in range(-2, count):
            path = ask()
            if name.endswith(".cold"):
                cache.clear()
            take_a_step()
            began = time.perf_counter()
            answer = clients[who].get(path)
            # Some answers are streams.
            size = len(b"".join(answer)) if answer.streaming else len(answer.content)
            took = (time.perf_counter() - began) * 1000
            if answer.status_code != 200 or not size:
                raise SystemExit(f"{path}: {answer.status_code}")
            if turn >= 0:
                times.append(took)
                slowest = max(slowest, (took, path))
        fifths = statistics.quantiles(times, n=20, method="inclusive")
        sys.stderr.write(f"{name:24} {statistics.median(times):7.0f} {fifths[-1]:7.0f} ms   {slowest[1]}\n")
        yield name, {"p50": statistics.median(times), "p95": fifths[-1]}


def main() -> None:
    """Measure and print."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "inventory.settings"
    import django  # noqa: PLC0415 - after the environment

    django.setup()
    print(json.dumps(dict(measured(sys.argv[2:], int(sys.argv[1])))))


if __name__ == "__main__":
    main()

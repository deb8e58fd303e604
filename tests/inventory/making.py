"""Makes what tests of the inventory put into it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from inventory.ingest.service import Receipt, Submission, receive
from inventory.models import Agent, Kind, Organisation, Site

__all__ = ["DAY", "START", "camera", "document", "report", "site"]

START = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def site(code: str = "school-1", parent: Organisation | None = None) -> Site:
    """A site of a council, made where there is none."""
    council = parent or Organisation.objects.get_or_create(name="Council", kind=Kind.COUNCIL)[0]
    return Site.objects.get_or_create(code=code, defaults={"name": code.title(), "organisation": council})[0]


def agent(name: str = "box") -> Agent:
    """An agent of the council."""
    council = Organisation.objects.get_or_create(name="Council", kind=Kind.COUNCIL)[0]
    return Agent.objects.get_or_create(name=name, defaults={"organisation": council})[0]


def stamp(at: datetime) -> str:
    """A time as reports write it."""
    return at.isoformat().replace("+00:00", "Z")


def camera(number: int, at: datetime = START, **more: Any) -> dict[str, Any]:
    """A flagged camera as `fingerprints.codec` writes one; `number` gives it its keys."""
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return {
        "id": address,
        "manufacturer": "Hikvision",
        "brand": "Hikvision",
        "device_class": "camera",
        "model": "DS-2CD2042WD-I",
        "firmware": "V5.4.5",
        "serial": f"DS-2CD2042WD-I2016{number:09d}",
        "mac": f"28:57:be:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
        "confidence": 0.998,
        "level": "confirmed",
        "finding": "flagged",
        "policies": ["uk-2022-sensitive-sites"],
        "policy_matches": [
            {
                "policy": "uk-2022-sensitive-sites",
                "entry": "Hikvision",
                "basis": "b",
                "in_force_from": "2022-11-24",
            }
        ],
        "evidence": [
            {
                "rule": "hikvision.http-server.app-webs",
                "family": "http",
                "field": "http.server",
                "text": "App-webs/",
                "claims": {"manufacturer": "Hikvision"},
                "weight": 6.1,
                "proof": False,
                "status": "stable",
            }
        ],
        "conflicts": [],
        "notes": [],
        "problems": [],
        "addresses": [address],
        "macs": [f"28:57:be:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"],
        "hostnames": [],
        "ports": [80],
        "vlans": [],
        "first_seen": stamp(at),
        "last_seen": stamp(at),
        "site": None,
        "observations": [{"field": "http.server", "text": "App-webs/", "read_as": "http"}],
        **more,
    }


def document(
    devices: list[Any], at: datetime = START, *, targets: tuple[str, ...] = ("10.0.0.0/8",), **coverage: Any
) -> dict[str, Any]:
    """A report of a complete scan."""
    return {
        "schema": 1,
        "devices": devices,
        "coverage": {"incomplete": False, **coverage},
        "contacts": [],
        "phone_home": [],
        "problems": [],
        "run": {
            "tool": "camcensus",
            "version": "0.1.0",
            "command": "scan",
            "started": stamp(at),
            "finished": stamp(at),
            "knowledge": "7e1103cb97fc",
            "targets": list(targets),
        },
    }


def report(
    name: str, devices: list[Any], at: datetime = START, where: Site | None = None, **coverage: Any
) -> Receipt:
    """Take a report of a complete scan into the inventory."""
    return receive(Submission(name, where or site(), document(devices, at, **coverage), agent()))

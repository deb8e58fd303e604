"""Measures how fast the inventory takes reports in, on SQLite as on PostgreSQL.

Devices are the size of real ones (eight pieces of evidence, fifteen facts, some 3 KB of JSON) in
parts of 500, read from bytes. `first` has never been seen: every row of it is new. `again` is the
same fleet a day later, as most reports are: found, compared, intervals extended. The figure named
in the project's goals is `again`; both are printed.

    python bench/inventory.py --devices 20000 --json
    CAMCENSUS_BENCH_URL=postgresql://... adds PostgreSQL
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

REPO: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

PART: Final = 500
START: Final = datetime(2026, 3, 1, 6, tzinfo=UTC)
DAY: Final = timedelta(days=1)


def device(number: int, at: datetime) -> dict[str, Any]:
    """One camera of the fleet."""
    low = f"{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    stamp = (at + timedelta(seconds=number % 600)).isoformat().replace("+00:00", "Z")
    scopes = [
        f"onvif://www.onvif.org/{name}/value-{number % 97}" for name in ("hardware", "name", "location")
    ]
    return {
        "id": address,
        "manufacturer": ("Hikvision", "Dahua", "Axis")[number % 3],
        "brand": "Hikvision",
        "device_class": "camera",
        "model": "DS-2CD2042WD-I",
        "line": None,
        "channels": None,
        "firmware": "V5.4.5",
        "serial": f"DS-2CD2042WD-I2016{number:09d}",
        "mac": f"28:57:be:{low}",
        "confidence": 0.998,
        "level": "confirmed",
        "finding": ("flagged", "flagged", "clear")[number % 3],
        "policies": ["uk-2022-sensitive-sites"],
        "policy_matches": [
            {
                "policy": "uk-2022-sensitive-sites",
                "entry": "Hikvision",
                "basis": "A basis of some length, as policies have one: " * 4,
                "in_force_from": "2022-11-24",
            }
        ],
        "evidence": [
            {
                "rule": f"hikvision.onvif-scope.rule-{place}",
                "family": "onvif",
                "field": "onvif.scope",
                "text": scopes[place % 3],
                "claims": {"manufacturer": "Hikvision"},
                "weight": 5.42,
                "proof": False,
                "status": "stable",
            }
            for place in range(8)
        ],
        "conflicts": [],
        "notes": [],
        "problems": [],
        "addresses": [address],
        "macs": [f"28:57:be:{low}"],
        "hostnames": [],
        "ports": [80, 554],
        "vlans": [],
        "first_seen": stamp,
        "last_seen": stamp,
        "site": None,
        "observations": [
            {"field": "onvif.scope", "text": f"{scopes[place % 3]}/{place}", "read_as": "ws-discovery"}
            for place in range(14)
        ]
        + [
            {
                "field": "onvif.endpoint",
                "text": f"urn:uuid:5f5a69c2-e0ae-504f-829b-{number:012x}",
                "read_as": "ws-discovery",
            }
        ],
    }


def parts(count: int, at: datetime) -> list[bytes]:
    """The report of one day, in parts, as bytes."""
    stamp = at.isoformat().replace("+00:00", "Z")
    run = {
        "command": "scan",
        "version": "0.1.0",
        "started": stamp,
        "finished": stamp,
        "targets": ["10.0.0.0/8"],
    }
    return [
        json.dumps(
            {
                "schema": 1,
                "devices": [device(number, at) for number in range(start, min(start + PART, count))],
                "coverage": {"incomplete": False},
                "problems": [],
                "run": run,
            }
        ).encode()
        for start in range(0, count, PART)
    ]


def measure(count: int, days: int, *, profile: bool) -> dict[str, float]:
    """Fill the database that the environment names; gives devices a second by name."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "inventory.settings"
    import django  # noqa: PLC0415 - after the environment

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - after the settings

    from inventory.ingest.service import Submission, receive  # noqa: PLC0415 - after the settings
    from inventory.models import Kind, Organisation, Site  # noqa: PLC0415 - after the settings
    from inventory.unpacking import read_report  # noqa: PLC0415 - after the settings

    call_command("migrate", verbosity=0)
    owner, _ = Organisation.objects.get_or_create(name="Council", kind=Kind.COUNCIL)
    places = [
        Site.objects.get_or_create(code=f"s{place}", defaults={"name": "s", "organisation": owner})[0]
        for place in range((count + PART - 1) // PART)
    ]
    rates: dict[str, float] = {}
    watch = cProfile.Profile()
    for day in range(days):
        bodies = parts(count, START + day * DAY)
        began = time.perf_counter()
        if profile and day == days - 1:
            watch.enable()
        for place, body in zip(places, bodies, strict=True):
            receive(Submission(f"day-{day}", place, read_report(body)))
        watch.disable()
        rate = count / (time.perf_counter() - began)
        name = "first" if day == 0 else "again"
        rates[name] = max(rate, rates.get(name, 0.0))
    if profile:
        pstats.Stats(watch, stream=sys.stderr).sort_stats("tottime").print_stats(25)
    return rates


def main(argv: Sequence[str] | None = None) -> int:
    """Measure each database in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.here:
        print(json.dumps(measure(given.devices, given.days, profile=given.profile)))
        return 0
    words = [f"--devices={given.devices}", f"--days={given.days}", *(["--profile"] if given.profile else [])]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        urls = {"sqlite": f"sqlite://{folder}/inventory.sqlite3"}
        if os.environ.get("CAMCENSUS_BENCH_URL"):
            urls["postgresql"] = os.environ["CAMCENSUS_BENCH_URL"]
        for name, url in urls.items():
            done = subprocess.run(
                [sys.executable, __file__, "--here", *words],
                env={**os.environ, "CAMCENSUS_DATABASE_URL": url},
                check=True,
                stdout=subprocess.PIPE,
            )
            command = f"python bench/inventory.py --devices {given.devices} --days {given.days}"
            for kind, rate in json.loads(done.stdout).items():
                key = (
                    f"ingest.{name}_devices_per_s"
                    if kind == "again"
                    else f"ingest.{name}_{kind}_devices_per_s"
                )
                found[key] = {"value": round(rate), "unit": "devices/s", "command": command}
    if given.json:
        print(json.dumps(found))
    else:
        for key, row in found.items():
            print(f"{key:44} {row['value']:>10,} {row['unit']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Takes a day's reports in, as one of the agents that `bench/inventory.py` lets report at once.

Devices are the size of real ones (eight pieces of evidence, fifteen facts, some 4 KB of JSON) in
parts of 500, read from bytes. Run by itself it does what its standard input says, a line of JSON each:
which devices of which sites, seen on which day, stored by the inventory or by its peer. The peer puts
the same devices, read from the same bytes, into one table: COPY, then one upsert.
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

REPO: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

__all__ = ["DAY", "PART", "START", "device"]

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


def parts(numbers: Sequence[int], at: datetime) -> list[bytes]:
    """The report of one site on one day, in parts, as bytes."""
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
                "devices": [device(number, at) for number in numbers[start : start + PART]],
                "coverage": {"incomplete": False},
                "problems": [],
                "run": run,
            }
        ).encode()
        for start in range(0, len(numbers), PART)
    ]


Task = tuple[str, int, int, int, bytes]
"""The id of a report, its site, which part it is of how many, its bytes."""


def tasks(told: dict[str, Any]) -> list[Task]:
    """The parts that a line of the input asks for."""
    at = datetime.fromisoformat(told["at"])
    found = []
    for site, first, count in told["sites"]:
        bodies = parts(range(first, first + count), at)
        name = f"{told['name']}-{site}"
        found += [(name, site, place, len(bodies), body) for place, body in enumerate(bodies, 1)]
    return found


def taking(agent: str) -> Callable[[Task], None]:
    """Stores a part in the inventory, as the API does with what it was sent."""
    from inventory.ingest.service import Submission, receive  # noqa: PLC0415 - after the settings
    from inventory.models import Agent, Site  # noqa: PLC0415 - after the settings
    from inventory.unpacking import read_report  # noqa: PLC0415 - after the settings

    who = Agent.objects.get(name=agent)
    sites: dict[int, Site] = {}

    def take(task: Task) -> None:
        name, site, part, count, body = task
        where = sites[site] if site in sites else sites.setdefault(site, Site.objects.get(pk=site))
        receipt = receive(Submission(name, where, read_report(body), who, part, count))
        if len(receipt.outcomes) != receipt.accepted:
            raise SystemExit("a device was refused")

    return take


def upserting() -> Callable[[Task], None]:
    """Stores a part in one table, as fast as the database takes it."""
    import orjson  # noqa: PLC0415 - beside its use
    from django.db import connection, transaction  # noqa: PLC0415 - after the settings

    columns = "mac, site, address, serial, manufacturer, model, firmware, finding, first_seen, last_seen"
    moved = "first_seen = least(peer.first_seen, excluded.first_seen), last_seen = excluded.last_seen"

    def rows(task: Task) -> Iterator[tuple[Any, ...]]:
        for row in orjson.loads(task[4])["devices"]:
            yield (
                row["mac"], task[1], row["addresses"][0], row["serial"], row["manufacturer"], row["model"],
                row["firmware"], row["finding"], row["first_seen"], row["last_seen"],
            )  # fmt: skip

    def on_postgresql(task: Task) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE coming (LIKE peer) ON COMMIT DROP")
            with cursor.copy(f"COPY coming ({columns}) FROM STDIN") as copy:
                for row in rows(task):
                    copy.write_row(row)
            cursor.execute(
                f"INSERT INTO peer SELECT * FROM coming ON CONFLICT (mac) DO UPDATE SET site = excluded.site, {moved}"  # noqa: S608 - own names
            )

    def on_sqlite(task: Task) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO peer ({columns}) VALUES ({', '.join(['%s'] * 10)}) ON CONFLICT (mac) DO UPDATE SET"  # noqa: S608 - own names
                f" site = excluded.site, {moved.replace('least', 'min')}",
                list(rows(task)),
            )

    return on_postgresql if connection.vendor == "postgresql" else on_sqlite


def server_seconds() -> float:
    """Seconds of processor time that PostgreSQL has spent for this process; SQLite is in the process."""
    from django.db import connection  # noqa: PLC0415 - after the settings

    if connection.vendor != "postgresql":
        return 0.0
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(int(ticks) for ticks in used) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Obey the lines of standard input; answer ``ready`` when a day is made up, then what it cost.

    That is seconds of processor time: of this process, and of the server's that worked for it.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "inventory.settings"
    import django  # noqa: PLC0415 - after the environment

    django.setup()
    agent, profile = sys.argv[1], "--profile" in sys.argv[2:]
    for line in sys.stdin:
        told = json.loads(line)
        made = tasks(told)
        store = upserting() if told["peer"] else taking(agent)
        print("ready", flush=True)
        sys.stdin.readline()
        watch = cProfile.Profile()
        if profile and not told["peer"]:
            watch.enable()
        began = time.process_time(), server_seconds()
        for task in made:
            store(task)
        print(json.dumps([time.process_time() - began[0], server_seconds() - began[1]]), flush=True)
        watch.disable()
        if profile and not told["peer"]:
            sys.stderr.write(f"{agent}, {told['name']}\n")
            pstats.Stats(watch, stream=sys.stderr).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()

"""Measures a country's daily reports on their way through JetStream into PostgreSQL, on one machine.

Every agent reports 200 devices of real size (3 KB), of which 1 % changed since the day before, as its
outbox cuts them. The first day, on which every device is new, is stored before anything is measured.
Then one worker drains a whole day that waits in the stream, then two workers drain the next one.
PostgreSQL and NATS are private, started here with their own defaults for durability.

    python bench/fleet.py --agents 10000 --json         the whole country
    python bench/fleet.py                               500 agents

Needs PostgreSQL and nats-server (Debian packages postgresql, nats-server).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

REPO: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

from agent.outbox.parts import parts_of
from bench.inventory_reports import DAY, START, device
from exchange.keys import SigningKey
from exchange.parcel import Parcel
from exchange.subjects import reports_of
from tests.fleet.nats import Nats
from tests.inventory.postgresql import Server
from tests.inventory.serving import environment

DEVICES: Final = 200
CHANGED: Final = 2
WINDOW: Final = 200


def parcels(agents: int, day: int, key: SigningKey) -> Iterator[Parcel]:
    """What every agent's outbox sends on a day."""
    at = START + day * DAY
    stamp = at.isoformat().replace("+00:00", "Z")
    for agent in range(agents):
        rows = [row(agent * DEVICES + number, number, day, at) for number in range(DEVICES)]
        document = {
            "schema": 1,
            "devices": rows,
            "coverage": {"incomplete": False, "covered": [f"10.{agent >> 8 & 255}.{agent & 255}.0/24"]},
            "problems": [],
            "run": {"started": stamp, "finished": stamp, "version": "0.1.0", "command": "scan"},
        }
        before = START + (day - 1) * DAY
        known: dict[str, bytes] = {}
        if day:
            old = [row(agent * DEVICES + number, number, day - 1, before) for number in range(DEVICES)]
            known = {
                key: value for part in parts_of({"devices": old}, {}) for key, value in part.digests.items()
            }
        found = list(parts_of(document, known))
        for number, part in enumerate(found, 1):
            parcel = Parcel(
                f"site-{agent}", f"{agent}-{day}", number, len(found), part.body, f"agent-{agent}", "1"
            )
            yield replace(parcel, signature=key.sign(parcel.signed_bytes()))


def row(serial: int, number: int, day: int, at: datetime) -> dict[str, Any]:
    """One device on a day; each day two of the two hundred have another firmware."""
    found = device(serial, at)
    changes = sum(
        number in {(turn * CHANGED + n) % DEVICES for n in range(CHANGED)} for turn in range(1, day + 1)
    )
    return {**found, "firmware": f"V5.4.{5 + changes}"}


async def publish(url: str, waiting: Iterator[Parcel]) -> int:
    """Put parcels into the stream; how many."""
    import nats  # noqa: PLC0415 - slow
    from nats.js.api import StreamConfig  # noqa: PLC0415 - slow
    from nats.js.errors import NotFoundError  # noqa: PLC0415 - slow

    from inventory.fleet.worker import streams  # noqa: PLC0415 - after the settings

    client = await nats.connect(url)
    stream = client.jetstream(timeout=60, publish_async_max_pending=WINDOW)
    for described in streams():
        try:
            await stream.stream_info(described["name"])
        except NotFoundError:
            await stream.add_stream(StreamConfig(**described))
    count = 0
    acks = []
    for parcel in waiting:
        headers = {**parcel.headers(), "Nats-Msg-Id": parcel.name}
        acks.append(await stream.publish_async(reports_of(parcel.site), parcel.body, headers=headers))
        count += 1
        if len(acks) == WINDOW:
            await asyncio.gather(*acks)
            acks.clear()
    await asyncio.gather(*acks)
    await client.close()
    return count


def drain(url: str, env: dict[str, str], workers: int) -> float:
    """Seconds in which so many workers empty the stream, their start included."""
    began = time.monotonic()
    command = [sys.executable, "-P", "-m", "agent.cli", "inventory", "ingest", "--from", url, "--until-idle"]
    running = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) for _ in range(workers)]
    for process in running:
        if process.wait() != 0:
            raise SystemExit("a worker failed")
    # The last wait for more is the workers', not the stream's.
    return time.monotonic() - began - 2.0


def prepare(agents: int, key: SigningKey) -> None:
    """Agents, with their sites, in an empty database."""
    from django.core.management import call_command  # noqa: PLC0415 - after the settings

    from inventory.models import Agent, Organisation, Site  # noqa: PLC0415 - after the settings

    call_command("migrate", verbosity=0)
    country = Organisation.objects.create(name="Country")
    Site.objects.bulk_create(
        Site(code=f"site-{number}", name=f"Site {number}", organisation=country) for number in range(agents)
    )
    Agent.objects.bulk_create(
        Agent(name=f"agent-{number}", organisation=country, public_key=key.public) for number in range(agents)
    )


def doubled() -> int:
    """Devices and parts that are there more than once."""
    from django.db import connection  # noqa: PLC0415 - after the settings

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) - count(DISTINCT (site_id, mac)) FROM inventory_device")
        devices = int(cursor.fetchone()[0])
        cursor.execute("SELECT count(*) - count(DISTINCT (run_id, number)) FROM inventory_runpart")
        return devices + int(cursor.fetchone()[0])


def measure(agents: int, folder: Path, say: Any) -> dict[str, dict[str, Any]]:
    """All figures."""
    command = f"python bench/fleet.py --agents {agents} --json"
    with Server.started("-c shared_buffers=512MB -c max_wal_size=4GB") as server:
        server.create("fleet")
        described = server.described("fleet")
        env = environment(described, folder)
        os.environ.update(env)
        os.environ["DJANGO_SETTINGS_MODULE"] = "inventory.settings"
        import django  # noqa: PLC0415 - after the settings

        django.setup()
        from inventory.models import Run  # noqa: PLC0415 - after the settings

        key = SigningKey(folder / "key")
        prepare(agents, key)
        nats = Nats(folder / "nats")
        nats.start()
        try:
            times = []
            for day, workers in ((0, 2), (1, 1), (2, 2)):
                count = asyncio.run(publish(nats.url, parcels(agents, day, key)))
                times.append(drain(nats.url, env, workers))
                say(f"day {day}: {count} parts of {agents} reports, {workers} workers: {times[-1]:.1f} s")
        finally:
            nats.stop()
        lost = 3 * agents - Run.objects.filter(complete=True, accepted=DEVICES).count()
        figures = {
            "fleet.devices_per_s_1worker": (agents * DEVICES / times[1], "devices/s"),
            "fleet.devices_per_s_2workers": (agents * DEVICES / times[2], "devices/s"),
            "fleet.reports_per_s_2workers": (agents / times[2], "reports/s"),
            "fleet.first_day_devices_per_s_2workers": (agents * DEVICES / times[0], "devices/s"),
            "fleet.drain_s": (times[2], "s"),
            "fleet.country_drain_s": (times[2] * 10_000 / agents, "s for 10,000 agents, by proportion"),
            "fleet.lost": (lost, "reports"),
            "fleet.doubled": (doubled(), "rows"),
        }
    return {
        name: {"value": round(value, 2), "unit": unit, "command": command}
        for name, (value, unit) in figures.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)

    def say(text: str) -> None:
        sys.stderr.write(text + "\n")

    with tempfile.TemporaryDirectory(prefix="camcensus-fleet-") as folder:
        figures = measure(given.agents, Path(folder), say)
    if given.json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    else:
        for name, figure in figures.items():
            sys.stdout.write(f"{name:<42} {figure['value']:>12,} {figure['unit']}\n")


if __name__ == "__main__":
    main()

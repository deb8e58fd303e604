"""Measures the central inventory at the size of a country, on a PostgreSQL that it starts itself.

    python bench/inventory.py --json                              10,000 sites, 2 million devices
    python bench/inventory.py --sites 100 --devices 20000         a small one
    python bench/inventory.py --store FOLDER                      keeps the database there, for another turn
    python bench/inventory.py --only ingest|sqlite|pages [--profile]

It fills the database with a year of daily scans (`bench/inventory_store.py`), then measures

- ingest: four agents at once send whole days of sites that have hundreds of devices, in parts of 500, into
  the full store, then into SQLite (`bench/inventory_reports.py`). `first`: devices never seen. `changed`: known
  ones of which all is new. What stands without a word is the everyday case: found, compared, intervals
  extended. The peer upserts the same devices, from the same bytes, into one table; days are taken in turns,
  and a ratio is the median of how many of our days the peer does in one of ours.
- pages and lists (`bench/inventory_pages.py`), each asked for many times with different parameters.

While measured, PostgreSQL writes to disk what it says is written. It needs some 20 GB on the disk of
the folder for temporary files, or on that of `--store`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

REPO: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

from bench.inventory_reports import DAY, PART, START
from bench.inventory_store import Store, fill
from tests.inventory.postgresql import Server
from tests.inventory.serving import environment

AGENTS: Final = 4
ROUNDS: Final = 3
NEW: Final = 8_000_000
"""The number from which on devices were never seen."""
_NAME: Final = "inventory"
_FILLING: Final = (
    "-c fsync=off -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0 -c max_wal_size=8GB"
    " -c shared_buffers=2GB -c autovacuum=off"
)
_SERVING: Final = (
    "-c shared_buffers=4GB -c effective_cache_size=12GB -c work_mem=32MB -c max_wal_size=8GB"
    " -c random_page_cost=1.1 -c checkpoint_timeout=15min"
)
_PEER: Final = """CREATE TABLE IF NOT EXISTS peer (mac {text} PRIMARY KEY, site bigint, address {text}, serial {text},
    manufacturer {text}, model {text}, firmware {text}, finding {text}, first_seen {time}, last_seen {time})"""

Figures = dict[str, dict[str, Any]]


@dataclass(slots=True)
class Bench:
    """What was asked for, with the figures so far."""

    sites: int
    devices: int
    ingest: int
    requests: int
    profile: bool
    figures: Figures = field(default_factory=dict)

    @property
    def command(self) -> str:
        """What measures the same again."""
        return f"python bench/inventory.py --sites {self.sites} --devices {self.devices} --ingest {self.ingest} --json"

    def put(self, name: str, value: float, unit: str) -> None:
        """Keep a figure."""
        self.figures[name] = {
            "value": round(value, 2 if value < 100 else 0),
            "unit": unit,
            "command": self.command,
        }
        say(f"{name:44} {value:>12,.2f} {unit}")


def say(text: str) -> None:
    """Tell whoever watches."""
    sys.stderr.write(f"{text}\n")


@dataclass(frozen=True, slots=True)
class Day:
    """What a day of all agents took: seconds, with those of processors, here and in the server."""

    seconds: float
    ours: float
    servers: float


@contextlib.contextmanager
def agents(
    count: int, env: Mapping[str, str], *, profile: bool
) -> Iterator[Callable[[list[dict[str, Any]]], Day]]:
    """Processes that take reports in; gives what lets each do its share of a day."""
    words = ["--profile"] if profile else []
    running = [
        subprocess.Popen(
            [sys.executable, str(REPO / "bench/inventory_reports.py"), f"agent-{number + 1}", *words],
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]

    def told(process: subprocess.Popen[str], line: str) -> None:
        if process.stdin is not None:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()

    def heard(process: subprocess.Popen[str]) -> str:
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            raise SystemExit("an agent failed")
        return line

    def day(shares: list[dict[str, Any]]) -> Day:
        for process, share in zip(running, shares, strict=True):
            told(process, json.dumps(share))
        for process in running:
            heard(process)
        began = time.monotonic()
        for process in running:
            told(process, "go")
        costs = [json.loads(heard(process)) for process in running]
        return Day(time.monotonic() - began, sum(cost[0] for cost in costs), sum(cost[1] for cost in costs))

    try:
        yield day
    finally:
        for process in running:
            with contextlib.suppress(BrokenPipeError):
                process.communicate()


def shares(
    places: Sequence[tuple[int, int, int]], name: str, at: datetime, *, peer: bool
) -> list[dict[str, Any]]:
    """What each agent does of a day: every fourth site."""
    return [
        {"sites": places[number::AGENTS], "name": name, "at": at.isoformat(), "peer": peer}
        for number in range(AGENTS)
    ]


def ingest(
    bench: Bench,
    base: str,
    known: Sequence[tuple[int, int, int]],
    start: datetime,
    env: Mapping[str, str],
    unseen: int = NEW,
) -> None:
    """Days in turns with the peer; `known` are sites with the first of their devices, and how many.

    From the number `unseen` on no device was ever seen.
    """
    new = []
    for site, _, devices in known:
        new.append((site, unseen, devices))
        unseen += devices
    count = sum(share[2] for share in known)
    rates: dict[str, list[float]] = defaultdict(list)
    costs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with agents(AGENTS, env, profile=bench.profile) as day:
        at = start

        def take(kind: str, places: Sequence[tuple[int, int, int]], *, peer: bool = False) -> None:
            took = day(shares(places, f"{kind}-{at:%d}", at, peer=peer))
            name = f"{kind}{'.peer' if peer else ''}"
            rates[name].append(count / took.seconds)
            costs[name].append((took.ours / count * 1e6, took.servers / count * 1e6))

        take("changed", known)
        take("first", known, peer=True)
        for _ in range(ROUNDS):
            at += DAY
            take("again", known)
            take("again", known, peer=True)
        at += DAY
        take("first", new)
        take("first", new, peer=True)
    for kind in ("again", "first", "changed"):
        middle = "" if kind == "again" else f"_{kind}"
        bench.put(f"ingest.{base}{middle}_devices_per_s", statistics.median(rates[kind]), "devices/s")
        if peer := rates.get(f"{kind}.peer"):
            bench.put(f"ingest.{base}{middle}_peer_devices_per_s", statistics.median(peer), "devices/s")
            ratio = statistics.median(
                a / b for a, b in zip(rates[kind], peer[-len(rates[kind]) :], strict=True)
            )
            bench.put(f"ingest.{base}{middle}_ratio", ratio, "of a bare upsert into one table")
    for name, spent in costs.items():
        ours, servers = (statistics.median(column) for column in zip(*spent, strict=True))
        say(f"  {name}: {ours:.0f} us of processor time a device here, {servers:.0f} in the server")
    for row, place in (("agent", 0), ("server", 1)):
        cost = statistics.median(spent[place] for spent in costs["again"])
        bench.put(f"ingest.{base}_{row}_cpu_us", cost, "us of processor time a device")
    say("  again: " + ", ".join(f"{rate:,.0f}" for rate in rates["again"]))


def on_sqlite(bench: Bench) -> None:
    """Four agents into one new file."""
    with tempfile.TemporaryDirectory(prefix="camcensus-bench-") as folder:
        described = {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/inventory.sqlite3"}
        env = environment(described, Path(folder))
        count = max(1, bench.ingest // AGENTS // PART // 2) * PART
        places = [(place + 1, place * 10_000, count) for place in range(AGENTS * 2)]
        script = (
            "import django; django.setup()\n"
            "from django.core.management import call_command\n"
            "from django.db import connection\n"
            "from inventory.models import Agent, Organisation, Site\n"
            "call_command('migrate', verbosity=0)\n"
            "owner = Organisation.objects.create(name='Council')\n"
            f"for n in range({AGENTS}): Agent.objects.create(name=f'agent-{{n + 1}}', organisation=owner)\n"
            f"for n in range({AGENTS * 2}): Site.objects.create(code=f's{{n}}', name='s', organisation=owner)\n"
            f"connection.cursor().execute('''{_PEER.format(text='text', time='text')}''')\n"
        )
        subprocess.run(
            [sys.executable, "-c", script],
            env={**env, "DJANGO_SETTINGS_MODULE": "inventory.settings"},
            check=True,
        )
        ingest(bench, "sqlite", places, START, env)


def on_postgresql(bench: Bench, folder: Path, only: str) -> None:
    """Fill, unless it is filled; then measure."""
    note = folder / "filled.json"
    if not note.exists():
        with Server.started(_FILLING, kept=folder) as server:
            note.write_text(json.dumps(asdict(filled(bench, server)), default=str))
    told = json.loads(note.read_text())
    bench.sites, bench.devices = told["sites"], told["devices"]
    bench.put("store.bytes_per_device_year", told["size"] / told["devices"], "bytes")
    bench.put("store.gigabytes", told["size"] / 1e9, "GB")
    bench.put("store.fill_s", told["seconds"], "s")
    with Server.started(_SERVING, kept=folder) as server:
        env = environment(server.described(_NAME), folder)
        if only in {"", "pages"}:
            pages(bench, env)
        if only in {"", "ingest"}:
            end = datetime.fromisoformat(told["end"])
            with connected(server) as link:
                known, came = untouched(link, bench, end)
            ingest(bench, "postgresql", known, end + DAY, env, NEW + came)


def untouched(link: Any, bench: Bench, end: datetime) -> tuple[list[tuple[int, int, int]], int]:
    """Sites that have not reported since `end`, with the first of their devices, and how many; then what came since."""
    link.execute(_PEER.format(text="text", time="timestamptz"))
    link.execute("TRUNCATE peer")
    # Full parts alone, of sites that are large enough, spread over the country.
    rows = link.execute(
        "SELECT site_id, min(id) - 1, count(*) / %s * %s FROM inventory_device WHERE id <= %s AND site_id NOT IN"
        " (SELECT site_id FROM inventory_run WHERE finished > %s) GROUP BY site_id HAVING count(*) >= %s"
        " ORDER BY hashint8(site_id)",
        [PART, PART, bench.devices, end + DAY / 2, PART],
    ).fetchall()
    last = link.execute("SELECT max(id) FROM inventory_device").fetchone()[0]
    return enough(rows, bench.ingest), max(0, last - bench.devices)


def enough(rows: Sequence[tuple[int, int, int]], count: int) -> list[tuple[int, int, int]]:
    """The first of `rows` that have `count` devices together."""
    found, left = [], count
    for site, first, devices in rows:
        if left <= 0:
            break
        found.append((site, first, min(devices, left)))
        left -= devices
    return found


@contextlib.contextmanager
def connected(server: Server) -> Iterator[Any]:
    """A connection that commits by itself."""
    import psycopg  # noqa: PLC0415 - only where there is a server

    with psycopg.connect(host=str(server.folder), dbname=_NAME, user="camcensus", autocommit=True) as link:
        yield link


def filled(bench: Bench, server: Server) -> Store:
    """A full database."""
    server.create(_NAME)
    env = environment(server.described(_NAME), server.folder)
    subprocess.run(
        [sys.executable, "-P", "-m", "agent.cli", "inventory", "migrate"],
        env=env,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    began = time.monotonic()
    return fill(
        lambda: connected(server),
        bench.sites,
        bench.devices,
        lambda text: say(f"  {time.monotonic() - began:6.0f} s  {text}"),
    )


def pages(bench: Bench, env: Mapping[str, str]) -> None:
    """Each page and each list."""
    done = subprocess.run(
        [sys.executable, str(REPO / "bench/inventory_pages.py"), str(bench.requests)],
        env=dict(env),
        stdout=subprocess.PIPE,
        check=True,
    )
    for name, times in json.loads(done.stdout).items():
        for kind, value in times.items():
            bench.put(f"{name}.{kind}_ms", value, "ms")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--devices", type=int, default=2_000_000)
    parser.add_argument("--ingest", type=int, default=40_000, help="devices of a day that agents send")
    parser.add_argument("--requests", type=int, default=60, help="how often each page is asked for")
    parser.add_argument("--only", choices=("ingest", "sqlite", "pages"), default="")
    parser.add_argument("--store", type=Path, help="keep the database in this folder, or take the one there")
    parser.add_argument("--profile", action="store_true", help="where the agents' time goes, on stderr")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    bench = Bench(given.sites, given.devices, given.ingest, given.requests, given.profile)
    if given.only in {"", "sqlite"}:
        on_sqlite(bench)
    if given.only != "sqlite":
        folder = given.store or Path(tempfile.mkdtemp(prefix="camcensus-bench-"))
        try:
            on_postgresql(bench, folder.resolve(), given.only)
        finally:
            if given.store is None:
                shutil.rmtree(folder, ignore_errors=True)
    if given.json:
        print(json.dumps(bench.figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())

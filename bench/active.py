"""Measures active discovery against nmap, arp-scan and zmap, in networks that it makes itself.

    python bench/active.py [--json] [--rounds N] [--only NAME]

Needs root and the peers (Debian packages nmap, arp-scan, zmap; nftables for loss). Each ratio
is of whole processes, run in turns on the same network; the command of each is printed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.processes import Command, Run, against, run
from bench.street import CLOSED, TOWN, Place, Street, Town, Traffic, street, town
from simulator.serve import Habits
from tests.lab import namespaces

PORTS: Final = "80,443,554,8000,8080,37777"
RATE: Final = 20_000
PASSES: Final = (1, 2, 3)
_ENVIRON: Final = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
"""As it is installed: from its folder, with its byte code kept."""
_EVERY_PROTOCOL: Final = 3
CODES: Final = frozenset({0, 4})


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `peer` is what it was compared with."""

    value: float
    unit: str
    peer: str
    command: str


class Bench:
    """Collects figures and tells them as they come."""

    def __init__(self, rounds: int, only: str, say: Callable[[str], None]) -> None:
        self.rounds = rounds
        self.only = only
        self.say = say
        self.figures: dict[str, Figure] = {}

    def wants(self, *names: str) -> bool:
        """Whether any of these figures is asked for."""
        return any(self.only in name for name in names)

    def tell(self, name: str, value: float, unit: str, peer: str, command: Command) -> None:
        """Keep a figure."""
        self.figures[name] = Figure(round(value, 3), unit, peer, command.text)
        self.say(f"{name} = {value:.3f} {unit}")

    def over(self, name: str, ours: Command, peer: Command) -> float:
        """Our time over the peer's, in turns."""
        pair = against(ours, peer, self.rounds, self.say)
        self.tell(name, 1 / pair.ratio, "x", peer.text, ours)
        return pair.ours.wall


def ours(place: Place, *words: str, root: bool = True, out: Path | None = None) -> Command:
    """A scan of ours, with all its start-up."""
    drop = () if root else ("setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs")
    more = () if out is None else ("--output", str(out))
    argv = (
        *drop,
        sys.executable,
        "-P",
        "-m",
        "agent.cli",
        "scan",
        *words,
        "--format",
        "json",
        "--quiet",
        *more,
    )
    return Command("camcensus", place.inside(*argv), _ENVIRON, CODES)


def peer(place: Place, name: str, *argv: str) -> Command:
    """A peer from the same place."""
    return Command(name, place.inside(*argv), {})


def identified(where: Street, report: Path) -> int:
    """How many cameras a report names right: maker, model, with a serial number."""
    devices = json.loads(report.read_text(encoding="utf-8"))["devices"]
    rows = {address: row for row in devices for address in row["addresses"]}
    return sum(
        ip in rows
        and rows[ip]["manufacturer"] == truth.manufacturer
        and (truth.model is None or rows[ip]["model"] == truth.model)
        and bool(rows[ip]["serial"])
        for ip, truth in where.truth.items()
    )


def measure_street(bench: Bench, folder: Path) -> None:
    """A /24 with sixty cameras that answer at once."""
    with street(folder / "prompt") as where:
        if bench.wants("start.first_packet_ms"):
            first_packet(bench, where)
        liveness(bench, where)
        report = folder / "report.json"
        if not bench.wants(*STREET[3:]):
            return
        full = ours(where, where.subnet, "--ports", PORTS, out=report)
        sn = peer(where, "nmap -sn", "nmap", "-n", "-sn", where.subnet)
        wall = bench.over("slash24.identify_over_nmap_sn", full, sn)
        bench.tell("slash24.identified", identified(where, report), "of 60", "", full)
        if bench.wants("noroot.slash24_over_root"):
            plain = ours(where, where.subnet, "--ports", PORTS, root=False)
            rootless = statistics.median(run(plain).wall for _ in range(bench.rounds))
            bench.tell("noroot.slash24_over_root", rootless / wall, "x", full.text, plain)
        if bench.wants("slash24.nmap_sV_over_identify", "touch.nmap_sV_packets_over_gentle"):
            versions(bench, where, wall, report)


def first_packet(bench: Bench, where: Street) -> None:
    """From the command to the first packet on the cable."""
    scan = ours(where, where.subnet, "--ports", PORTS)
    waits = []
    for _ in range(bench.rounds + 1):
        with namespaces.inside(where.scanner), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as cable:
            cable.bind(("eth0", _EVERY_PROTOCOL))
            began = time.monotonic()
            running = subprocess.Popen(scan.argv, env={**os.environ, **scan.env}, stdout=subprocess.DEVNULL)
            while cable.recvfrom(2048)[1][2] != socket.PACKET_OUTGOING:
                pass
            waits.append(time.monotonic() - began)
            running.wait()
    bench.tell("start.first_packet_ms", 1000 * statistics.median(waits[1:]), "ms", "", scan)


def liveness(bench: Bench, where: Street) -> None:
    """Who is there, nothing more."""
    alive = ours(where, where.subnet, "--alive-only")
    if bench.wants("slash24.alive_over_nmap_sn"):
        bench.over(
            "slash24.alive_over_nmap_sn", alive, peer(where, "nmap -sn", "nmap", "-n", "-sn", where.subnet)
        )
    if bench.wants("slash24.alive_over_arp_scan"):
        arp = peer(where, "arp-scan", "arp-scan", "-q", "-I", "eth0", where.subnet)
        bench.over("slash24.alive_over_arp_scan", alive, arp)


def versions(bench: Bench, where: Street, wall: float, report: Path) -> None:
    """Against nmap's version scan: time, then what each costs the network."""
    sv = peer(where, "nmap -sV", "nmap", "-n", "-sV", "-T4", "-p", PORTS, where.subnet)
    took, nmaps = costs(where, sv)
    bench.tell(
        "slash24.nmap_sV_over_identify",
        took.wall / wall,
        "x",
        sv.text,
        ours(where, where.subnet, "--ports", PORTS),
    )
    gentle = ours(where, where.subnet, "--profile", "gentle", out=report)
    slow, light = costs(where, gentle)
    right = identified(where, report)
    bench.tell("slash24.gentle_identified", right, "of 60", "", gentle)
    bench.tell("slash24.gentle_seconds", slow.wall, "s", "", gentle)
    ratio = (nmaps.packets / len(where.truth)) / (light.packets / max(right, 1))
    bench.tell("touch.nmap_sV_packets_over_gentle", ratio, "x", sv.text, gentle)
    for name, spent in (("nmap -sV", nmaps), ("camcensus gentle", light)):
        bench.say(
            f"  {name}, for each camera: {spent.packets / 60:.1f} packets, {spent.bytes / 60:,.0f} bytes, "
            f"{spent.connections / 60:.1f} connections"
        )


def costs(where: Place, command: Command) -> tuple[Run, Traffic]:
    """One run with what crossed the cable meanwhile."""
    with where.counted() as told:
        took = run(command)
    return took, told[0]


def measure_slow_street(bench: Bench, folder: Path) -> None:
    """The same cameras with every answer 200 ms late and four connections at most."""
    if not bench.wants("slash24.nmap_sV_over_identify_200ms"):
        return
    with street(folder / "late", Habits(0.2, 4)) as where:
        report = folder / "late.json"
        full = ours(where, where.subnet, "--ports", PORTS, out=report)
        wall = statistics.median(run(full).wall for _ in range(bench.rounds))
        bench.tell("slash24.identified_200ms", identified(where, report), "of 60", "", full)
        sv = peer(where, "nmap -sV", "nmap", "-n", "-sV", "-T4", "-p", PORTS, where.subnet)
        bench.tell("slash24.nmap_sV_over_identify_200ms", run(sv).wall / wall, "x", sv.text, full)


def measure_town(bench: Bench, folder: Path) -> None:
    """A /16 behind a router, against zmap and nmap at the same rate of packets."""
    with town() as where:
        report = folder / "town.json"
        sweep = sweeping(where, 1, report)
        if bench.wants("slash16.wall_over_zmap", "slash16.cpu_over_zmap", "slash16.peak_mib"):
            found = folder / "zmap.txt"
            zmap = peer(
                where, "zmap", "zmap", "-q", "-i", "eth0", "-G", where.gateway_mac, "-p", "80", "-r", str(RATE),
                "-c", "1", "-b", "/dev/null", "-o", str(found), TOWN,
            )  # fmt: skip
            pair = against(sweep, zmap, bench.rounds, bench.say)
            bench.tell("slash16.wall_over_zmap", 1 / pair.ratio, "x", zmap.text, sweep)
            bench.tell("slash16.cpu_over_zmap", pair.ours.cpu / pair.peer.cpu, "x", zmap.text, sweep)
            bench.tell("slash16.peak_mib", pair.ours.peak, "MiB", zmap.text, sweep)
            bench.say(f"  zmap found {len(set(found.read_text().split()) & where.live)} of {len(where.live)}")
            bench.tell("slash16.found_loss0", found_share(where, report), "share", zmap.text, sweep)
        if bench.wants("slash16.nmap_sS_over_ours"):
            nmap = peer(
                where, "nmap -sS", "nmap", "-n", "-sS", "-Pn", "-T4", "--min-rate", str(RATE), "--max-retries", "1",
                "-p", "80", TOWN,
            )  # fmt: skip
            bench.tell("slash16.nmap_sS_over_ours", run(nmap).wall / run(sweep).wall, "x", nmap.text, sweep)
        for permille, name in ((10, "loss1"), (50, "loss5")):
            if bench.wants(f"slash16.found_{name}"):
                where.lose(permille)
                losing(bench, where, name, report)
        where.lose(0)
        if bench.wants("noroot.slash16_found"):
            plain = ours(
                where,
                TOWN,
                "--alive-only",
                "--no-ping",
                "--ports",
                "80",
                "--rate",
                str(RATE),
                root=False,
                out=report,
            )
            took = run(plain)
            bench.tell("noroot.slash16_found", found_share(where, report), "share", "", plain)
            bench.tell("noroot.slash16_seconds", took.wall, "s", "", plain)
        if bench.wants("touch.packets_per_closed_host"):
            gentle = ours(where, where.closed, "--profile", "gentle")
            _, spent = costs(where, gentle)
            bench.tell("touch.packets_per_closed_host", spent.sent / CLOSED, "packets sent", "", gentle)


def sweeping(where: Town, passes: int, report: Path) -> Command:
    """The sweep of the town, with the packets that zmap sends."""
    words = ("--alive-only", "--no-ping", "--ports", "80", "--rate", str(RATE), "--passes", str(passes))
    return ours(where, TOWN, *words, out=report)


def found_share(where: Town, report: Path) -> float:
    """Which share of the live addresses is in the report."""
    devices = json.loads(report.read_text(encoding="utf-8"))["devices"]
    return len({address for row in devices for address in row["addresses"]} & where.live) / len(where.live)


def losing(bench: Bench, where: Town, name: str, report: Path) -> None:
    """Completeness on a lossy way, by passes."""
    for passes in PASSES:
        sweep = sweeping(where, passes, report)
        shares = []
        for _ in range(bench.rounds):
            run(sweep)
            shares.append(found_share(where, report))
        bench.tell(f"slash16.found_{name}_{passes}", statistics.median(shares), "share", "", sweep)
    bench.figures[f"slash16.found_{name}"] = bench.figures[f"slash16.found_{name}_{PASSES[-1]}"]


def missing() -> Iterator[str]:
    """Peers that are not installed here."""
    return (tool for tool in ("nmap", "arp-scan", "zmap", "nft") if shutil.which(tool) is None)


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--json", action="store_true", help="one object of name to value, unit, peer, command"
    )
    parser.add_argument("--rounds", type=int, default=5, help="counted runs of each pair")
    parser.add_argument("--only", default="", help="figures whose names hold this")
    options = parser.parse_args()
    if absent := list(missing()):
        sys.exit(f"missing: apt-get install {' '.join(absent)}")
    told = sys.stderr if options.json else sys.stdout

    def say(text: str) -> None:
        print(text, file=told, flush=True)

    bench = Bench(options.rounds, options.only, say)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if bench.wants(*STREET):
            measure_street(bench, folder)
        measure_slow_street(bench, folder)
        if bench.wants(*TOWNS):
            measure_town(bench, folder)
    if options.json:
        figures: dict[str, Any] = {key: dataclasses.asdict(row) for key, row in bench.figures.items()}
        print(json.dumps(figures, indent=2))


STREET: Final = (
    "start.first_packet_ms",
    "slash24.alive_over_nmap_sn",
    "slash24.alive_over_arp_scan",
    "slash24.identify_over_nmap_sn",
    "slash24.nmap_sV_over_identify",
    "noroot.slash24_over_root",
    "touch.nmap_sV_packets_over_gentle",
)
TOWNS: Final = (
    "slash16.wall_over_zmap",
    "slash16.cpu_over_zmap",
    "slash16.found_loss0",
    "slash16.found_loss1",
    "slash16.found_loss5",
    "slash16.nmap_sS_over_ours",
    "noroot.slash16_found",
    "touch.packets_per_closed_host",
)


if __name__ == "__main__":
    main()

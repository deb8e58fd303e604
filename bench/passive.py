"""Compares passive discovery with the tools that read captures, in the same run.

    python bench/passive.py [--size 20m] [--hard-size 5m] [--rounds 5]
                            [--only replay,hard,live,weeks] [--json]

The captures are written first (`bench/camera_network.py`), to memory where that is possible.
Each pair of programs runs in turns, A B A B, after one run of each that does not count; what is
given is the median of the ratios, pair by pair. Ours is the whole process, from start to
verdicts in JSON. A tool that is not installed is named as missing and has no figure.
Live listening needs root: it makes network namespaces of its own, with no way out of them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agent.capture.filter import expression
from agent.probes import ALL
from bench.camera_network import Planted, size_of, write
from bench.live import listen_to, reason_not
from bench.processes import Command, Pair, against, run

_SECTIONS: Final = ("replay", "hard", "live", "weeks")
_RATES: Final = (3_000, 2_000, 1_000, 500)
_SHOWN: Final = (
    "arp or http or rtsp or ssdp or mdns or dhcp or tls.handshake or udp.port in {3702,37020,37810}"
)
_FIELDS: Final = (
    *("eth.src", "eth.src.oui_resolved", "ip.src", "vlan.id", "http.server", "http.www_authenticate"),
    *("http.user_agent", "rtsp.response", "dhcp.option.vendor_class_id", "dns.ptr.domain_name"),
)
_SCAPY: Final = """
import sys
from scapy.layers.l2 import Ether
from scapy.utils import PcapReader
for frame in PcapReader(sys.argv[1]):
    print(frame.summary())
"""


@dataclass(frozen=True, slots=True)
class Capture:
    """A capture to read, with the devices that are in it."""

    path: Path
    frames: int
    planted: tuple[Planted, ...]


def say(text: str) -> None:
    """A line for people."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def ours(capture: Capture, *, one_thread: bool = False) -> Command:
    """Our whole process, from start to verdicts; on one processor it has one thread."""
    argv = (sys.executable, "-m", "agent.cli", "replay", str(capture.path), "--format", "json")
    if one_thread:
        return Command("camcensus on one thread", ("taskset", "-c", "0", *argv), {}, cwd=ROOT)
    return Command("camcensus", argv, {}, cwd=ROOT)


def peers(capture: Capture, folder: Path) -> Iterator[Command]:
    """The other tools, each reading the whole capture the quickest way that it has."""
    path = str(capture.path)
    filter_file = folder / "filter"
    filter_file.write_text(expression(ALL) + "\n", encoding="ascii")
    yield Command("tcpdump", ("tcpdump", "-r", path, "-w", os.devnull, "-F", str(filter_file)), {})
    columns = tuple(word for field in _FIELDS for word in ("-e", field))
    yield Command("tshark", ("tshark", "-n", "-r", path, "-Y", _SHOWN, "-T", "fields", *columns), {})
    yield Command("p0f", ("p0f", "-r", path), {})
    yield Command("prads", ("prads", "-r", path, "-l", str(folder / "prads.log")), {})
    yield Command("nDPI", ("ndpiReader", "-v", "2", "-i", path), {})


def installed(command: Command) -> bool:
    """Whether the tool is here."""
    # Administrators' tools are not on everybody's path.
    return shutil.which(command.argv[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def named(text: str, planted: Sequence[Planted]) -> int:
    """Of how many devices a line of output names both the address and the maker."""
    found = set()
    lines = text.splitlines()
    for truth in planted:
        if truth.manufacturer is None:
            continue
        maker = truth.manufacturer.split()[0].lower()
        places = re.compile(rf"{re.escape(truth.mac)}|(?<![\d.]){re.escape(truth.ip)}(?!\d)", re.IGNORECASE)
        if any(maker in line.lower() and places.search(line) for line in lines):
            found.add(truth.mac)
    return len(found)


def found_by_us(text: str, planted: Sequence[Planted]) -> int:
    """How many devices our report names as what they are."""
    makers = {device["mac"]: device["manufacturer"] for device in json.loads(text)["devices"]}
    return sum(
        truth.manufacturer is not None and makers.get(truth.mac) == truth.manufacturer for truth in planted
    )


class Bench:
    """One run of everything: figures come together in `results`."""

    def __init__(self, rounds: int, folder: Path) -> None:
        self.results: dict[str, dict[str, Any]] = {}
        self.details: list[dict[str, Any]] = []
        self.missing: set[str] = set()
        self._rounds = rounds
        self._folder = folder

    def figure(self, name: str, value: float, unit: str, peer: str, command: str) -> None:
        """Keep one figure."""
        self.results[name] = {"value": round(value, 3), "unit": unit, "peer": peer, "command": command}

    def capture(self, name: str, size: int, **kind: bool) -> Capture:
        """Write a capture."""
        path = self._folder / name
        planted = write(path, size, **kind)
        reading = Command("count", ("capinfos", "-T", "-r", "-M", "-c", str(path)), {})
        say(f"{name}: {path.stat().st_size:,} bytes, {len(planted)} devices")
        frames = 0
        if installed(reading):
            counted = self._folder / "frames"
            run(reading, counted)
            frames = int(counted.read_text().split()[-1])
        return Capture(path, frames, planted)

    def compare(
        self, capture: Capture, us: Command, only: Sequence[str], figures: dict[str, str]
    ) -> dict[str, Pair]:
        """Run `us` against the peers named `only`; `figures` gives the name of each peer's ratio."""
        pairs = {}
        for peer in peers(capture, self._folder):
            if peer.name not in only:
                continue
            if not installed(peer):
                self.missing.add(peer.argv[0])
                continue
            # tshark takes a minute for what others do in a second.
            rounds = self._rounds if peer.name != "tshark" else max(1, self._rounds // 2)
            pair = pairs[peer.name] = against(us, peer, rounds, say)
            if peer.name in figures:
                self.figure(figures[peer.name], pair.ratio, "times", peer.name, us.text)
            self._detail(capture, peer, pair)
        return pairs

    def _detail(self, capture: Capture, peer: Command, pair: Pair) -> None:
        for command, used in ((peer, pair.peer), (None, pair.ours)):
            self.details.append(
                {
                    "capture": capture.path.name,
                    "tool": "camcensus" if command is None else command.name,
                    "against": peer.name if command is None else "camcensus",
                    "wall_s": round(used.wall, 3),
                    "cpu_s": round(used.cpu, 3),
                    "peak_mib": round(used.peak, 1),
                    "frames_per_s": round(capture.frames / used.wall),
                }
            )

    def evidence(self, capture: Capture, us: Command) -> None:
        """Who found what: one run of each tool whose output is read."""
        output = self._folder / "output"
        known = sum(truth.manufacturer is not None for truth in capture.planted)
        run(us, output)
        found = found_by_us(output.read_text(), capture.planted)
        say(f"  camcensus names the maker of {found} of {known} devices")
        self.details.append({"capture": capture.path.name, "tool": "camcensus", "makers": found, "of": known})
        for peer in peers(capture, self._folder):
            if peer.name == "tcpdump" or not installed(peer):
                continue
            log = self._folder / "prads.log"
            log.unlink(missing_ok=True)
            run(peer, output)
            text = output.read_text(errors="replace")
            if log.exists():
                text += log.read_text(errors="replace")
            found = named(text, capture.planted)
            say(f"  {peer.name} names the maker of {found} of {known} devices")
            self.details.append(
                {"capture": capture.path.name, "tool": peer.name, "makers": found, "of": known}
            )

    def replay(self, size: int) -> None:
        """The usual capture, in both formats, on one thread and on several."""
        plain = self.capture("network.pcap", size)
        one, several = ours(plain, one_thread=True), ours(plain)
        single = self.compare(plain, one, ["tcpdump"], {"tcpdump": "replay.tcpdump_over_ours_1thread"})
        figures = {"tcpdump": "replay.tcpdump_over_ours_threads", "tshark": "replay.tshark_over_ours"}
        threaded = self.compare(plain, several, ["tcpdump", "tshark", "p0f", "prads", "nDPI"], figures)
        peaks = [pair.ours.peak for pair in (*single.values(), *threaded.values())]
        self.figure("replay.peak_mib", max(peaks, default=run(several).peak), "MiB", "", several.text)
        self.evidence(plain, several)
        plain.path.unlink()
        blocks = self.capture("network.pcapng", size, pcapng=True)
        self.compare(blocks, ours(blocks), ["tcpdump"], {"tcpdump": "replay.pcapng_tcpdump_over_ours"})
        blocks.path.unlink()
        self._scapy(size)

    def _scapy(self, size: int) -> None:
        """Scapy takes an hour for 1 GB: it gets a hundredth, as we do for this once."""
        part = self.capture("part.pcap", max(size // 100, 1_000_000))
        peer = Command("scapy", (sys.executable, "-c", _SCAPY, str(part.path)), {}, cwd=ROOT)
        pair = against(ours(part), peer, max(1, self._rounds // 2), say)
        self._detail(part, peer, pair)
        output = self._folder / "output"
        run(peer, output)
        found = named(output.read_text(errors="replace"), part.planted)
        self.details.append({"capture": part.path.name, "tool": "scapy", "makers": found})
        part.path.unlink()

    def hard(self, size: int) -> None:
        """The capture in which nearly every frame matters."""
        capture = self.capture("hard.pcap", size, hard=True)
        names = {"prads": "prads", "nDPI": "ndpi", "tshark": "tshark"}
        figures = {tool: f"hard.{name}_over_ours" for tool, name in names.items()}
        us = ours(capture)
        self.compare(capture, us, ["tcpdump", "tshark", "p0f", "prads", "nDPI"], figures)
        self.evidence(capture, us)
        capture.path.unlink()

    def live(self, size: int) -> None:
        """The highest rate on a link at which nothing is missed, by attempts of which the best counts."""
        if why := reason_not():
            self.missing.add(f"live ({why})")
            return
        capture = self.capture("live.pcap", size)
        best = None
        for attempt in range(self._rounds):
            # As fast as it goes at first; slower only where that was too fast.
            limit = 0 if best is not None or attempt == 0 else _RATES[min(attempt, len(_RATES)) - 1]
            heard = listen_to(capture.path, capture.planted, limit)
            self.details.append(
                {
                    "capture": capture.path.name,
                    "tool": "camcensus listen",
                    "gbit_per_s": round(heard.gbit_per_s, 2),
                }
                | {
                    "dropped": heard.dropped,
                    "cpu_share": round(heard.cpu_share, 3),
                    "frames_read": heard.frames,
                }
                | {"makers": heard.found, "of": heard.planted}
            )
            say(f"  {self.details[-1]}")
            if heard.whole and (best is None or heard.gbit_per_s > best.gbit_per_s):
                best = heard
        command = "tcpreplay -K --topspeed | camcensus listen eth0"
        self.figure(
            "live.gbit_per_s_no_drop", best.gbit_per_s if best else 0.0, "Gbit/s", "tcpreplay", command
        )
        self.figure("live.cpu_share", best.cpu_share if best else 1.0, "of one core", "", command)
        capture.path.unlink()

    def weeks(self, days: int) -> None:
        """The growth of memory in weeks of listening."""
        argv = (sys.executable, "bench/weeks.py", "--days", str(days), "--json")
        command = Command("weeks", argv, {}, cwd=ROOT)
        output = self._folder / "output"
        run(command, output)
        told = json.loads(output.read_text())
        self.figure("weeks.memory_growth", told["growth"], "of what it was", "", command.text)
        self.details.append({"tool": "camcensus listen", "days": days, **told})


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=size_of, default=size_of("1g"), help="the usual capture, such as 100m")
    parser.add_argument("--hard-size", type=size_of, default=size_of("100m"), help="the hard one, such as 5m")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--days", type=int, default=14, help="simulated days of listening")
    parser.add_argument("--only", default=",".join(_SECTIONS), help="which of replay, hard, live, weeks")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="camcensus-bench-", dir=_folder()) as name:
        bench = Bench(args.rounds, Path(name))
        sections: dict[str, Callable[[], None]] = {
            "replay": lambda: bench.replay(args.size),
            "hard": lambda: bench.hard(args.hard_size),
            "live": lambda: bench.live(args.size),
            "weeks": lambda: bench.weeks(args.days),
        }
        for section in args.only.split(","):
            if section in sections:
                say(f"{section}:")
                sections[section]()
    if bench.missing:
        say(f"missing, so without a figure: {', '.join(sorted(bench.missing))}")
    if args.json:
        print(json.dumps(bench.results))
        return 0
    for row in bench.details:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    for name, figure in bench.results.items():
        print(f"{name:<38}{figure['value']:>10} {figure['unit']}")
    return 0


def _folder() -> str | None:
    """Memory, where a gigabyte fits: what is measured is reading, not a disk."""
    memory = Path("/dev/shm")  # noqa: S108 - the captures are of our own making, in a folder of their own
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 4 * 10**9 else None


if __name__ == "__main__":
    raise SystemExit(main())

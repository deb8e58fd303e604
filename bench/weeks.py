"""Measures the memory of weeks of listening, with the time compressed.

    python bench/weeks.py [--days 14] [--hosts 5000] [--json]

A network of 5,000 hosts: 250 cameras and recorders that say all they say every three hours,
computers that show themselves every hour, and 1,000 phones that come back every six hours with a new address. The
frames go through the pipeline and the census that `camcensus listen` uses, with its bounds.
The growth is that of the process's memory after the warm-up, in which bounded tables fill.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agent.capture import Reading
from agent.capture.live import MAX_HOSTS
from agent.capture.savefile import Frame, read_frames
from agent.census import Tally
from agent.cli.wiring import prepare
from agent.probes import ALL
from bench.camera_network import write

__all__ = ["Sample", "growth", "simulate"]

_HOUR: Final = 3_600.0
_PHONES: Final = 0.2
_PHONE_HOURS: Final = 6
_CAMERA_HOURS: Final = 3
_START: Final = 1_767_225_600.0
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_WARM_UP: Final = 0.4
"""Share of the time in which bounded tables may fill."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at the end of a simulated day."""

    day: int
    mib: float
    frames: int
    hosts: int


def simulate(days: int, hosts: int, folder: Path, tally: Tally, reading: Reading) -> Iterator[Sample]:
    """Let the network speak for so many days; a sample at the end of each."""
    rng = random.Random(7)  # noqa: S311 - seeded traffic, no secret
    phones = int(hosts * _PHONES)
    capture = folder / "hour.pcap"
    count = 0
    for hour in range(days * 24):
        at = _START + hour * _HOUR
        if hour % _CAMERA_HOURS == 0:
            write(capture, 0, hard=True, turn=hour)
            count += _feed(_cameras(capture, at), tally, reading)
        count += _feed(_computers(hosts - phones - 250, at), tally, reading)
        if hour % _PHONE_HOURS == 0:
            count += _feed(_phones(phones, at, rng), tally, reading)
        if hour % 24 == 23:
            for message in reading.sightings():
                tally.feed(message)
            gc.collect()
            found = tally.report()
            yield Sample(hour // 24 + 1, _memory(), count, len(found.devices))
            del found


def growth(samples: Sequence[Sample]) -> float:
    """By which part memory grew at most, after the warm-up."""
    warm = samples[int(len(samples) * _WARM_UP) :]
    return max(sample.mib for sample in warm) / warm[0].mib - 1


def _feed(frames: Iterator[Frame], tally: Tally, reading: Reading) -> int:
    count = 0
    for frame in frames:
        count += 1
        for message in reading.frame(frame):
            tally.feed(message)
    return count


def _cameras(capture: Path, at: float) -> Iterator[Frame]:
    """What cameras and recorders say, with the time moved to `at`."""
    with capture.open("rb") as stream:
        for frame in read_frames(stream):
            yield Frame(at + frame.number * 0.01, frame.link_type, frame.data, frame.length, 0, 0)


def _computers(count: int, at: float) -> Iterator[Frame]:
    """Hosts that stay, each with its own MAC and address."""
    for number in range(count):
        mac = b"\x00\x1b\x21" + number.to_bytes(3)
        yield from _shown(mac, IPv4Address("10.30.0.0") + number, f"pc-{number}", at)


def _phones(count: int, at: float, rng: random.Random) -> Iterator[Frame]:
    """Hosts with a locally administered MAC that is drawn by lot."""
    for number in range(count):
        mac = bytes((rng.randrange(256) & 0xFC | 0x02,)) + rng.randbytes(5)
        yield from _shown(mac, IPv4Address("10.40.0.0") + rng.randrange(4_096), f"phone-{number}", at)


def _shown(mac: bytes, ip: IPv4Address, name: str, at: float) -> Iterator[Frame]:
    """An ARP announcement, then the DHCP request that led to it."""
    address = ip.packed
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + address + bytes(6) + address
    yield _frame(mac, 0x0806, arp, at)
    options = b"\x35\x01\x03\x32\x04" + address + bytes((12, len(name))) + name.encode() + b"\xff"
    dhcp = struct.pack("!BBBB4sHH16s", 1, 1, 6, 0, mac[2:], 0, 0, b"") + mac.ljust(16, b"\0") + bytes(192)
    dhcp += b"\x63\x82\x53\x63" + options
    udp = struct.pack("!HHHH", 68, 67, 8 + len(dhcp), 0) + dhcp
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    yield _frame(mac, 0x0800, head + udp, at)


def _frame(mac: bytes, kind: int, body: bytes, at: float) -> Frame:
    data = b"\xff" * 6 + mac + struct.pack("!H", kind) + body
    return Frame(at, 1, data, len(data), 0, 0)


def _memory() -> float:
    """MiB that are resident now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE / 2**20


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--hosts", type=int, default=5_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    tally, reading = (
        prepare(None, None).tally(max_hosts=MAX_HOSTS),
        Reading(ALL, "weeks", max_hosts=MAX_HOSTS),
    )
    samples = []
    with tempfile.TemporaryDirectory() as folder:
        for sample in simulate(args.days, args.hosts, Path(folder), tally, reading):
            samples.append(sample)
            sys.stderr.write(
                f"day {sample.day}: {sample.mib:.1f} MiB, {sample.frames:,} frames, {sample.hosts} devices\n"
            )
    result = {"growth": round(growth(samples), 4), "peak_mib": round(max(s.mib for s in samples), 1)}
    print(
        json.dumps(result) if args.json else "\n".join(f"{key:<12}{value}" for key, value in result.items())
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

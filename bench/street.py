"""The networks that active discovery is measured in: a street of cameras, a town behind a router.

Everything stands in network namespaces of its own, with no way out.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from simulator.device import Device, another, load
from simulator.serve import Habits
from tests.lab import namespaces
from tests.lab.network import Lab

__all__ = ["Street", "Town", "Traffic", "street", "town"]

KINDS: Final = (
    "annke-i61dr",
    "bcs-tip3401ir-e-v",
    "dahua-hcvr",
    "dahua-ipc-hdw1431t1-s4",
    "dahua-ipc-hdw5421s",
    "dahua-vto2000a",
    "hikvision-ds-2cd2385g1-i",
    "hikvision-ds-7804hqh-k1",
    "intelbras-mhdx-1016",
    "tplink-tapo-c200",
)
"""Simulated devices that state model and serial number, each from recorded answers."""
CAMERAS: Final = 60
TOWN: Final = "10.78.0.0/16"
TOWN_LIVE: Final = 2_000
CLOSED: Final = 10


@dataclass(frozen=True, slots=True)
class Traffic:
    """What crossed the scanner's cable: packets and bytes both ways, packets it sent, TCP connections it began."""

    packets: int
    bytes: int
    sent: int
    connections: int


@dataclass(frozen=True, slots=True)
class Place:
    """A network with a scanner in it."""

    scanner: str
    switch: str

    def inside(self, *argv: str) -> tuple[str, ...]:
        """A command as it is run from the scanner's namespace."""
        return ("ip", "netns", "exec", self.scanner, *argv)

    @contextlib.contextmanager
    def counted(self) -> Iterator[list[Traffic]]:
        """Count what crosses the scanner's cable while the block runs; the list then holds it."""
        told: list[Traffic] = []
        before = self._count()
        yield told
        after = self._count()
        told.append(Traffic(*(new - old for new, old in zip(after, before, strict=True))))

    def _count(self) -> tuple[int, int, int, int]:
        shown = subprocess.run(
            ["ip", "-n", self.scanner, "-s", "-j", "link", "show", "eth0"],
            capture_output=True,
            check=True,
        )
        stats = json.loads(shown.stdout)[0]["stats64"]
        rows = subprocess.run(
            ["ip", "netns", "exec", self.switch, "nft", "-j", "list", "counters"],
            capture_output=True,
            check=True,
        )
        begun = next(
            row["counter"]["packets"] for row in json.loads(rows.stdout)["nftables"] if "counter" in row
        )
        return (
            stats["tx"]["packets"] + stats["rx"]["packets"],
            stats["tx"]["bytes"] + stats["rx"]["bytes"],
            stats["tx"]["packets"],
            begun,
        )


@dataclass(frozen=True, slots=True)
class Street(Place):
    """Cameras on one link, each with a MAC of its own: `truth` by address."""

    subnet: str
    truth: dict[str, Device]


@dataclass(frozen=True, slots=True)
class Town(Place):
    """Live addresses behind a router; `closed` are addresses on the link with no port open."""

    live: frozenset[str]
    closed: str
    gateway_mac: str

    def lose(self, permille: int) -> None:
        """Have so many packets of a thousand lost, in each direction."""
        _nft(
            self.switch,
            f"""
            flush chain inet loss come
            flush chain inet loss go
            add rule inet loss come iifname "far0" numgen random mod 1000 < {permille} drop
            add rule inet loss go oifname "far0" numgen random mod 1000 < {permille} drop
            """,
        )


@contextlib.contextmanager
def street(folder: Path, habits: Habits | None = None) -> Iterator[Street]:
    """Sixty cameras in a /24."""
    devices = [another(load(KINDS[number % len(KINDS)]), number + 1) for number in range(CAMERAS)]
    with Lab(devices, (), folder, habits=habits) as lab:
        switch = lab.scanner.removesuffix("scanner") + "switch"
        _nft(switch, _COUNTING.format(family="bridge", hook="forward", extra='iifname "uplink"'))
        yield Street(
            lab.scanner, switch, lab.subnet, {member.ip: _device(member.truth) for member in lab.members}
        )


def _device(truth: object) -> Device:
    if not isinstance(truth, Device):
        raise TypeError("a street has simulated devices only")
    return truth


@contextlib.contextmanager
def town() -> Iterator[Town]:
    """Two thousand addresses with port 80 open, spread over a /16, the others dark."""
    prefix = namespaces.prefix()
    near, far = f"{prefix}near", f"{prefix}far"
    mac = "02:fc:00:00:00:02"
    live = [f"10.78.{index // 8}.{(index % 8) * 31 + 1}" for index in range(TOWN_LIVE)]
    namespaces.remove_stale()
    served: subprocess.Popen[bytes] | None = None
    try:
        namespaces.ip([f"netns add {near}", f"netns add {far}"])
        namespaces.ip([f"link add eth0 type veth peer name far0 address {mac} netns {far}"], near)
        namespaces.ip(
            [
                "link set lo up",
                "addr add 10.9.0.1/24 dev eth0",
                "link set eth0 up",
                f"route add {TOWN} via 10.9.0.254",
            ],
            near,
        )
        closed = [f"addr add 10.9.0.{number}/24 dev far0" for number in range(2, 2 + CLOSED)]
        namespaces.ip(
            ["link set lo up", "addr add 10.9.0.254/24 dev far0", *closed, "link set far0 up"]
            + [f"route add local {ip}/32 dev lo" for ip in live]
            + [f"route add blackhole {TOWN}"],
            far,
        )
        _nft(far, _COUNTING.format(family="inet", hook="input", extra='iifname "far0"') + _LOSS)
        argv = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "nsenter",
            f"--net=/run/netns/{far}",
            sys.executable,
            "-c",
            _SERVER,
        ]
        served = subprocess.Popen(argv, stdout=subprocess.PIPE)
        if served.stdout is None or served.stdout.readline() != b"ready\n":
            raise RuntimeError("the town does not answer")
        yield Town(near, far, frozenset(live), f"10.9.0.2-{1 + CLOSED}", mac)
    finally:
        if served is not None:
            served.kill()
            served.wait()
            if served.stdout is not None:
                served.stdout.close()
        namespaces.remove(prefix)


_COUNTING: Final = """
table {family} counting {{
    counter begun {{ }}
    chain seen {{
        type filter hook {hook} priority -10;
        {extra} tcp flags & (syn | ack) == syn counter name begun
    }}
}}
"""
_LOSS: Final = """
table inet loss {
    chain come { type filter hook input priority 0; }
    chain go { type filter hook output priority 0; }
    chain closed {
        type filter hook input priority 1;
        ip daddr 10.9.0.0/24 tcp dport 80 reject with tcp reset
    }
}
"""
_SERVER: Final = """
import socket, sys
with socket.create_server(("", 80), backlog=4096) as listener:
    sys.stdout.write("ready\\n"); sys.stdout.flush()
    while True:
        listener.accept()[0].close()
"""


def _nft(namespace: str, rules: str) -> None:
    subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=rules, text=True, check=True)

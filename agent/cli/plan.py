"""Says what a scan would do, without sending anything."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from agent.pace import Profile
from agent.sweep import Manner, Means

__all__ = ["Estimate", "estimate", "table"]

_ARP_WAIT: Final = 0.3
_KERNEL_BLOCK, _KERNEL_WAIT = 400, 1.3
_SYN_WAIT: Final = 1.2
_HOST_SECONDS: Final = 2.5
"""Least time of a scan that meets hosts: groups asked twice, the last answers waited for."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a profile would send: `ways` is targets by way of looking for them.

    `sweep_packets` and `sweep_seconds` are for a range where nobody answers, which takes longest;
    `host_*` are the most that any one live host gets.
    """

    profile: str
    packets_per_second: float
    ways: dict[str, int]
    sweep_packets: int
    sweep_seconds: float
    host_packets: int
    host_connections: int
    host_at_once: int

    def to_json(self) -> dict[str, Any]:
        """The same, for programs."""
        return {
            "profile": self.profile,
            "packets_per_second": self.packets_per_second,
            "targets_by_way": self.ways,
            "sweep_packets_at_most": self.sweep_packets,
            "seconds_at_most_without_hosts": round(self.sweep_seconds, 1),
            "host_datagrams_at_most": self.host_packets,
            "host_connections_at_most": self.host_connections,
            "host_connections_at_once": self.host_at_once,
        }


def estimate(profile: Profile, means: Means, manner: Manner) -> Estimate:
    """What a scan in this profile sends and how long its sweep takes, if nobody answers."""
    linked = sum(len(part) for _, part in means.links)
    rate = profile.packets_per_second
    ways: dict[str, int] = {}
    packets, seconds = 0, 0.0
    if linked and means.raw:
        ways["arp"] = linked
        packets += linked * profile.passes
        seconds = linked * profile.passes / rate + profile.passes * _ARP_WAIT
    elif linked:
        ways["kernel"] = linked
        packets += linked
        seconds = linked / rate + -(-linked // _KERNEL_BLOCK) * _KERNEL_WAIT
    if far := len(means.routed):
        ways["syn"] = far
        sent = far * (len(manner.ports) * profile.passes + manner.ping)
        packets += sent
        seconds = max(seconds, sent / rate + profile.passes * _SYN_WAIT)
    if far := len(means.connected):
        ways["connect"] = far
        tries = far * len(manner.ports)
        packets += tries + far * profile.passes * manner.ping
        waits = tries * manner.seconds / profile.workers
        seconds = max(seconds, tries / profile.connections_per_second, waits)
    return Estimate(
        profile.name,
        rate,
        ways,
        packets,
        max(seconds, _HOST_SECONDS),
        profile.host_packets,
        profile.host_connections,
        profile.host_at_once,
    )


def table(described: str, ports: Iterable[int], estimates: Iterable[Estimate]) -> str:
    """The plan for people, within 80 columns."""
    rows = list(estimates)
    ways = ", ".join(f"{count:,} by {way}" for way, count in rows[0].ways.items())
    head = ("profile", "rate/s", "packets", "takes", "per host: datagrams", "connections")
    cells = [
        (
            row.profile,
            f"{row.packets_per_second:,.0f}",
            f"{row.sweep_packets:,}",
            _duration(row.sweep_seconds),
            str(row.host_packets),
            f"{row.host_connections}, {row.host_at_once} at once",
        )
        for row in rows
    ]
    widths = [max(len(row[at]) for row in (head, *cells)) for at in range(len(head))]
    lines = [
        *_wrapped(f"Would scan {described}"),
        *_wrapped(f"Looks for hosts: {ways}"),
        *_wrapped(f"TCP ports of a live host: {', '.join(map(str, ports))}"),
        "",
        *(
            "  ".join(
                text.rjust(width) if at else text.ljust(width)
                for at, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (head, *cells)
        ),
        "",
        "All are upper bounds: a host that answers is not looked for again, and none is",
        "asked further once it is known. Nothing was sent.",
    ]
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 80, subsequent_indent="  ")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

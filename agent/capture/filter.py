"""Derives the capture filter from the protocols that are to be read.

`expression` is a libpcap filter for Ethernet; `wanted` is the same choice in Python, applied
to every decoded packet however it was read, so that both ways give the same messages. A
protocol added to the probes adds its ports and beginnings here by itself.

All TCP segments with bytes in them pass: an answer's later segments have no mark of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.wire import Probe

__all__ = ["Wanted", "expression"]

_VLANS: Final = 3
_TUNNEL_PORTS: Final = (4789, 8472, 6081, 37008)
_TCP_BYTES: Final = "(ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2)) != 0"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The choice in Python: which UDP payloads can matter."""

    ports: frozenset[int]
    prefixes: tuple[bytes, ...]

    @classmethod
    def of(cls, probes: Iterable[Probe]) -> Wanted:
        """The choice that these protocols need."""
        udp = [probe for probe in probes if probe.transport == "udp"]
        ports = {port for probe in udp for port in probe.ports}
        return cls(frozenset(ports), tuple(prefix for probe in udp for prefix in probe.prefixes))

    def udp(self, source_port: int, target_port: int, payload: bytes) -> bool:
        """Whether a UDP datagram can matter."""
        return (
            source_port in self.ports
            or target_port in self.ports
            or (bool(self.prefixes) and payload.startswith(self.prefixes))
        )


def expression(probes: Sequence[Probe]) -> str:
    """The filter for an Ethernet capture; VLAN tags, three deep, are looked behind."""
    chosen = Wanted.of(probes)
    ports = " or ".join(f"port {port}" for port in sorted({*chosen.ports, *_TUNNEL_PORTS}))
    starts = sorted({_word(prefix) for prefix in chosen.prefixes if len(prefix) >= 4})
    udp = " or ".join([ports, *(f"udp[8:4] = {start}" for start in starts)])
    base = (
        f"arp or (udp and ({udp})) or (ip and tcp and (tcp[13] & 7 != 0 or {_TCP_BYTES})) or "
        "(ip6 and (ip6[6] = 6 or ip6[6] = 17 or ip6[6] = 44 or ip6[6] = 0 or ip6[6] = 60 or ip6[6] = 43)) or "
        "(ip and (ip[6:2] & 0x3fff != 0 or ip[9] = 47 or ip[9] = 4 or ip[9] = 41))"
    )
    odd = "ether proto 0x8847 or ether proto 0x8848 or ether proto 0x8864 or ether[12:2] < 0x600"
    # `vlan` moves every later offset, so the plain branch stands first.
    tagged = f"({base}) or ({odd})"
    for _ in range(_VLANS):
        tagged = f"({base}) or (vlan and ({tagged}))"
    return f"({odd}) or {tagged}"


def _word(prefix: bytes) -> str:
    return f"0x{prefix[:4].hex()}"

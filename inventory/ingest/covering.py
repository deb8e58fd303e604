"""Reads what a run covered from the report: which addresses, which VLANs, whether all of it.

Nothing that the report leaves open is taken as covered: a run proves absence only where it says
that it looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

__all__ = ["Covered", "covered", "spans"]

_MAX_RANGES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Covered:
    """The ranges that a run asked, as it wrote them; `vlans` None: it does not say."""

    ranges: tuple[str, ...]
    vlans: tuple[int, ...] | None
    complete: bool


def covered(coverage: Mapping[str, Any], run: Mapping[str, Any]) -> Covered:
    """What a report covered: `coverage.covered` with its `vlans`, or the targets of an active scan."""
    named = coverage.get("covered")
    if not isinstance(named, list):
        # What is only listened to cannot be proven absent.
        named = run.get("targets") if run.get("command") == "scan" else ()
    ranges = [text for text in (named or ())[:_MAX_RANGES] if isinstance(text, str) and len(text) <= 96]
    vlans = coverage.get("vlans")
    return Covered(
        tuple(text for text in ranges if list(spans([text]))),
        tuple(vlan for vlan in vlans if isinstance(vlan, int) and 0 <= vlan < 4096)
        if isinstance(vlans, list)
        else None,
        coverage.get("incomplete") is False and coverage.get("alive_only") is not True,
    )


def spans(ranges: Sequence[str]) -> Iterable[tuple[int, int, int]]:
    """For each range its version, first and last address as numbers; a name has none."""
    for text in ranges:
        try:
            if "-" in text:
                first, _, last = text.partition("-")
                low = ip_address(first.strip())
                high = _end(low, last.strip())
                if low.version == high.version and int(low) <= int(high):
                    yield low.version, int(low), int(high)
            else:
                net = ip_network(text.strip(), strict=False)
                yield net.version, int(net.network_address), int(net.broadcast_address)
        except ValueError:
            continue


def _end(low: IPv4Address | IPv6Address, last: str) -> IPv4Address | IPv6Address:
    """The end of a range, which may be the last octet alone: ``192.0.2.10-20``."""
    if last.isascii() and last.isdigit() and low.version == 4:
        last = f"{str(low).rpartition('.')[0]}.{last}"
    return ip_address(last)

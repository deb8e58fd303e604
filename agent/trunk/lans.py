"""The VLANs that the user lists, each with the address to ask from: ``10=10.0.10.250/24,20-29``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent.config import ConfigError

__all__ = ["Lan", "lans_of"]

_PART: Final = re.compile(r"(\d{1,4})(?:-(\d{1,4})|=(\S{1,64}))?", re.ASCII)
_MOST: Final = 4094


@dataclass(frozen=True, slots=True)
class Lan:
    """One VLAN by its number (1 to 4094); `own` is the address to ask from, None where it is to be learned."""

    number: int
    own: ipaddress.IPv4Interface | None = None


def lans_of(texts: Iterable[str]) -> tuple[Lan, ...]:
    """The VLANs in the order of their numbers. Raises ConfigError naming what is wrong."""
    found: dict[int, Lan] = {}
    for text in texts:
        match = _PART.fullmatch(text.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if match is None or not 0 < first <= last <= _MOST:
            raise ConfigError(
                f"--vlans: {text!r} is no VLAN (10), range (20-29) or VLAN with an address (10=10.0.10.250/24)"
            )
        for number in range(first, last + 1):
            if number in found:
                raise ConfigError(f"--vlans: {number} is named twice")
            found[number] = Lan(number, _own(text, match[3]) if match[3] else None)
    return tuple(found[number] for number in sorted(found))


def _own(text: str, address: str) -> ipaddress.IPv4Interface:
    try:
        own = ipaddress.IPv4Interface(address)
    except ValueError:
        own = ipaddress.IPv4Interface("0.0.0.0/0")
    net = own.network
    if not 8 <= net.prefixlen <= 30 or own.ip in {net.network_address, net.broadcast_address}:
        raise ConfigError(
            f"--vlans: {text!r}: give a host's IPv4 address with its prefix, such as 10.0.10.250/24"
        )
    return own

"""A host that is there, as the sweep tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Alive", "Heard", "How"]

How = Literal["arp", "syn", "tcp", "icmp", "neighbour", "all-nodes", "earlier"]


@dataclass(frozen=True, slots=True)
class Alive:
    """One live host: its address (with zone where link-local), its MAC if it is on-link.

    `how` it was found; `rtt` is one round trip in seconds, where one was measured.
    """

    ip: str
    mac: str | None = None
    how: How = "tcp"
    rtt: float | None = None


Heard = Callable[[Alive], None]
"""Told of every sign of life; the same host may be told of more than once."""

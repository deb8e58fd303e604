"""Asks live hosts what they are: the input and output of active probes."""

from agent.ask.engine import OPEN_PORT, SIGHTING, Asking, Living, Plan
from agent.ask.ports import DEFAULT_PORTS, KNOWN_PORTS, KnownPort
from agent.ask.streams import Patience

__all__ = [
    "DEFAULT_PORTS",
    "KNOWN_PORTS",
    "OPEN_PORT",
    "SIGHTING",
    "Asking",
    "KnownPort",
    "Living",
    "Patience",
    "Plan",
]

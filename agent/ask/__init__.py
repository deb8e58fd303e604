"""Asks live hosts what they are: the input and output of active probes."""

from agent.ask.engine import Asking, Living, Plan
from agent.ask.ports import DEFAULT_PORTS, KNOWN_PORTS, KnownPort
from agent.ask.streams import Patience

__all__ = [
    "DEFAULT_PORTS",
    "KNOWN_PORTS",
    "Asking",
    "KnownPort",
    "Living",
    "Patience",
    "Plan",
]

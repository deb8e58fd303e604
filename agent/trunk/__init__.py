"""Asks the hosts of several VLANs from one trunk port, with tagged frames; needs raw sockets (Linux)."""

from agent.trunk.asking import Trunk
from agent.trunk.lans import Lan, lans_of

__all__ = ["Lan", "Trunk", "lans_of"]

"""The agent: everything that touches the network."""

from typing import Final

__version__: Final = "0.1.0"
"""Version of camcensus; the package takes its own from here."""

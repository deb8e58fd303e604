"""The agent: everything that touches the network."""

__version__ = "0.1.0"
"""Version of camcensus; the package takes its own from here."""

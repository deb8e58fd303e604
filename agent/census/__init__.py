"""The census: what every host said, told apart into devices, in any order."""

from __future__ import annotations

from agent.census.provenance import provenance
from agent.census.tally import Tally

__all__ = ["Tally", "provenance"]

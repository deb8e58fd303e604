"""Tells how many processors this process may use."""

from __future__ import annotations

import os

__all__ = ["processors"]


def processors() -> int:
    """At least 1. A process may be held to some of those that there are (``taskset``, a container's cpuset)."""
    try:
        return len(os.sched_getaffinity(0)) or 1
    except (AttributeError, OSError):
        # Not every system has it.
        return os.cpu_count() or 1

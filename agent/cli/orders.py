"""Takes signals as orders to a command that runs for long."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Orders"]


@dataclass(slots=True)
class Orders:
    """What signals ask for: to end, to write a snapshot, to open files anew."""

    end: bool = False
    snapshot: bool = False
    reopen: bool = False

    @contextlib.contextmanager
    def by_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM, SIGUSR1 and SIGHUP as orders while the block runs."""
        names = {"end": ("SIGINT", "SIGTERM"), "snapshot": ("SIGUSR1",), "reopen": ("SIGHUP",)}
        before = {}
        for order, signals in names.items():
            for name in signals:
                # Not every system has them all.
                number = getattr(signal, name, None)
                if number is not None:
                    before[number] = signal.signal(number, lambda *_, order=order: setattr(self, order, True))
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

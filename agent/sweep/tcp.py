"""Finds hosts by connecting to a few ports: an open port is life, so is a refusal.

A fixed number of workers shares one iterator of targets, so that memory is flat and the
event loop is never flooded.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from agent.dial import dial
from agent.pace import BudgetSpent, Pace
from agent.sweep.alive import Alive, Heard

__all__ = ["PORTS", "ask_ports", "workers_possible"]

PORTS: Final = (80, 554, 443, 8000)
"""Ports of which cameras and recorders have at least one, as a rule; a refusal does as well."""

_SPARE_DESCRIPTORS: Final = 32
_NO_WAY: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM, errno.EINVAL})


def workers_possible(wanted: int) -> int:
    """How many workers the descriptors of this process allow, of those wanted; at least four."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(4, min(wanted, (soft - _SPARE_DESCRIPTORS) // 2))


async def ask_ports(
    targets: Iterator[str],
    pace: Pace,
    heard: Heard,
    known: Callable[[str], bool],
    done: Callable[[str], None],
    *,
    ports: Sequence[int] = PORTS,
    seconds: float = 1.0,
) -> None:
    """Connect to each target not `known` until a port answers; `done` is told of each that is through."""

    async def work() -> None:
        for target in targets:
            alive = None if known(target) else await _touch(target, ports, pace, known, seconds)
            if alive is not None:
                heard(alive)
            done(target)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers_possible(pace.profile.workers)):
            group.create_task(work())


async def _touch(
    ip: str, ports: Sequence[int], pace: Pace, known: Callable[[str], bool], seconds: float
) -> Alive | None:
    host = pace.host(ip)
    for port in ports:
        if known(ip):
            return None
        try:
            async with host.connection():
                began = time.monotonic()
                with contextlib.suppress(ConnectionRefusedError, ConnectionResetError):
                    (await dial(ip, port, seconds)).close()
                return Alive(ip, how="tcp", rtt=time.monotonic() - began)
        except BudgetSpent:
            return None
        except TimeoutError:
            continue
        except OSError as error:
            if error.errno in _NO_WAY:
                return None
    return None

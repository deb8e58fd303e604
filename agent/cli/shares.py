"""Reads a capture in which nearly every frame matters by several processes at once.

Each process reads the whole file, which libpcap does in no time, and looks into its share of the
frames, which is what costs (`agent.capture.Share`). Their censuses are merged, as those of an
archive's captures are. Where a share cannot be read to its end, nothing of all that counts: the
caller reads the capture by itself, and finds what is wrong with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from agent.capture import CaptureStats, Replay, Share, Source, is_dense
from agent.census import Tally
from agent.cli.orders import Orders
from agent.probes import ALL
from agent.processors import processors

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

__all__ = ["Shares", "read_shares", "shares_of"]

_MOST: Final = 4
_LEAST_BYTES: Final = 32 << 20
"""Of a smaller file one process has read most before others have begun."""
_LOOK_SECONDS: Final = 0.2


@dataclass(slots=True)
class Shares:
    """What the processes read: states for `Tally.merge`, and the counts of all of them."""

    stats: CaptureStats
    states: list[dict[str, Any]] = field(default_factory=list)
    interrupted: bool = False


def shares_of(source: Source) -> int:
    """Among how many processes a capture is to be shared out: one is not worth it."""
    # Elsewhere a process cannot be had by forking, or not safely; what is loaded would be loaded anew.
    if sys.platform != "linux" or source.path is None or source.compressed:
        return 1
    count = min(_MOST, processors())
    try:
        worth = count > 1 and source.path.stat().st_size >= _LEAST_BYTES and is_dense(source.path, ALL)
    except OSError:
        return 1
    return count if worth else 1


def read_shares(source: Source, count: int, tally: Callable[[], Tally]) -> Shares | None:
    """Read a capture by `count` processes, each of which has an empty `tally`; None where one of them failed.

    After a signal to end: what all of them know so far.
    """
    import multiprocessing  # noqa: PLC0415 - for the few captures that are shared out

    context = multiprocessing.get_context("fork")
    found = Shares(CaptureStats(source.name))
    at_work: list[tuple[BaseProcess, Connection]] = []
    orders = Orders()
    with orders.by_signals():
        try:
            for number in range(count):
                here, there = context.Pipe(duplex=False)
                args = (there, source, Share(number, count), tally(), orders)
                process: BaseProcess = context.Process(target=_work, args=args, daemon=True)
                process.start()
                there.close()
                at_work.append((process, here))
            whole = all(_take_in(found, here, orders, at_work) for _, here in at_work)
        finally:
            for process, here in at_work:
                here.close()
                process.kill()
                process.join()
    return found if whole else None


def _take_in(
    found: Shares, here: Connection, orders: Orders, at_work: Sequence[tuple[BaseProcess, Connection]]
) -> bool:
    """Wait for one share; False where none comes."""
    try:
        while not here.poll(_LOOK_SECONDS):
            if orders.end and not found.interrupted:
                found.interrupted = True
                # A Ctrl-C reaches all of them; a signal to this process alone is handed on.
                for process, _ in at_work:
                    if process.pid is not None and process.is_alive():
                        os.kill(process.pid, signal.SIGINT)
        state, stats = here.recv()
    except (EOFError, OSError):
        return False
    found.states.append(state)
    found.stats.add(stats)
    return True


def _work(there: Connection, source: Source, share: Share, tally: Tally, orders: Orders) -> None:
    """Read a share, and hand over what is known at its end or, once `orders` say so, until now."""
    # Whatever goes wrong is met again by who then reads alone, and told there.
    with contextlib.suppress(Exception):
        capture = Replay(source, ALL, share=share)
        for message in capture:
            tally.feed(message)
            if orders.end:
                break
        if not capture.problems:
            there.send((tally.state(), capture.stats))

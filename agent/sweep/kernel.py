"""Finds the IPv4 hosts of a link without root: the kernel asks by ARP for whoever is sent a datagram.

An empty datagram to the discard port (RFC 863) makes the kernel resolve the address, at once
and a second later again; who answers stands in its table of neighbours.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from agent.neighbours import Neighbour
from agent.pace import Pace
from agent.sweep.alive import Alive, Heard

__all__ = ["ask_kernel"]

_DISCARD: Final = 9
_BLOCK: Final = 400
"""Unanswered addresses at once; the kernel's table holds 1,024 by default (arp(7), gc_thresh3)."""
_LOOK_EVERY: Final = 0.1


async def ask_kernel(
    targets: Iterator[str],
    table: Callable[[], Mapping[str, Neighbour]],
    pace: Pace,
    heard: Heard,
    known: Callable[[str], bool],
    *,
    wait: float = 1.3,
) -> list[str]:
    """Have each target not `known` resolved; those of whom the kernel cannot say whether they are there.

    `wait` seconds are given to a block of addresses after its last datagram. Raises OSError
    where no socket can be had.
    """
    doubtful: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0)
        while block := list(itertools.islice(targets, _BLOCK)):
            await _nudge(sock, block, pace, known)
            left = await _look(block, table, heard, known, wait)
            seen = table()
            # A system that tells nothing at all of its neighbours cannot be taken for silence.
            doubtful += [ip for ip in left if ip in seen or not seen]
    return doubtful


async def _nudge(sock: socket.socket, block: list[str], pace: Pace, known: Callable[[str], bool]) -> None:
    for at in range(0, len(block), pace.batch):
        asked = [ip for ip in block[at : at + pace.batch] if not known(ip)]
        await pace.packet_rate(len(asked))
        for ip in asked:
            try:
                sock.sendto(b"", (ip, _DISCARD))
            except OSError:
                # An ICMP error for an earlier one, or the table is full: it is looked up all the same.
                continue


async def _look(
    block: list[str],
    table: Callable[[], Mapping[str, Neighbour]],
    heard: Heard,
    known: Callable[[str], bool],
    wait: float,
) -> list[str]:
    """Tell of those that answer within `wait` seconds; the others."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    while True:
        seen = table()
        for ip in block:
            neighbour = seen.get(ip)
            if neighbour is not None and neighbour.reachable and not known(ip):
                heard(Alive(ip, neighbour.mac, "neighbour"))
        block = [ip for ip in block if not known(ip)]
        if not block or loop.time() >= end:
            return block
        await asyncio.sleep(_LOOK_EVERY)

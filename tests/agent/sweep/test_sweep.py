"""Tests that a sweep finds every live host of the scope once, then says what it did not reach."""

from __future__ import annotations

import asyncio
import resource
import socket
from contextlib import ExitStack
from dataclasses import replace

import pytest

from agent.interfaces import Interface
from agent.neighbours import Neighbour, Neighbours
from agent.pace import PROFILES, Pace
from agent.scope import Scope
from agent.sweep import Alive, Manner, Sweep
from fingerprints.model import Problem

FAST = replace(PROFILES["thorough"], connections_per_second=50_000, packets_per_second=50_000, workers=64)
NOBODY = Neighbours(read=tuple)


def never(problem: Problem) -> None:
    raise AssertionError(problem)


def sweep(
    *tokens: str, port: int, neighbours: Neighbours = NOBODY, interfaces: tuple[Interface, ...] = ()
) -> Sweep:
    scope = Scope.parse(tokens)
    manner = Manner(ports=(port,), seconds=0.3, raw=False)
    return Sweep(scope, interfaces, Pace(FAST), never, manner=manner, neighbours=neighbours)


async def gathered(running: Sweep) -> list[Alive]:
    return [alive async for alive in running.alive()]


def silent_port(stack: ExitStack, ip: str) -> int:
    """A port of `ip` that drops every SYN, as a filtered host does: its queue of connections is full."""
    listener = stack.enter_context(socket.create_server((ip, 0), backlog=0))
    for _ in range(3):
        filler = stack.enter_context(socket.socket())
        filler.settimeout(0)
        filler.connect_ex(listener.getsockname())
    return int(listener.getsockname()[1])


def test_open_and_refused_are_alive() -> None:
    """An open port is life, so is a refused one; each host comes once, with its round trip."""
    with socket.create_server(("127.77.1.1", 0)) as listener:
        running = sweep("127.77.1.1-3", port=listener.getsockname()[1])
        found = asyncio.run(gathered(running))
    assert sorted(alive.ip for alive in found) == ["127.77.1.1", "127.77.1.2", "127.77.1.3"]
    assert all(alive.how == "tcp" and alive.rtt is not None and alive.rtt < 0.3 for alive in found)
    assert running.coverage()["found_by"] == {"tcp": 3}
    assert running.coverage()["not_swept"] == 0


def test_silent_host_is_not_alive() -> None:
    """A host that answers nothing is swept, silent, and not alive."""
    with ExitStack() as stack:
        running = sweep("127.77.1.9-10", port=silent_port(stack, "127.77.1.9"))
        found = asyncio.run(gathered(running))
    assert [alive.ip for alive in found] == ["127.77.1.10"]
    assert (running.coverage()["silent"], running.coverage()["not_swept"]) == (1, 0)


@pytest.mark.parametrize(("reachable", "alive"), [(True, 1), (False, 0)])
def test_filtered_host_that_answered_the_link(reachable: bool, alive: int) -> None:
    """A host that drops every connection is alive if it has just answered the kernel on the link."""
    table = (Neighbour("127.77.1.11", "28:57:be:00:00:01", reachable),)
    with ExitStack() as stack:
        port = silent_port(stack, "127.77.1.11")
        found = asyncio.run(
            gathered(sweep("127.77.1.11", port=port, neighbours=Neighbours(read=lambda: table)))
        )
    assert len(found) == alive
    assert all(one == Alive("127.77.1.11", "28:57:be:00:00:01", "neighbour") for one in found)


def test_neighbours_outside_the_scope_are_left_alone() -> None:
    """What the kernel's table holds beyond the scope is no finding of this sweep."""
    table = (Neighbour("127.77.1.99", "28:57:be:00:00:01", reachable=True),)
    running = sweep("127.77.1.12", port=9, neighbours=Neighbours(read=lambda: table))
    assert [alive.ip for alive in asyncio.run(gathered(running))] == ["127.77.1.12"]


def test_ipv6() -> None:
    """IPv6 addresses are swept as well."""
    assert [alive.ip for alive in asyncio.run(gathered(sweep("::1", port=9)))] == ["::1"]


def test_many_targets_with_few_descriptors() -> None:
    """Where descriptors are short, no host is lost: workers are fewer and wait."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        found = asyncio.run(gathered(sweep("127.77.2.0/23", port=9)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(found) == 510


def test_stopping_early_says_what_is_left() -> None:
    """A sweep that is cut off closes its sockets, and its coverage tells how much was not swept."""

    async def some(running: Sweep, count: int) -> None:
        hosts = running.alive()
        async for _ in hosts:
            count -= 1
            if not count:
                break
        await hosts.aclose()  # type: ignore[attr-defined]
        assert len(asyncio.all_tasks()) == 1

    running = sweep("127.77.4.0/22", port=9)
    asyncio.run(some(running, 5))
    assert 0 < running.coverage()["not_swept"] < 1022


def test_cancelled_while_waiting() -> None:
    """Cancelling whoever waits for hosts ends the sweep's own tasks, too."""

    async def run() -> list[str]:
        with ExitStack() as stack:
            running = sweep("127.77.1.13", port=silent_port(stack, "127.77.1.13"))
            task = asyncio.create_task(gathered(running))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return [other.get_name() for other in asyncio.all_tasks() if other is not asyncio.current_task()]

    assert asyncio.run(run()) == []


def test_no_raw_socket_means_no_arp() -> None:
    """Without raw sockets no link is decided by ARP, and the coverage says so."""
    link = Interface("lo", 1, ("127.77.1.0/24",), loopback=True)
    running = sweep("127.77.1.14", port=9, interfaces=(link,))
    assert len(asyncio.run(gathered(running))) == 1
    assert running.coverage()["arp_on"] == []


def test_memory_of_the_pace() -> None:
    """A sweep leaves no budget behind for hosts that nobody asks further."""
    pace = Pace(FAST)
    manner = Manner(ports=(9,), seconds=0.3)
    running = Sweep(Scope.parse(["127.77.5.0/24"]), (), pace, never, manner=manner, neighbours=NOBODY)
    asyncio.run(gathered(running))
    assert len(pace._hosts) <= 1

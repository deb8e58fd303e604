"""Tests that neither the network nor one host is touched faster or more than the profile says."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent.pace import PROFILES, BudgetSpent, Pace

GENTLE = PROFILES["gentle"]


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def paced(clock: Clock, **changes: float) -> Pace:
    return Pace(replace(GENTLE, **changes), clock=clock, sleep=clock.sleep)  # type: ignore[arg-type]


@pytest.mark.parametrize(("rate", "count"), [(200.0, 1000), (2.0, 10)])
def test_rate_over_the_scan(rate: float, count: int) -> None:
    """So many packets take their time: count over rate, less a tenth of a second's burst."""
    clock = Clock()
    pace = paced(clock, packets_per_second=rate, connections_per_second=rate)

    async def send() -> None:
        for _ in range(count):
            await pace.packet_rate()
        spent = clock.now - 100.0
        assert count / rate - 0.6 <= spent <= count / rate
        for _ in range(count):
            await pace.connection_rate()

    asyncio.run(send())
    assert clock.now - 100.0 <= 2 * count / rate


def test_idle_time_is_not_saved_up() -> None:
    """After a long silence there is no burst beyond a tenth of a second's worth."""
    clock = Clock()
    pace = paced(clock, packets_per_second=100.0)
    clock.now += 3600

    async def send() -> int:
        sent = 0
        while clock.now == 3700.0:
            await pace.packet_rate()
            sent += 1
        return sent

    assert asyncio.run(send()) <= 12


@pytest.mark.parametrize(("name", "at_once"), [("gentle", 1), ("standard", 2), ("thorough", 4)])
def test_connections_at_once(name: str, at_once: int) -> None:
    """No more connections stand at one host at a time than the profile allows, while others go on."""
    clock = Clock()
    pace = Pace(PROFILES[name], clock=clock, sleep=clock.sleep)
    open_now = 0
    most = 0

    async def connect(ip: str) -> None:
        nonlocal open_now, most
        async with pace.host(ip).connection():
            if ip == "10.0.0.1":
                open_now += 1
                most = max(most, open_now)
            await asyncio.sleep(0)
            open_now -= ip == "10.0.0.1"

    async def run() -> None:
        held = pace.host("10.0.0.1")
        await asyncio.gather(*(connect("10.0.0.1") for _ in range(20)), connect("10.0.0.2"))
        assert held is pace.host("10.0.0.1")

    asyncio.run(run())
    assert most == at_once


def test_budgets_of_a_host_end() -> None:
    """Connections, datagrams, questions and bytes each end with BudgetSpent, for that host alone."""
    clock = Clock()
    pace = paced(clock, host_connections=2, host_packets=2, host_asks=2, host_bytes=100)

    async def run() -> None:
        host = pace.host("10.0.0.1")
        for _ in range(2):
            async with host.connection():
                pass
            await host.packet(10)
            host.question()
        with pytest.raises(BudgetSpent, match="connections"):
            async with host.connection():
                pass
        with pytest.raises(BudgetSpent, match="packets"):
            await host.packet(10)
        with pytest.raises(BudgetSpent, match="questions"):
            host.question()
        host.charge(80)
        with pytest.raises(BudgetSpent, match="bytes"):
            host.charge(1)
        async with pace.host("10.0.0.2").connection():
            pass

    asyncio.run(run())


def test_hosts_nobody_holds_are_forgotten() -> None:
    """A sweep over many dead addresses leaves nothing behind in memory."""
    pace = Pace(GENTLE)
    for number in range(1000):
        pace.host(f"10.0.{number // 256}.{number % 256}")
    assert len(pace._hosts) <= 1


def test_another_rate_keeps_the_proportions() -> None:
    """A profile at another rate has its connections scaled, its care for a host unchanged."""
    quick = GENTLE.at(2_000)
    assert (quick.packets_per_second, quick.connections_per_second) == (2_000, 1_000)
    assert (quick.host_at_once, quick.host_packets) == (GENTLE.host_at_once, GENTLE.host_packets)
    assert Pace(quick).batch == 20
    assert Pace(GENTLE.at(5)).batch == 1


def test_many_at_once_take_as_long() -> None:
    """A hundred packets in tens take as long as one by one."""
    clock = Clock()
    pace = paced(clock, packets_per_second=10.0)

    async def send() -> None:
        for _ in range(10):
            await pace.packet_rate(10)

    asyncio.run(send())
    assert clock.now - 100.0 == pytest.approx(10.0, abs=0.2)
    assert pace.packets == 100


def test_a_pause_holds_everything() -> None:
    """While paused nothing is let through; afterwards all of it is."""
    clock = Clock()

    async def run() -> tuple[int, int]:
        pace = paced(clock)
        pace.pause()
        waiting = [asyncio.create_task(pace.packet_rate()), asyncio.create_task(pace.connection_rate())]
        await asyncio.sleep(0.01)
        held = sum(task.done() for task in waiting)
        pace.resume()
        await asyncio.gather(*waiting)
        return held, pace.packets + pace.connections

    assert asyncio.run(run()) == (0, 2)

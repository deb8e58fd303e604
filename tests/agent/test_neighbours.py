"""Tests that the kernel's neighbour table is read, whatever stands in it."""

from __future__ import annotations

import os

import pytest

from agent.neighbours import Neighbour, Neighbours, read_neighbours
from tests.netns import told_apart

_SCRIPT = """
import subprocess
run = lambda line: subprocess.run(line.split(), check=True)
run("ip link add d0 type veth peer name d1"); run("ip link set d0 up"); run("ip link set d1 up")
run("ip addr add 192.0.2.1/24 dev d0"); run("ip -6 addr add fd77::1/64 dev d0 nodad")
run("ip neigh add 192.0.2.7 lladdr 28:57:be:00:00:07 dev d0 nud reachable")
run("ip neigh add 192.0.2.8 lladdr 28:57:be:00:00:08 dev d0 nud stale")
run("ip neigh add 192.0.2.9 lladdr 28:57:be:00:00:09 dev d0 nud failed")
run("ip neigh add fe80::7 lladdr 28:57:be:00:00:07 dev d0 nud reachable")
from agent.neighbours import read_neighbours
for one in sorted(read_neighbours(), key=lambda one: one.ip): print(one.ip, one.mac, one.reachable)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a network namespace")
def test_table_of_a_namespace() -> None:
    """Both families are read with their state; entries without a MAC are none; link-local has its zone."""
    assert told_apart(_SCRIPT).splitlines() == [
        "192.0.2.7 28:57:be:00:00:07 True",
        "192.0.2.8 28:57:be:00:00:08 False",
        "fe80::7%d0 28:57:be:00:00:07 True",
    ]


def test_readable_without_root() -> None:
    """Reading the table raises nothing on this machine."""
    assert all(":" in neighbour.mac for neighbour in read_neighbours())


def test_looked_up_anew_when_missing() -> None:
    """A missing host is looked up anew once time has passed; a known one is not read again."""
    now = 0.0
    reads = []
    tables = iter([(), (Neighbour("192.0.2.7", "28:57:be:00:00:07", reachable=True),)])

    def read() -> tuple[Neighbour, ...]:
        reads.append(now)
        return next(tables)

    table = Neighbours(read=read, clock=lambda: now, seconds=1.0)
    assert table.mac("192.0.2.7") is None
    assert table.mac("192.0.2.7") is None
    now = 1.0
    assert table.mac("192.0.2.7") == "28:57:be:00:00:07"
    now = 9.0
    assert table.mac("192.0.2.7") == "28:57:be:00:00:07"
    assert reads == [0.0, 1.0]

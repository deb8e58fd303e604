"""Tests that hosts of a link are found whatever they filter, in network namespaces of their own."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.netns import told_apart

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make network namespaces")

# 10.9.0.2 answers everything, .3 drops TCP, .4 drops TCP as well as ICMP, all others are nobody.
_SCRIPT = """
import asyncio, json, pathlib, subprocess, sys
far = subprocess.Popen(["unshare", "--net", "sleep", "60"])
try:
    def here(line): subprocess.run(line.split(), check=True)
    def there(line, **more): subprocess.run(["nsenter", "-t", str(far.pid), "-n", *line.split()], check=True, **more)
    while pathlib.Path(f"/proc/{far.pid}/ns/net").readlink() == pathlib.Path("/proc/self/ns/net").readlink():
        pass
    here(f"ip link add near0 type veth peer name far0 netns {far.pid}")
    here("ip addr add 10.9.0.1/24 dev near0"); here("ip link set near0 up"); here("ip link set lo up")
    for last in (2, 3, 4): there(f"ip addr add 10.9.0.{last}/24 dev far0")
    there("ip link set far0 address 28:57:be:00:00:02"); there("ip link set far0 up"); there("ip link set lo up")
    there("nft -f -", text=True, input='''table ip test {
        chain in {
            type filter hook input priority 0;
            ip daddr 10.9.0.3 meta l4proto tcp drop
            ip daddr 10.9.0.4 meta l4proto { tcp, icmp } drop
        }
    }
    ''')
    pathlib.Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647" if "icmp" in sys.argv else "1 0")

    from agent.interfaces import choose, interfaces, own_addresses
    from agent.pace import PROFILES, Pace
    from agent.scope import Scope
    from agent.sweep import Manner, Sweep

    async def run():
        every = interfaces()
        scope = Scope.parse(["10.9.0.0/28"], own=own_addresses(every))
        sweep = Sweep(scope, choose(every)[0], Pace(PROFILES["standard"]), print, manner=Manner(raw="raw" in sys.argv))
        found = {alive.ip: [alive.how, alive.mac] async for alive in sweep.alive()}
        return {"found": found, "coverage": sweep.coverage()}

    print(json.dumps(asyncio.run(run())))
finally:
    far.kill()
    far.wait()
"""
MAC = "28:57:be:00:00:02"


def swept(*means: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(told_apart(_SCRIPT, *means))
    assert told["coverage"]["not_swept"] == 0
    return told


def test_raw_arp() -> None:
    """With raw sockets every host is found by ARP with its MAC, and nobody else is."""
    told = swept("raw")
    assert told["found"] == {f"10.9.0.{last}": ["arp", MAC] for last in (2, 3, 4)}
    assert told["coverage"]["arp_on"] == ["near0"]


def test_without_raw_sockets() -> None:
    """Without raw sockets every host is found by its answer to the kernel, whatever else it drops."""
    told = swept()
    assert told["found"] == {f"10.9.0.{last}": ["neighbour", MAC] for last in (2, 3, 4)}
    assert told["coverage"]["neighbours_on"] == ["near0"]

"""Tests that hosts behind a router are found with raw sockets and without, also on a lossy way."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.netns import told_apart

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make network namespaces")

# Of 10.10.0.0/22 the far side has .1 to .40 of each /24; .3 drops TCP, .4 drops ICMP, .5 drops both.
_SCRIPT = """
import asyncio, json, pathlib, resource, subprocess, sys
far = subprocess.Popen(["unshare", "--net", "sleep", "100"])
try:
    def here(line): subprocess.run(line.split(), check=True)
    def there(line, **more): subprocess.run(["nsenter", "-t", str(far.pid), "-n", *line.split()], check=True, **more)
    while pathlib.Path(f"/proc/{far.pid}/ns/net").readlink() == pathlib.Path("/proc/self/ns/net").readlink():
        pass
    here(f"ip link add near0 type veth peer name far0 netns {far.pid}")
    here("ip addr add 10.9.0.1/24 dev near0"); here("ip link set near0 up"); here("ip link set lo up")
    there("ip addr add 10.9.0.2/24 dev far0"); there("ip link set far0 up"); there("ip link set lo up")
    here("ip route add 10.10.0.0/16 via 10.9.0.2")
    for third in range(4):
        for last in range(1, 41): there(f"ip addr add 10.10.{third}.{last}/32 dev lo")
    there("ip route add blackhole 10.10.0.0/16")
    options = json.loads(sys.argv[1])
    loss = options.get("loss", 0)
    there("nft -f -", text=True, input=f'''table ip test {{
        chain in {{
            type filter hook input priority 0;
            numgen random mod 1000 < {loss} drop
            ip daddr 10.10.0.3 meta l4proto tcp drop
            ip daddr 10.10.0.4 meta l4proto icmp drop
            ip daddr 10.10.0.5 meta l4proto {{ tcp, icmp }} drop
        }}
        chain out {{
            type filter hook output priority 0;
            oifname far0 numgen random mod 1000 < {loss} drop
        }}
    }}
    ''')
    pathlib.Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647" if options["ping"] else "1 0")
    if "descriptors" in options:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options["descriptors"],) * 2)

    from dataclasses import replace
    from agent.interfaces import choose, interfaces, own_addresses
    from agent.pace import PROFILES, Pace
    from agent.scope import Scope
    from agent.sweep import Manner, Sweep

    problems = []

    async def run():
        every = interfaces()
        scope = Scope.parse([options.get("target", "10.10.0.0/22")], own=own_addresses(every))
        profile = replace(PROFILES["standard"].at(20000), passes=options.get("passes", 2))
        manner = Manner(ports=tuple(options["ports"]), seconds=0.5, raw=options["raw"],
                        marks={"syn": tuple(options["mark"])} if "mark" in options else {})
        sweep = Sweep(scope, choose(every)[0], Pace(profile), problems.append, manner=manner)
        found = {alive.ip: alive.how async for alive in sweep.alive()}
        return {"found": found, "coverage": sweep.coverage(), "marks": sweep.marks, "problems": [str(one) for one in problems]}

    print(json.dumps(asyncio.run(run())))
finally:
    far.kill()
    far.wait()
"""
STANDING = {f"10.10.{third}.{last}" for third in range(4) for last in range(1, 41)}
DEAF = "10.10.0.5"


def swept(**options: Any) -> dict[str, Any]:
    given = {"raw": True, "ping": False, "ports": [9, 80], **options}
    told: dict[str, Any] = json.loads(told_apart(_SCRIPT, json.dumps(given)))
    return told


@pytest.mark.parametrize("raw", [True, False], ids=["syn", "connect"])
def test_refusals_are_life(raw: bool) -> None:
    """Every host that does not drop TCP is found by its refusal; nobody else is."""
    told = swept(raw=raw)
    assert set(told["found"]) == STANDING - {DEAF, "10.10.0.3"}
    assert set(told["found"].values()) == {"syn" if raw else "tcp"}
    assert told["coverage"]["not_swept"] == 0
    assert told["coverage"]["unfinished_ways"] == 0


@pytest.mark.parametrize("raw", [True, False], ids=["syn", "connect"])
def test_echoes_are_life(raw: bool) -> None:
    """Where datagram ICMP is allowed, hosts that drop TCP are found, too, and those that drop ICMP still are."""
    told = swept(raw=raw, ping=True)
    assert set(told["found"]) == STANDING - {DEAF}
    assert told["found"]["10.10.0.3"] == "icmp"
    assert told["found"]["10.10.0.4"] == ("syn" if raw else "tcp")


def test_loss_is_made_up_for() -> None:
    """At 5 % loss in each direction, three passes find everybody."""
    told = swept(loss=50, passes=3)
    assert set(told["found"]) == STANDING - {DEAF, "10.10.0.3"}


def test_few_descriptors() -> None:
    """With 64 descriptors and no raw socket, no host is lost."""
    told = swept(raw=False, descriptors=64, target="10.10.1.0/26")
    assert set(told["found"]) == {f"10.10.1.{last}" for last in range(1, 41)}


def test_goes_on_from_a_mark() -> None:
    """A sweep that begins where another was stopped asks only what was left, and can be told apart no more."""
    whole = swept()
    assert whole["marks"]["syn"] == [4, 0]
    rest = swept(mark=[3, 500], passes=2)
    assert rest["coverage"]["not_swept"] == 0
    assert 0 < len(rest["found"]) < len(whole["found"])

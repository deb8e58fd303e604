"""Tests that hosts and links that misbehave hold no scan up, and cost the others nothing."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.netns import told_apart

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make network namespaces"),
    pytest.mark.timeout(180),
]

# 10.9.0.10 is a recorded Hikvision camera; 10.8.0.20, on another link, is what `trouble` says.
_SCRIPT = """
import json, pathlib, subprocess, sys, time
spaces = [subprocess.Popen(["unshare", "--net", "sleep", "170"]) for _ in range(2)]
def here(line): subprocess.run(line.split(), check=True)
def there(space, line): return ["nsenter", "-t", str(space.pid), "-n", *line.split()]
CAMERA = '''
import asyncio
from simulator.device import Place, load
from simulator.serve import listen, serving

async def main():
    camera = load("hikvision-ds-2cd2385g1-i")
    async with serving([listen(camera, Place("10.9.0.10", camera.mac, "fe80::10", "end"))]):
        print("ready", flush=True)
        await asyncio.sleep(160)

asyncio.run(main())
'''
TROUBLE = '''
import socket, sys, time

def tarpit(ip):
    # Every port of this host leads to one listener, which accepts and says nothing.
    listener = socket.create_server((ip, 1), backlog=512)
    print("ready", flush=True)
    held = []
    while True:
        held.append(listener.accept()[0])

def flood(ip):
    # Four thousand answers to every question.
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", 37810))
    group = socket.inet_aton("239.255.255.251") + socket.inet_aton(ip)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    print("ready", flush=True)
    while True:
        _, asker = sock.recvfrom(2048)
        for number in range(4000):
            sock.sendto(b" " * 40 + str(number).encode(), asker)

def redirect(ip):
    listener = socket.create_server((ip, 80))
    print("ready", flush=True)
    head = "HTTP/1.1 302 Found|Location: http://10.8.0.99/|Content-Length: 0||"
    while True:
        line = listener.accept()[0]
        line.recv(2000)
        line.sendall(head.replace("|", chr(13) + chr(10)).encode())
        line.close()

def nothing(ip):
    print("ready", flush=True)
    time.sleep(160)

globals().get(sys.argv[1], nothing)("10.8.0.20")
'''
TARPIT = '''
table ip t {
    chain c {
        type nat hook prerouting priority 0
        ip daddr 10.8.0.20 tcp dport 1-65535 redirect to :1
    }
}
'''
running = []
try:
    own = pathlib.Path("/proc/self/ns/net").readlink()
    trouble, targets = sys.argv[1], sys.argv[2].split()
    here("ip link set lo up")
    for space, net, ip in zip(spaces, ("9", "8"), ("10.9.0.10", "10.8.0.20")):
        while pathlib.Path(f"/proc/{space.pid}/ns/net").readlink() == own:
            time.sleep(0.01)
        here(f"ip link add near{net} type veth peer name end netns {space.pid}")
        here(f"ip addr add 10.{net}.0.1/24 dev near{net}")
        here(f"ip link set near{net} up")
        mac = "28:57:be:00:00:01" if net == "9" else "00:e0:4c:36:00:08"
        for line in (f"ip link set end address {mac}", f"ip addr add {ip}/24 dev end", "ip link set end up"):
            subprocess.run(there(space, line), check=True)
    if trouble == "tarpit":
        subprocess.run(there(spaces[1], "nft -f -"), input=TARPIT, text=True, check=True)
    for space, code in zip(spaces, (CAMERA, TROUBLE)):
        argv = [*there(space, sys.executable), "-c", code, trouble]
        running.append(subprocess.Popen(argv, stdout=subprocess.PIPE))
        assert running[-1].stdout.readline() == b"ready\\n"
    scan = [sys.executable, "-m", "agent.cli", "scan", *targets, "--format", "json", "--quiet"]
    if trouble == "descriptors":
        scan = ["sh", "-c", "ulimit -n 40; exec " + " ".join(scan)]
    scan = subprocess.Popen(scan, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if trouble == "down":
        time.sleep(0.8)
        here("ip link set near9 down")
    out, err = scan.communicate(timeout=100)
    print(json.dumps({"code": scan.returncode, "err": err, "report": json.loads(out) if out else None}))
finally:
    for process in (*running, *spaces):
        process.kill()
        process.wait()
"""


def scanned(trouble: str, targets: str = "10.9.0.0/24 10.8.0.0/24") -> dict[str, Any]:
    told: dict[str, Any] = json.loads(told_apart(_SCRIPT, trouble, targets))
    assert "Traceback" not in told["err"]
    return told


def camera(told: dict[str, Any]) -> dict[str, Any]:
    """What the report says of the camera that stands beside the trouble."""
    (found,) = (row for row in told["report"]["devices"] if "10.9.0.10" in row["addresses"])
    row: dict[str, Any] = found
    return row


@pytest.mark.parametrize("trouble", ["tarpit", "flood", "redirect", "descriptors"])
def test_the_camera_is_named_all_the_same(trouble: str) -> None:
    """Beside a tarpit, a flood of answers, a redirect elsewhere, or with 40 descriptors, the verdict is right."""
    told = scanned(trouble)
    assert told["code"] in {0, 4}
    assert (camera(told)["manufacturer"], camera(told)["finding"]) == ("Hikvision", "flagged")
    addresses = {address for row in told["report"]["devices"] for address in row["addresses"]}
    assert "10.8.0.99" not in addresses


def test_a_flood_is_told() -> None:
    """The host that answers thousands of times is named among the problems."""
    problems = scanned("flood")["report"]["problems"]
    assert any(problem["kind"] == "flood" and "10.8.0.20" in problem["where"] for problem in problems)


def test_a_tarpit_is_told() -> None:
    """A host that opens every port and says nothing is left alone, and that is said."""
    told = scanned("tarpit")
    assert "10.8.0.20" in told["report"]["coverage"]["asking"]["left_alone"]


def test_a_link_that_goes_down() -> None:
    """The scan ends with a report that says what was missed, and exits 4."""
    told = scanned("down")
    assert told["code"] == 4
    assert told["report"]["coverage"]["incomplete"] is True


def test_no_route() -> None:
    """Addresses that no route leads to are told as such; what can be reached is named."""
    told = scanned("none", "10.9.0.10 10.200.0.0/28")
    assert told["code"] == 4
    assert camera(told)["manufacturer"] == "Hikvision"
    assert any(problem["kind"] == "not-sent" for problem in told["report"]["problems"])


@pytest.mark.parametrize(
    "targets",
    ["10.9.0.0/24 10.9.0.0/25 10.9.0.10 10.9.0.10", "10.9.0.1 10.9.0.10 10.9.0.255 224.0.0.1"],
    ids=["overlapping", "itself, broadcast, multicast"],
)
def test_odd_targets(targets: str) -> None:
    """Targets that overlap are asked once; the scanner, broadcast and multicast addresses are left out."""
    told = scanned("none", targets)
    assert camera(told)["manufacturer"] == "Hikvision"
    assert told["code"] == 0
    if "224" in targets:
        assert told["report"]["coverage"]["sweep"]["targets"] == 1
        left = json.dumps(told["report"]["coverage"]["sweep"]["left_out"])
        assert all(word in left for word in ("the scanner's own address", "multicast", "broadcast"))

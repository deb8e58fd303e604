"""Tests that groups are asked on the right link, one hop far, in a network namespace of its own."""

from __future__ import annotations

import json
import os
import socket

import pytest

from agent.ask.datagrams import _is_free, _sender, _whose
from agent.wire import Probe
from tests.netns import told_apart

# Two links; what leaves by each is read at its other end.
_SCRIPT = """
import asyncio, json, socket, struct, subprocess, time
for line in (
    "ip link set lo up",
    "ip link add net1 type veth peer name net1-far", "ip link add net2 type veth peer name net2-far",
    "ip link set net1 up", "ip link set net1-far up", "ip link set net2 up", "ip link set net2-far up",
    "ip addr add 10.1.0.1/24 dev net1", "ip addr add 10.2.0.1/24 dev net2",
    "ip -6 addr add fe80::a/64 dev net1 nodad", "ip -6 addr add fe80::b/64 dev net2 nodad",
):
    subprocess.run(line.split(), check=True)

from agent.ask.datagrams import Datagrams
from agent.interfaces import choose, interfaces
from agent.wire import Ask, Probe

# Our own broadcast comes back to us; that it is ours the engine knows by its sender.
def probe(name, groups, reply_port=None):
    return Probe(name, "udp", (37020,), (), None, None, lambda target: (Ask(b"who?" + target.ip.encode()),),
                 groups=groups, reply_port=reply_port)

links = [face for face in interfaces() if face.name in ("net1", "net2")]
heard, problems = [], []
far = {}
for name in ("net1", "net2"):
    far[name] = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    far[name].bind((name + "-far", 3))
    far[name].settimeout(0.2)

def left_by(name):
    seen = set()
    while True:
        try:
            packet, (_, kind, *_) = far[name].recvfrom(2048)
        except TimeoutError:
            return sorted(seen)
        if b"who?" not in packet:
            continue
        if kind == 0x0800:
            source, group, ttl = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), packet[8]
        else:
            source, group, ttl = (socket.inet_ntop(socket.AF_INET6, packet[8:24]),
                                  socket.inet_ntop(socket.AF_INET6, packet[24:40]), packet[7])
        seen.add((source, group, ttl))

def answer(name, source, group):
    # A device's answer to the group, as SADP has it.
    payload = f"from {name}".encode()
    udp = struct.pack("!HHHH", 37020, 37020, 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 1, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(group))
    total = sum(struct.unpack("!10H", head)); total = (total & 0xffff) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + head[12:]
    far[name].sendto(head + udp, (name + "-far", 0x0800, 0, 0, bytes.fromhex("01005e7ffffa")))

async def run():
    datagrams = Datagrams(
        (probe("multi", ("239.255.255.250", "ff02::c"), 37020), probe("broad", ("255.255.255.255",), 5050)),
        links, lambda probe, payload, ip, port: heard.append([probe.name, payload.decode(), ip, port]) if payload[:3] != b"who" else None,
        lambda problem: problems.append(problem.what),
    )
    datagrams.open((4, 6))
    for question in datagrams.group_asks:
        datagrams.send_group(question)
    answer("net1", "10.1.0.7", "239.255.255.250")
    answer("net2", "10.2.0.7", "239.255.255.250")
    await asyncio.sleep(0.2)
    datagrams.close()

asyncio.run(run())
print(json.dumps({"net1": left_by("net1"), "net2": left_by("net2"), "heard": sorted(heard), "problems": problems}))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a network namespace")
def test_groups_on_every_link() -> None:
    """Each link's groups are asked from its own address with TTL 1; answers to the group are heard once."""
    told = json.loads(told_apart(_SCRIPT))
    assert told["problems"] == []
    assert told["net1"] == [
        ["10.1.0.1", "239.255.255.250", 1],
        ["10.1.0.1", "255.255.255.255", 64],
        ["fe80::a", "ff02::c", 1],
    ]
    assert told["net2"] == [
        ["10.2.0.1", "239.255.255.250", 1],
        ["10.2.0.1", "255.255.255.255", 64],
        ["fe80::b", "ff02::c", 1],
    ]
    assert told["heard"] == [
        ["multi", "from net1", "10.1.0.7", 37020],
        ["multi", "from net2", "10.2.0.7", 37020],
    ]


def test_sender_of_a_link_local_datagram() -> None:
    """A link-local sender keeps the link it was heard on; any other address stands alone."""
    index, name = socket.if_nameindex()[0]
    assert _sender(("fe80::7", 3702, 0, index)) == f"fe80::7%{name}"
    assert _sender(("2001:db8::7", 3702, 0, 0)) == "2001:db8::7"
    assert _sender(("192.0.2.7", 3702)) == "192.0.2.7"
    assert _sender(("fe80::7", 3702, 0, 999_999)) == "fe80::7"


def test_a_port_that_another_scan_has_is_not_free() -> None:
    """Even one who would share a port has it; after that it is free again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("", 0))
        port = other.getsockname()[1]
        assert not _is_free(socket.AF_INET, port)
    assert _is_free(socket.AF_INET, port)


def sharer(name: str, port: int, mark: bytes) -> Probe:
    """A protocol without a port of its own for answers, which begin with `mark`."""
    return Probe(name, "udp", (port,), (), lambda payload: payload.startswith(mark), lambda *_: iter(()))


def test_answers_to_a_shared_socket_are_told_apart() -> None:
    """What an answer looks like decides, then the port it came from; what neither knows is nobody's."""
    text, number = sharer("text", 3702, b"<"), sharer("number", 1900, b"\1")
    assert _whose((text, number), b"<x/>", 1900) is text
    assert _whose((text, number), b"\1", 40_000) is number
    assert _whose((text, number), b"broken", 1900) is number
    assert _whose((text, number), b"broken", 40_000) is None

"""Finds hosts by ICMP echo on a datagram socket, which many systems allow without root.

Linux allows it to the groups in ``net.ipv4.ping_group_range`` (icmp(7)), for IPv6 as well;
the kernel fills identifier and checksum, then hands this socket its own answers only.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Final

from agent.dial import socket_address
from agent.pace import Pace
from agent.sweep.alive import Alive, Heard

__all__ = ["ask_echo", "open_echo"]

_ECHO: Final = {4: 8, 6: 128}
_REPLY: Final = {4: 0, 6: 129}
_HEADER: Final = struct.Struct("!BBHHH")
_STAMP: Final = struct.Struct("!8sd")
_BATCH: Final = 64


def open_echo(version: int) -> socket.socket | None:
    """A socket for ICMP echo of this IP version; None where that is not allowed."""
    try:
        if version == 4:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
        else:
            sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6)
    except OSError:
        return None
    sock.settimeout(0)
    return sock


async def ask_echo(
    sock: socket.socket,
    version: int,
    targets: Callable[[], Iterator[str]],
    pace: Pace,
    heard: Heard,
    known: Callable[[str], bool],
    *,
    passes: int = 2,
    wait: float = 0.5,
) -> None:
    """Send an echo to every target that is not `known` yet, in `passes`. Closes nothing."""
    loop = asyncio.get_running_loop()
    token = os.urandom(8)
    loop.add_reader(sock, _receive, sock, version, token, heard)
    try:
        for number in range(passes):
            header = _HEADER.pack(_ECHO[version], 0, 0, 0, number)
            silent = (target for target in targets() if not known(target))
            while batch := list(itertools.islice(silent, pace.batch)):
                await pace.packet_rate(len(batch))
                for target in batch:
                    question = header + _STAMP.pack(token, time.monotonic())
                    try:
                        sock.sendto(question, socket_address(target, 0)[1])
                    except OSError:
                        # No route, or the kernel's buffer is full: TCP asks this host, too.
                        continue
            await asyncio.sleep(wait)
    finally:
        loop.remove_reader(sock)


def _receive(sock: socket.socket, version: int, token: bytes, heard: Heard) -> None:
    for _ in range(_BATCH):
        try:
            packet, address = sock.recvfrom(512)
        except OSError:
            # Nothing more to read, or an error that an earlier echo caused.
            return
        if len(packet) < _HEADER.size + _STAMP.size or packet[0] != _REPLY[version]:
            continue
        echoed, sent = _STAMP.unpack_from(packet, _HEADER.size)
        if echoed == token:
            heard(Alive(str(address[0]), how="icmp", rtt=max(0.0, time.monotonic() - sent)))

"""Finds the IPv6 hosts of a link by one echo to all of them.

Nobody can sweep a /64. A node that answers a multicast echo (RFC 4443, 4.2, lets it) shows its
link-local address; the kernel's table then has its MAC.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import Final

from agent.interfaces import Interface
from agent.pace import Pace
from agent.sweep.alive import Alive, Heard
from agent.sweep.icmp import open_echo

__all__ = ["ask_all_nodes"]

_GROUP: Final = "ff02::1"
_ECHO: Final = struct.Struct("!BBHHH")
_REQUEST, _REPLY = 128, 129
_MOST: Final = 4_096


async def ask_all_nodes(
    interface: Interface, pace: Pace, heard: Heard, *, passes: int = 2, wait: float = 0.5
) -> bool:
    """Ask the link; False where this is not allowed. Addresses are told with their zone."""
    sock = open_echo(6)
    if sock is None:
        return False
    loop = asyncio.get_running_loop()
    token = os.urandom(8)
    told: set[str] = set()

    def receive() -> None:
        for _ in range(64):
            try:
                packet, address = sock.recvfrom(256)
            except OSError:
                return
            if packet[:1] != bytes([_REPLY]) or packet[_ECHO.size :] != token or len(told) >= _MOST:
                continue
            ip = f"{str(address[0]).partition('%')[0]}%{interface.name}"
            if ip not in told:
                told.add(ip)
                heard(Alive(ip, how="all-nodes"))

    with sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface.index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        loop.add_reader(sock, receive)
        try:
            for number in range(passes):
                await pace.packet_rate()
                question = _ECHO.pack(_REQUEST, 0, 0, 0, number) + token
                sock.sendto(question, (_GROUP, 0, 0, interface.index))
                await asyncio.sleep(wait)
        finally:
            loop.remove_reader(sock)
    return True

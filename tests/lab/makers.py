"""Hosts that answer one maker's discovery each, with recorded replies, as one process in one namespace.

    python -m tests.lab.makers FOLDER ROWS.json

A row has the name of the reply's file, the interface that is the host's, its address, the
port asked, the beginning of the question, and where the answer goes: "" to whoever asked, a
port there, or ``*:port`` to everybody. The answer to a multicast group has ``group`` as well.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

__all__ = ["main"]


_LATE: Final = 0.5
"""Seconds after which an answer comes once more."""


class _Host(asyncio.DatagramProtocol):
    def __init__(self, row: dict[str, Any], reply: bytes, out: socket.socket) -> None:
        self._row = row
        self._reply = reply
        self._out = out

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data == self._reply or not data.startswith(bytes.fromhex(self._row["question"])):
            # An answer to everybody comes back to its sender, and may begin as the question does.
            return
        where, asker = str(self._row["answer"]), addr
        if where.startswith("*:"):
            asker = ("255.255.255.255", int(where[2:]) if where[2:] else addr[1])
        elif where:
            asker = (self._row.get("group", addr[0]), int(where))
        # Devices repeat themselves, some of them late.
        self._out.sendto(self._reply, asker)
        self._out.sendto(self._reply, asker)
        asyncio.get_running_loop().call_later(_LATE, self._out.sendto, self._reply, asker)


def _socket(row: dict[str, Any], address: str) -> socket.socket:
    """A socket at the port that is asked, on the interface of its host alone."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, row["interface"].encode())
    sock.settimeout(0)
    sock.bind((address, row["port"]))
    return sock


async def main(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Answer until the process is ended; says ``ready`` once every host listens."""
    loop = asyncio.get_running_loop()
    for row in rows:
        reply = (
            bytes.fromhex(row["reply"]) if "reply" in row else (folder / f"{row['name']}.bin").read_bytes()
        )
        out, listening = _socket(row, row["ip"]), _socket(row, "")
        if "group" in row:
            index = socket.if_nametoindex(row["interface"])
            member = struct.pack("=4s4si", socket.inet_aton(row["group"]), bytes(4), index)
            listening.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
        await loop.create_datagram_endpoint(partial(_Host, row, reply, out), sock=listening)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))

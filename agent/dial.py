"""Opens one TCP connection within a time limit.

Everything that connects goes through `dial`: a full descriptor table makes it wait rather
than call a live host dead.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Final

__all__ = ["dial", "socket_address"]

_SHORTAGE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
_SHORTAGE_TRIES: Final = 20
_SHORTAGE_SECONDS: Final = 0.1


def socket_address(
    ip: str, port: int
) -> tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]:
    """Family and socket address of an IP address; raises OSError for a zone this machine has not."""
    text, _, zone = ip.partition("%")
    if ":" not in text:
        return socket.AF_INET, (text, port)
    return socket.AF_INET6, (text, port, 0, socket.if_nametoindex(zone) if zone else 0)


async def dial(ip: str, port: int, seconds: float) -> socket.socket:
    """A connected, non-blocking socket.

    Raises ConnectionRefusedError for a closed port, TimeoutError when nothing answered
    within `seconds`, another OSError where there is no way to the host. While this process
    or machine is short of descriptors or local ports, it waits and tries again.
    """
    family, address = socket_address(ip, port)
    loop = asyncio.get_running_loop()
    for left in reversed(range(_SHORTAGE_TRIES)):
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            if error.errno not in _SHORTAGE or not left:
                raise
            await asyncio.sleep(_SHORTAGE_SECONDS)
            continue
        try:
            sock.settimeout(0)
            async with asyncio.timeout(seconds):
                await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            if error.errno not in _SHORTAGE or not left:
                raise
            await asyncio.sleep(_SHORTAGE_SECONDS)
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise AssertionError

"""Finds the IPv4 hosts of a link by ARP on a raw socket, which needs CAP_NET_RAW.

Every host of a link answers ARP, whatever it filters (RFC 826). A second pass asks only
those that were silent, because a frame may be lost.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final

from agent.interfaces import Interface
from agent.pace import Pace
from agent.sweep.alive import Alive, Heard

__all__ = ["ask_link", "open_link", "read", "request"]

_ETH_P_ARP: Final = 0x0806
_BROADCAST: Final = b"\xff" * 6
_FRAME: Final = struct.Struct("!6s6sHHHBBH6s4s6s4s")
_ETHERNET_IPV4: Final = (1, 0x0800, 6, 4)
_REQUEST: Final = 1
_LEAST_FRAME: Final = 60
_BATCH: Final = 64
_BUFFER: Final = 1 << 20


def open_link(interface: Interface) -> socket.socket | None:
    """A raw socket for ARP on this link; None where that is not allowed or ARP is not spoken."""
    if not interface.ethernet or interface.mac is None or interface.source(4) is None:
        return None
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ARP))
    except (OSError, AttributeError):
        return None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.bind((interface.name, _ETH_P_ARP))
        sock.settimeout(0)
    except OSError:
        sock.close()
        return None
    return sock


def request(mac: str, ip: str, target: str) -> bytes:
    """The frame that asks the link who has `target`, from the host with `mac` and `ip`."""
    return _frame(bytes.fromhex(mac.replace(":", "")), socket.inet_aton(ip), socket.inet_aton(target))


def _frame(mac: bytes, source: bytes, target: bytes) -> bytes:
    frame = _FRAME.pack(_BROADCAST, mac, _ETH_P_ARP, *_ETHERNET_IPV4, _REQUEST, mac, source, bytes(6), target)
    return frame.ljust(_LEAST_FRAME, b"\0")


def read(frame: bytes) -> tuple[str, str] | None:
    """Address and MAC of the host that sent an ARP frame; None for anything else.

    A request is a sign of life as good as an answer. The MAC is the frame's own source.
    """
    if len(frame) < _FRAME.size:
        return None
    _, mac, kind, *shape, _, _, sender, _, _ = _FRAME.unpack_from(frame)
    if kind != _ETH_P_ARP or tuple(shape) != _ETHERNET_IPV4 or mac[0] & 1 or not any(sender):
        return None
    return socket.inet_ntoa(sender), mac.hex(":")


async def ask_link(
    sock: socket.socket,
    interface: Interface,
    targets: Callable[[], Iterator[str]],
    pace: Pace,
    heard: Heard,
    known: Callable[[str], bool],
    *,
    passes: int = 2,
    wait: float = 0.5,
) -> None:
    """Ask for every target that is not `known` yet, in `passes`; `wait` seconds follow the last.

    `targets` begins anew at every pass, so that no list of them is kept. Closes nothing.
    Raises OSError when the interface goes away.
    """
    loop = asyncio.get_running_loop()
    ask = _asker(interface)
    loop.add_reader(sock, _receive, sock, heard)
    try:
        for number in range(passes):
            silent = (target for target in targets() if not known(target))
            while batch := list(itertools.islice(silent, pace.batch)):
                await pace.packet_rate(len(batch))
                for target in batch:
                    await loop.sock_sendall(sock, ask(target))
            # Who answers later than the next question still is heard; after the last there is no next.
            await asyncio.sleep(wait if number == passes - 1 else wait / 2)
    finally:
        loop.remove_reader(sock)


def _asker(interface: Interface) -> Callable[[str], bytes]:
    """What makes the frame for a target, asked from the address of ours that is in its network."""
    own = [ipaddress.IPv4Interface(text) for text in interface.addresses if ":" not in text]
    nets = [(int(face.network.network_address), int(face.network.netmask), face.ip.packed) for face in own]
    mac = bytes.fromhex((interface.mac or "").replace(":", ""))

    def ask(target: str) -> bytes:
        packed = socket.inet_aton(target)
        number = int.from_bytes(packed)
        source = next(ip for net, mask, ip in nets if number & mask == net)
        return _frame(mac, source, packed)

    return ask


def _receive(sock: socket.socket, heard: Heard) -> None:
    for _ in range(_BATCH):
        try:
            frame, (_, _, packet_type, *_) = sock.recvfrom(256)
        except OSError:
            # Nothing more to read; a link that is down shows in sending.
            return
        found = read(frame) if packet_type != socket.PACKET_OUTGOING else None
        if found is not None:
            heard(Alive(found[0], found[1], "arp"))

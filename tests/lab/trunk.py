"""Stands for a managed switch: carries frames between ports of VLANs and a trunk port with 802.1Q tags.

Kernels without VLAN support can neither tag nor strip tags, so it does both itself. Ports of one VLAN
are hubs to each other.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
from collections.abc import Mapping
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

from tests.lab import namespaces

__all__ = ["Trunk"]

_EVERY_PROTOCOL: Final = 3
_TAG_PROTOCOL: Final = 0x8100
_MACS: Final = 12
_FRAME: Final = 9216
_SOL_PACKET: Final = 263
_AUXDATA: Final = 8
_AUX: Final = struct.Struct("=IIIHHHH")
_TAG_VALID: Final = 1 << 4


class Trunk:
    """A context manager: `ports` of `namespace` with their VLANs, carried to and from the `uplink` port.

    `tags` are the VLANs of the frames that came from the uplink.
    """

    def __init__(self, namespace: str, ports: Mapping[str, int], uplink: str) -> None:
        self._namespace = namespace
        self._ports = ports
        self._uplink = uplink
        self._stop = Event()
        self._stack = contextlib.ExitStack()
        self.tags: set[int | None] = set()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            members: dict[int, list[socket.socket]] = {}
            with namespaces.inside(self._namespace):
                uplink = stack.enter_context(_packets(self._uplink))
                selector.register(uplink, selectors.EVENT_READ, None)
                for port, vlan in self._ports.items():
                    sock = stack.enter_context(_packets(port))
                    selector.register(sock, selectors.EVENT_READ, vlan)
                    members.setdefault(vlan, []).append(sock)
            thread = Thread(target=self._carry, args=(selector, uplink, members))
            thread.start()
            stack.callback(thread.join)
            stack.callback(self._stop.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _carry(
        self,
        selector: selectors.BaseSelector,
        uplink: socket.socket,
        members: Mapping[int, list[socket.socket]],
    ) -> None:
        while not self._stop.is_set():
            for key, _ in selector.select(timeout=0.1):
                port = key.fileobj
                if not isinstance(port, socket.socket):
                    continue
                frame, ancillary, _, sender = port.recvmsg(_FRAME, socket.CMSG_SPACE(_AUX.size))
                if sender[2] == socket.PACKET_OUTGOING:
                    continue
                if port is uplink:
                    vlan = _tag(ancillary)
                    self.tags.add(vlan)
                else:
                    vlan = key.data
                    tag = struct.pack(">HH", _TAG_PROTOCOL, vlan)
                    uplink.send(frame[:_MACS] + tag + frame[_MACS:])
                for member in members.get(vlan if vlan is not None else -1, ()):
                    if member is not port:
                        member.send(frame)


def _tag(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    """The VLAN of a frame, which the kernel tells beside it."""
    for level, kind, value in ancillary:
        if level == _SOL_PACKET and kind == _AUXDATA:
            status, _, _, _, _, tag, _ = _AUX.unpack_from(value)
            if status & _TAG_VALID:
                return int(tag) & 0x0FFF
    return None


def _packets(port: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL))
    sock.setsockopt(_SOL_PACKET, _AUXDATA, 1)
    sock.bind((port, _EVERY_PROTOCOL))
    return sock

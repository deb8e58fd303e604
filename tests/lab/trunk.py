"""Carries what devices say onto a trunk port, each frame with its port's 802.1Q tag.

It stands for a managed switch, one way only: kernels without VLAN support cannot tag.
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


class Trunk:
    """A context manager: `ports` of `namespace` with their VLANs, carried to the `uplink` port."""

    def __init__(self, namespace: str, ports: Mapping[str, int], uplink: str) -> None:
        self._namespace = namespace
        self._ports = ports
        self._uplink = uplink
        self._stop = Event()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            with namespaces.inside(self._namespace):
                uplink = stack.enter_context(_packets(self._uplink))
                for port, vlan in self._ports.items():
                    selector.register(stack.enter_context(_packets(port)), selectors.EVENT_READ, vlan)
            thread = Thread(target=self._carry, args=(selector, uplink))
            thread.start()
            stack.callback(thread.join)
            stack.callback(self._stop.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _carry(self, selector: selectors.BaseSelector, uplink: socket.socket) -> None:
        while not self._stop.is_set():
            for key, _ in selector.select(timeout=0.1):
                port = key.fileobj
                if not isinstance(port, socket.socket):
                    continue
                frame, sender = port.recvfrom(_FRAME)
                if sender[2] != socket.PACKET_OUTGOING:
                    tag = struct.pack(">HH", _TAG_PROTOCOL, key.data)
                    uplink.send(frame[:_MACS] + tag + frame[_MACS:])


def _packets(port: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL))
    sock.bind((port, _EVERY_PROTOCOL))
    return sock

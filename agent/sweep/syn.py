"""Finds IPv4 hosts behind routers by TCP SYNs from a raw socket, which needs CAP_NET_RAW.

No state is kept for what was sent: the sequence number is a keyed digest of address and port,
and an answer counts only if it acknowledges that number. A refusal (RST) is life as much as
an open port. Nothing is opened: to a SYN-ACK that it did not ask for, the kernel answers with
a reset by itself (RFC 9293, 3.10.7.1).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import hashlib
import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Self

from agent.pace import Pace
from agent.sweep.alive import Alive, Heard

__all__ = ["SynSweep", "read", "segment"]

_SO_ATTACH_FILTER: Final = 26
_SO_RCVBUFFORCE: Final = 33
_BUFFER: Final = 16 << 20
_LEAST_BUFFER: Final = 1 << 20
_BATCH: Final = 512
_SYN, _RST, _ACK = 0x02, 0x04, 0x10
_FRAME: Final = struct.Struct("!BBHHHBBH4s4sHHIIBBHHHBBH")
_PSEUDO: Final = struct.Struct("!HHHHHHHH")
_ADDRESS: Final = struct.Struct("=H2sI8x")
_MSS: Final = 1460
_WINDOW: Final = 64_240
_LAST_WAIT: Final = 1.05
"""A SYN-ACK that was lost is sent again after a second (RFC 6298): the last pass waits for it."""
_GLANCE: Final = 0.1
_LINES: Final = 256

Mark = tuple[int, int]
"""How far a sweep has come: the round, with the number of targets taken in it."""


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("parts", ctypes.c_void_p),
        ("part_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


class _Outbox:
    """Packets laid out for sendmmsg(2), so that hundreds leave in one system call."""

    def __init__(self, sock: socket.socket, key: bytes, port: int) -> None:
        self._descriptor = sock.fileno()
        self._key = key
        self._port = port
        self._libc: Any = ctypes.CDLL(None, use_errno=True)
        self._frames = ctypes.create_string_buffer(_FRAME.size * _BATCH)
        self._addresses = ctypes.create_string_buffer(_ADDRESS.size * _BATCH)
        self._parts = (_Iovec * _BATCH)()
        self._messages = (_Message * _BATCH)()
        frames, addresses = ctypes.addressof(self._frames), ctypes.addressof(self._addresses)
        for at in range(_BATCH):
            self._parts[at] = _Iovec(frames + at * _FRAME.size, _FRAME.size)
            part = ctypes.addressof(self._parts) + at * ctypes.sizeof(_Iovec)
            self._messages[at].header = _Header(
                addresses + at * _ADDRESS.size, _ADDRESS.size, part, 1, None, 0, 0
            )
        self.count = 0

    def add(self, source: bytes, target: int, port: int) -> None:
        """Lay one SYN out."""
        at, self.count = self.count, self.count + 1
        packed = target.to_bytes(4)
        sequence = cookie(self._key, packed, port)
        segment_into(self._frames, at * _FRAME.size, source, packed, (self._port, port), sequence)
        _ADDRESS.pack_into(
            self._addresses, at * _ADDRESS.size, socket.AF_INET, b"", int.from_bytes(packed, "little")
        )

    async def flush(self) -> tuple[int, OSError | None]:
        """Send what is laid out: how many could not be sent, with the last reason."""
        sent = failed = 0
        reason: OSError | None = None
        size = ctypes.sizeof(_Message)
        while sent < self.count:
            pointer = ctypes.byref(self._messages, sent * size)
            done = self._libc.sendmmsg(self._descriptor, pointer, self.count - sent, socket.MSG_DONTWAIT)
            if done > 0:
                sent += done
                continue
            number = ctypes.get_errno()
            if number in _BUSY:
                await asyncio.sleep(0.001)
                continue
            # This one cannot be sent (no route to it, or a rule against it): the others can.
            reason = OSError(number, os.strerror(number))
            failed, sent = failed + 1, sent + 1
        self.count = 0
        return failed, reason


_BUSY: Final = frozenset({11, 105, 12, 4})  # EAGAIN, ENOBUFS, ENOMEM, EINTR


def cookie(key: bytes, target: bytes, port: int) -> int:
    """The sequence number of the SYN to `port` of `target` (four bytes)."""
    return int.from_bytes(hashlib.blake2b(target + port.to_bytes(2), digest_size=4, key=key).digest())


def segment_into(
    buffer: Any, offset: int, source: bytes, target: bytes, ports: tuple[int, int], sequence: int
) -> None:
    """Write an IPv4 packet with a SYN (RFC 9293) into `buffer`; the kernel fills the header's checksum."""
    words = (*struct.unpack("!HH", source), *struct.unpack("!HH", target), *ports)
    # Pseudo header's protocol and length, offset with SYN, window, the option that names our MSS.
    total = sum(words) + 6 + 24 + (sequence >> 16) + (sequence & 0xFFFF) + 0x6002 + _WINDOW + 0x0204 + _MSS
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    _FRAME.pack_into(
        buffer, offset,
        0x45, 0, _FRAME.size, 0, 0x4000, 64, socket.IPPROTO_TCP, 0, source, target,
        *ports, sequence, 0, 0x60, _SYN, _WINDOW, total ^ 0xFFFF, 0, 2, 4, _MSS,
    )  # fmt: skip


def segment(source: str, target: str, ports: tuple[int, int], sequence: int) -> bytes:
    """One such packet; its IP checksum and identification are left to the kernel."""
    buffer = bytearray(_FRAME.size)
    packed = ipaddress.IPv4Address(source).packed, ipaddress.IPv4Address(target).packed
    segment_into(buffer, 0, *packed, ports, sequence)
    return bytes(buffer)


def read(packet: bytes, key: bytes, port: int) -> int | None:
    """Whose answer to a SYN of ours an IPv4 packet is (its source as an integer); None if it is none."""
    if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
        return None
    at = (packet[0] & 0x0F) * 4
    if at < 20 or len(packet) < at + 20:
        return None
    source_port, target_port, _, acknowledged = struct.unpack_from("!HHII", packet, at)
    flags = packet[at + 13]
    if target_port != port or not (flags & _RST or flags & (_SYN | _ACK) == _SYN | _ACK):
        return None
    if (acknowledged - 1) & 0xFFFFFFFF != cookie(key, packet[12:16], source_port):
        return None
    return int.from_bytes(packet[12:16])


class SynSweep:
    """The sockets of one sweep; a context manager. Raises OSError where raw sockets are not allowed."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._key = os.urandom(16)
        self._sources: dict[int, bytes] = {}
        try:
            self._out = self._stack.enter_context(
                socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
            )
            self._in = self._stack.enter_context(
                socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
            )
            # A port that is bound and never listens is nobody else's, and the kernel refuses what comes to it.
            held = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            held.bind(("", 0))
            self._asking = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self._port = int(held.getsockname()[1])
            _only_answers(self._in, self._port)
            self._in.settimeout(0)
        except BaseException:
            self._stack.close()
            raise
        self.unsendable = 0
        self.reason: OSError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    async def ask(
        self,
        targets: Callable[[], Iterator[int]],
        pace: Pace,
        heard: Heard,
        known: Callable[[int], bool],
        *,
        ports: Sequence[int],
        passes: int,
        marked: Callable[[Mark], None] = lambda _: None,
        start: Mark = (0, 0),
    ) -> None:
        """Ask each target (IPv4 as an integer) not `known` yet: a port a round, all ports a pass.

        `targets` begins anew at every round. `marked` is told how far it has come; a sweep that
        begins at such a mark leaves out what was asked before it.
        """
        outbox = _Outbox(self._out, self._key, self._port)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._in, self._receive, heard)
        rounds = [port for _ in range(passes) for port in ports]
        try:
            for number, port in enumerate(rounds):
                if number < start[0]:
                    continue
                skip = start[1] if number == start[0] else 0
                await self._round(targets(), port, (number, skip), outbox, pace, known, marked)
                last = number == len(rounds) - 1
                whole_pass = (number + 1) % len(ports) == 0
                await asyncio.sleep(_LAST_WAIT if last else _LAST_WAIT / 2 if whole_pass else _GLANCE)
            marked((len(rounds), 0))
        finally:
            loop.remove_reader(self._in)

    async def _round(
        self,
        targets: Iterator[int],
        port: int,
        start: Mark,
        outbox: _Outbox,
        pace: Pace,
        known: Callable[[int], bool],
        marked: Callable[[Mark], None],
    ) -> None:
        taken = 0
        batch = min(pace.batch, _BATCH)
        for target in targets:
            taken += 1
            if taken <= start[1] or known(target):
                continue
            source = self._source(target)
            if source is None:
                self.unsendable += 1
                continue
            outbox.add(source, target, port)
            if outbox.count >= batch:
                await self._flush(outbox, pace)
                marked((start[0], taken))
        if outbox.count:
            await self._flush(outbox, pace)
        marked((start[0], taken))

    async def _flush(self, outbox: _Outbox, pace: Pace) -> None:
        await pace.packet_rate(outbox.count)
        failed, reason = await outbox.flush()
        self.unsendable += failed
        self.reason = reason or self.reason

    def _source(self, target: int) -> bytes | None:
        """The address of ours that the kernel would send from, asked once for each /24."""
        block = target >> 8
        found = self._sources.get(block)
        if found is None:
            try:
                self._asking.connect((socket.inet_ntoa(target.to_bytes(4)), 9))
                found = socket.inet_aton(self._asking.getsockname()[0])
            except OSError as error:
                self.reason = error
                found = b""
            if len(self._sources) >= _LINES * _LINES:
                self._sources.clear()
            self._sources[block] = found
        return found or None

    def _receive(self, heard: Heard) -> None:
        for _ in range(_BATCH):
            try:
                packet = self._in.recv(128)
            except OSError:
                return
            found = read(packet, self._key, self._port)
            if found is not None:
                heard(Alive(socket.inet_ntoa(found.to_bytes(4)), how="syn"))


def _only_answers(sock: socket.socket, port: int) -> None:
    """Have the kernel drop whatever is no answer to `port`, and keep what comes in a burst."""
    program = (
        (0xB1, 0, 0, 0),  # X = length of the IP header
        (0x48, 0, 0, 2),  # A = target port
        (0x15, 0, 5, port),
        (0x50, 0, 0, 13),  # A = flags
        (0x45, 2, 0, _RST),
        (0x54, 0, 0, _SYN | _ACK),
        (0x15, 0, 1, _SYN | _ACK),
        (0x06, 0, 0, 128),
        (0x06, 0, 0, 0),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    sock.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code))
    )
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LEAST_BUFFER)

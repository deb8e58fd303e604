"""Takes frames from a network interface for as long as wanted.

On Linux each interface has a packet socket (packet(7)) in promiscuous mode, with a large receive
buffer. While the link is quiet everything is taken; on a busy one the kernel chooses, by the
filter that is derived from the protocols (`agent.capture.filter`), with the connections of which
more is wanted patched in. The kernel takes VLAN tags out of frames: they come beside them and
are put back. An interface that goes away is waited for.
"""

from __future__ import annotations

import ctypes
import errno
import os
import queue
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from agent.capture.bpf import ACCEPT, INSTRUCTION
from agent.capture.filter import Program, expression, program
from agent.capture.reading import Reading
from agent.capture.savefile import Frame
from agent.capture.streams import MAX_HUNGRY
from agent.wire import Message, Probe
from fingerprints.model import Problem

__all__ = ["MAX_HOSTS", "Live", "LiveByScapy", "LiveError"]

MAX_HOSTS: Final = 16_384
"""Hosts that weeks of listening remember: phones that change their MAC would fill any table."""
_BUFFER: Final = 64 * 1024 * 1024
_BATCH: Final = 256
_LONGEST: Final = 1 << 17
"""Cards put segments together: what comes up may be longer than what was on the wire."""
_BURST: Final = 512
"""Frames that come one after another without a pause: then the link is busy."""
_QUIET: Final = 1_000.0
_BUSY: Final = 2_000.0
"""Frames in a second below which all is taken, and above which the kernel chooses."""
_MAX_WAITING: Final = 65_536
_START_SECONDS: Final = 5.0
_PATCH_SECONDS: Final = 0.005
"""A new filter costs the kernel 0.2 ms: it is given one at most this often."""

# if_packet.h, if_arp.h, asm-generic/socket.h
_SOL_PACKET: Final = 263
_ADD_MEMBERSHIP: Final = 1
_STATISTICS: Final = 6
_AUXDATA: Final = 8
_PROMISCUOUS: Final = 1
_SO_RCVBUFFORCE: Final = 33
_SO_ATTACH_FILTER: Final = 26
_SO_TIMESTAMPNS: Final = 35
_EVERY_PROTOCOL: Final = 3
_TAG_VALID: Final = 1 << 4
_TAG_TYPE_VALID: Final = 1 << 6
_LINK_TYPES: Final = {1: 1, 772: 1, 801: 105, 803: 127}
_RAW_IP: Final = 101
_AUX: Final = struct.Struct("=IIIHHHH")
_TIME: Final = struct.Struct("=qq")
_ANCILLARY: Final = socket.CMSG_SPACE(_AUX.size) + socket.CMSG_SPACE(_TIME.size)
_GONE: Final = frozenset({errno.ENETDOWN, errno.ENODEV, errno.ENXIO})


class LiveError(OSError):
    """Listening is not possible here: the text says why, with the way to mend it."""


class Live:
    """One interface that is listened to; `take` what came, `heed` it about once a second.

    Raises LiveError where packets may not be captured, OSError for an interface that is not
    there. Not for several threads: whoever listens waits on `fileno`.
    """

    def __init__(self, name: str, probes: Sequence[Probe], problem: Callable[[Problem], None]) -> None:
        self.name = name
        self.reading = Reading(probes, name, max_hosts=MAX_HOSTS)
        self.dropped = 0
        self.lost = 0
        self._probes = tuple(probes)
        self._problem = problem
        self._programs: dict[int, Program | None] = {}
        self._buffer = bytearray(_LONGEST)
        self._sock: socket.socket | None = None
        self._index = 0
        self._link_type = 1
        self._busy = True
        self._changes = -1
        self._patched = 0.0
        self._in_a_row = 0
        self._counted: tuple[float, int] | None = None
        self._open()

    def fileno(self) -> int:
        """What to wait on; -1 while the interface is away."""
        return self._sock.fileno() if self._sock is not None else -1

    def take(self) -> Iterator[tuple[Frame, list[Message]]]:
        """The frames that wait now, some hundreds at most, each with what it says."""
        for number in range(_BATCH):
            frame = self._frame()
            if frame is None:
                self._in_a_row = 0
                break
            self._in_a_row += 1
            yield frame, list(self.reading.frame(frame))
            if self._busy and number % 16 == 15:
                self._patch()
        if self._in_a_row >= _BURST and not self._busy:
            self._choose(busy=True)
        self._patch()

    def heed(self) -> None:
        """Look after the interface: is it still there, how busy is it, what was dropped."""
        if self._sock is None or _index(self.name) != self._index:
            self._reopen()
        if self._sock is None:
            return
        # The kernel counts both anew each time it is asked.
        _, dropped = struct.unpack("=II", self._sock.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        if dropped:
            self.dropped += dropped
            self._problem(
                Problem(self.name, "frames came faster than they were read: some are lost", "dropped")
            )
        now, frames = time.monotonic(), _frames_received(self.name)
        if self._counted is not None and now > self._counted[0]:
            rate = (frames - self._counted[1]) / (now - self._counted[0])
            if self._busy and rate < _QUIET:
                self._choose(busy=False)
            elif not self._busy and rate > _BUSY:
                self._choose(busy=True)
        self._counted = (now, frames)

    def close(self) -> Iterator[Message]:
        """Stop listening; what was not finished."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        yield from self.reading.close()

    def to_json(self) -> dict[str, Any]:
        """The part of a report's coverage that tells of this interface."""
        return _told(self.reading, self.dropped, self.lost)

    def _open(self) -> None:
        sock = _packet_socket()
        try:
            # Nothing passes until the socket is bound to one interface and has its filter.
            _attach(sock, INSTRUCTION.pack(0x06, 0, 0, 0))
            _grow(sock)
            sock.setsockopt(_SOL_PACKET, _AUXDATA, 1)
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            sock.bind((self.name, _EVERY_PROTOCOL))
            self._index = socket.if_nametoindex(self.name)
            sock.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, struct.pack("=iHH8x", self._index, _PROMISCUOUS, 0))
            _raise_pending(sock, self.name)
            self._link_type = _LINK_TYPES.get(sock.getsockname()[3], _RAW_IP)
            sock.settimeout(0)
        except BaseException:
            sock.close()
            raise
        self._sock = sock
        self._counted = None
        self._choose(busy=True)

    def _reopen(self) -> None:
        """Wait for an interface that is away; take it up again once it is back, perhaps as a new one."""
        if self._sock is not None:
            self._lose("went away")
        try:
            self._open()
        except OSError:
            return
        self._problem(Problem(self.name, "came back: what was said meanwhile is not known", "interface"))

    def _lose(self, what: str) -> None:
        self.lost += 1
        self._problem(Problem(self.name, f"{what} while it was listened to", "interface"))
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _frame(self) -> Frame | None:
        """The next frame that waits."""
        if self._sock is None:
            return None
        try:
            size, ancillary, _, _ = self._sock.recvmsg_into([self._buffer], _ANCILLARY)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno not in _GONE:
                raise
            # Told once, when it goes down; if it is still there, it may come up again by itself.
            self._lose("went down" if _index(self.name) == self._index else "went away")
            return None
        data = bytes(memoryview(self._buffer)[:size])
        length, at = size, None
        for level, kind, value in ancillary:
            if level == _SOL_PACKET and kind == _AUXDATA and len(value) >= _AUX.size:
                status, length, _, _, _, tag, tag_type = _AUX.unpack_from(value)
                if status & _TAG_VALID:
                    kind_of_tag = tag_type if status & _TAG_TYPE_VALID else 0x8100
                    data = data[:12] + struct.pack("!HH", kind_of_tag, tag) + data[12:]
                    length += 4
            elif level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIME.unpack_from(value)
                at = seconds + nanoseconds * 1e-9
        return Frame(at, self._link_type, data, length, 0, 0)

    def _choose(self, *, busy: bool) -> None:
        """Have the kernel choose (on a busy link), or take everything."""
        self._busy = busy
        self._in_a_row = 0
        self._changes = -1
        if busy:
            self._patch(at_once=True)
        elif self._sock is not None:
            _attach(self._sock, INSTRUCTION.pack(0x06, 0, 0, ACCEPT))
        self.reading.stats.filtered |= busy

    def _patch(self, *, at_once: bool = False) -> None:
        """Tell the kernel of which connections more is wanted."""
        streams = self.reading.streams
        if not self._busy or streams.changes == self._changes or self._sock is None:
            return
        now = time.monotonic()
        if not at_once and now < self._patched + _PATCH_SECONDS:
            return
        if self._link_type not in self._programs:
            self._programs[self._link_type] = program(self._probes, self._link_type, MAX_HUNGRY)
        chosen = self._programs[self._link_type]
        everything = INSTRUCTION.pack(0x06, 0, 0, ACCEPT)
        _attach(self._sock, everything if chosen is None else chosen.hungry(streams.hungry))
        self._changes, self._patched = streams.changes, now


class LiveByScapy:
    """One interface, listened to by way of scapy with libpcap or npcap, where there are no packet sockets.

    What goes on behind the beginning of a message is not waited for: the filter has no memory.
    Raises LiveError where the interface cannot be listened to.
    """

    def __init__(self, name: str, probes: Sequence[Probe], problem: Callable[[Problem], None]) -> None:
        # Scapy takes most of a second to load, and only other systems need it.
        from scapy.config import conf  # noqa: PLC0415 - as said
        from scapy.layers import inet, l2  # noqa: F401, PLC0415 - they make frames known to scapy
        from scapy.sendrecv import AsyncSniffer  # noqa: PLC0415 - as said

        self.name = name
        self.reading = Reading(probes, name, max_hosts=MAX_HOSTS)
        self.reading.stats.filtered = True
        self.dropped = 0
        self.lost = 0
        self._problem = problem
        self._numbers = conf.l2types.layer2num
        self._waiting: queue.Queue[Frame] = queue.Queue(_MAX_WAITING)
        begun = threading.Event()
        self._sniffer = AsyncSniffer(
            iface=name, store=False, prn=self._put, filter=expression(probes), started_callback=begun.set
        )
        self._sniffer.start()
        end = time.monotonic() + _START_SECONDS
        while self._listens() and not begun.wait(0.05) and time.monotonic() < end:
            pass
        if not self._listens():
            why = self._sniffer.exception or "no reason given"
            raise LiveError(errno.EPERM, f"{name} cannot be listened to: {why}")

    def fileno(self) -> int:
        """There is nothing to wait on."""
        return -1

    def take(self) -> Iterator[tuple[Frame, list[Message]]]:
        """The frames that wait now, some hundreds at most, each with what it says."""
        for _ in range(_BATCH):
            try:
                frame = self._waiting.get_nowait()
            except queue.Empty:
                return
            yield frame, list(self.reading.frame(frame))

    def heed(self) -> None:
        """Tell if listening has ended by itself."""
        if not self.lost and not self._listens():
            self.lost = 1
            self._problem(Problem(self.name, "went away while it was listened to", "interface"))

    def close(self) -> Iterator[Message]:
        """Stop listening; what was not finished."""
        if self._sniffer.running:
            self._sniffer.stop()
        yield from self.reading.close()

    def to_json(self) -> dict[str, Any]:
        """The part of a report's coverage that tells of this interface."""
        return _told(self.reading, self.dropped, self.lost)

    def _listens(self) -> bool:
        thread = self._sniffer.thread
        return thread is not None and thread.is_alive()

    def _put(self, packet: Any) -> None:
        data = bytes(packet.original or bytes(packet))
        number = self._numbers.get(type(packet), 1)
        link_type = _RAW_IP if number in {12, 14} else number
        try:
            self._waiting.put_nowait(
                Frame(float(packet.time), link_type, data, packet.wirelen or len(data), 0, 0)
            )
        except queue.Full:
            self.dropped += 1


def _told(reading: Reading, dropped: int, lost: int) -> dict[str, Any]:
    return {**reading.settle().to_json(), "frames_dropped": dropped, "times_lost": lost}


def _packet_socket() -> socket.socket:
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError:
        python = Path(sys.executable).resolve()
        raise LiveError(
            errno.EPERM,
            "listening needs the right to capture packets: run it with sudo, or give the right to the "
            f"interpreter once: sudo setcap cap_net_raw,cap_net_admin=eip {python}",
        ) from None


def _grow(sock: socket.socket) -> None:
    """A receive buffer that holds a burst: as large as wished, or as allowed."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)


def _raise_pending(sock: socket.socket, name: str) -> None:
    """A socket that is bound to an interface which is down says so only later."""
    if number := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(number, os.strerror(number), name)


def _attach(sock: socket.socket, code: bytes) -> None:
    instructions = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("@HP", len(code) // INSTRUCTION.size, ctypes.addressof(instructions))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def _frames_received(name: str) -> int:
    """How many frames the interface has received since it is there (proc_net_dev)."""
    for line in Path("/proc/net/dev").read_text(encoding="ascii", errors="replace").splitlines():
        face, _, counters = line.partition(":")
        if face.strip() == name:
            return int(counters.split()[1])
    return 0

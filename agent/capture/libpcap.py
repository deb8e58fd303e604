"""Reads capture files through libpcap, filtered, where libpcap is installed.

libpcap reads through stdio with a buffer of 4 KiB; it is given one of 256 KiB, which makes it
about twice as quick. Frame numbers are not known this way, because the filter does not count
what it drops.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from agent.capture.bpf import INSTRUCTION
from agent.capture.savefile import MAX_FRAME, Frame

__all__ = ["Broken", "LibpcapMissing", "Savefile", "Window", "available", "has_streams"]

_BUFFER: Final = 1 << 18
_WINDOW_BUFFER: Final = 1 << 20
"""Each filling of it calls Python, which waits for the other threads; a larger one leaves the processor's cache."""
_FRAMES_AT_ONCE: Final = 2_048
_MOST_AT_ONCE: Final = 4 * 1024 * 1024
_ERROR_SIZE: Final = 256
_NANOSECONDS: Final = 1
_BROKEN_OFF: Final = -2
_NARROW, _WIDE = (1 << 32) - 1, (1 << 64) - 1
_HEADER: Final = struct.Struct("@llII")
_RAW_IP: Final = {12: 101, 14: 101}
"""libpcap's own numbers for link types that files number otherwise."""

Take = Callable[[Frame], bool]
"""Given each frame; True ends the reading for now."""


class LibpcapMissing(Exception):  # noqa: N818 - a reason to go another way, not a fault
    """libpcap is not here, or cannot read this file; the plain reader can."""


class Broken(Exception):  # noqa: N818 - where to go on in another way
    """libpcap cannot go on: what stands before byte `offset` of the file was read."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(what)
        self.what = what
        self.offset = offset


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


_READ: Final = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_SEEK: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64), ctypes.c_int)
_WRITE: Final = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_HANDLER: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class _Cookie(ctypes.Structure):
    _fields_ = (("read", _READ), ("write", _WRITE), ("seek", _SEEK), ("close", ctypes.c_void_p))


@lru_cache(maxsize=1)
def _libraries() -> tuple[Any, Any] | None:
    """Both libraries, libpcap first, with the types of what is called; None where one is missing."""
    for name in ("libpcap.so.0.8", "libpcap.so.1", None):
        try:
            pcap = ctypes.CDLL(name) if name else _searched()
        except OSError:
            continue
        if pcap is not None:
            break
    else:
        return None
    if pcap is None:
        return None
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    try:
        libc = ctypes.PyDLL(None)
        for library, function, result, arguments in (
            (libc, "fopen", pointer, (ctypes.c_char_p, ctypes.c_char_p)),
            (libc, "fclose", ctypes.c_int, (pointer,)),
            (libc, "setvbuf", ctypes.c_int, (pointer, pointer, ctypes.c_int, size)),
            (libc, "ftell", ctypes.c_long, (pointer,)),
            (libc, "clearerr", None, (pointer,)),
            (
                pcap,
                "pcap_fopen_offline_with_tstamp_precision",
                pointer,
                (pointer, ctypes.c_uint, ctypes.c_char_p),
            ),
            (pcap, "pcap_datalink", ctypes.c_int, (pointer,)),
            (pcap, "pcap_major_version", ctypes.c_int, (pointer,)),
            (pcap, "pcap_setfilter", ctypes.c_int, (pointer, pointer)),
            (pcap, "pcap_loop", ctypes.c_int, (pointer, ctypes.c_int, _HANDLER, pointer)),
            (pcap, "pcap_dispatch", ctypes.c_int, (pointer, ctypes.c_int, pointer, pointer)),
            (pcap, "pcap_dump_fopen", pointer, (pointer, pointer)),
            (pcap, "pcap_dump_flush", ctypes.c_int, (pointer,)),
            (pcap, "pcap_dump_close", None, (pointer,)),
            (pcap, "pcap_breakloop", None, (pointer,)),
            (pcap, "pcap_geterr", ctypes.c_char_p, (pointer,)),
            (pcap, "pcap_close", None, (pointer,)),
        ):
            found = getattr(library, function)
            found.restype, found.argtypes = result, arguments
    except (OSError, AttributeError, TypeError):
        # TypeError: a system without one C library for all.
        return None
    return pcap, libc


def _searched() -> Any:
    """The library under its name on this system; None where there is none."""
    import ctypes.util  # noqa: PLC0415 - it starts other programs, so it is asked last

    name = ctypes.util.find_library("pcap")
    return ctypes.CDLL(name) if name else None


def available() -> bool:
    """Whether libpcap can be used here."""
    return _libraries() is not None


def has_streams() -> bool:
    """Whether libpcap can be given streams of our own, which `Window` and `Savefile.read_many` need."""
    libraries = _libraries()
    return libraries is not None and _opener(libraries[1]) is not None


def _opener(libc: Any) -> Any:
    """What opens a stream of our own: not every C library has it."""
    return getattr(libc, "fopencookie", None)


class Window:
    """A part of a file as a stream for libpcap: `head`, then the bytes from `at` to `end`.

    `end` may be moved on later, and `at` anywhere; see `Savefile.go_on`.
    """

    def __init__(self, path: Path, head: bytes, at: int, end: int) -> None:
        self._file = os.open(path, os.O_RDONLY)
        self._head = head
        self.at = at
        self.end = end
        self.cookie = _Cookie(_READ(self._read), _WRITE(), _SEEK(self._seek), None)

    def _read(self, _: int, buffer: int, size: int) -> int:
        if self._head:
            part, self._head = self._head[:size], self._head[size:]
            ctypes.memmove(buffer, part, len(part))
            return len(part)
        size = min(size, self.end - self.at)
        if size <= 0:
            return 0
        try:
            got = os.preadv(self._file, [(ctypes.c_char * size).from_address(buffer)], self.at)
        except OSError:
            return -1
        self.at += got
        return got

    def _seek(self, _: int, place: Any, whence: int) -> int:
        """Only tells where it is: the C library asks for that to answer ftell."""
        if whence != os.SEEK_CUR or place[0]:
            return -1
        place[0] = self.at
        return 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class Savefile:
    """One capture file, or a `Window` on one, open in libpcap.

    Raises LibpcapMissing where libpcap is missing or refuses the file.
    """

    def __init__(self, source: Path | Window) -> None:
        libraries = _libraries()
        if libraries is None:
            raise LibpcapMissing("libpcap is not installed")
        self._pcap, self._libc = libraries
        if isinstance(source, Path):
            self._stream = self._libc.fopen(os.fsencode(source), b"rb")
        else:
            self._stream = self._open(b"rb", source.cookie)
        if not self._stream:
            raise LibpcapMissing("cannot be opened")
        # The buffer and the window must live as long as the stream.
        size = _BUFFER if isinstance(source, Path) else _WINDOW_BUFFER
        self._kept = (source, ctypes.create_string_buffer(size))
        self._libc.setvbuf(self._stream, self._kept[1], 0, size)
        error = ctypes.create_string_buffer(_ERROR_SIZE)
        self._handle = self._pcap.pcap_fopen_offline_with_tstamp_precision(self._stream, _NANOSECONDS, error)
        if not self._handle:
            self._libc.fclose(self._stream)
            raise LibpcapMissing(error.value.decode("utf-8", "replace"))
        number = int(self._pcap.pcap_datalink(self._handle))
        self.link_type = _RAW_IP.get(number, number)
        self._after = self._tell()
        # pcap counts seconds in 32 bits without a sign, which libpcap takes for one; pcapng has 64.
        self._mask = _WIDE if self._pcap.pcap_major_version(self._handle) == 1 else _NARROW
        self._failure: BaseException | None = None

    def set_filter(self, code: bytes) -> None:
        """Let only those frames pass that these instructions accept."""
        instructions = ctypes.create_string_buffer(code, len(code))
        program = _Program(len(code) // INSTRUCTION.size, ctypes.addressof(instructions))
        if self._pcap.pcap_setfilter(self._handle, ctypes.byref(program)) != 0:
            raise LibpcapMissing(self._error())

    def read(self, take: Take) -> bool:
        """Give frames to `take` until it says True; False when there are no more.

        Raises Broken where the file breaks, and whatever `take` raises.
        """
        string_at, unpack, size = ctypes.string_at, _HEADER.unpack, _HEADER.size
        link_type, mask = self.link_type, self._mask

        def handle(_: int, header: int, data: int) -> None:
            try:
                seconds, fraction, captured, length = unpack(string_at(header, size))
                if captured > MAX_FRAME:
                    self._pcap.pcap_breakloop(self._handle)
                    self._failure = Broken("an absurd length", self._after)
                    return
                # A clock that stands at zero is none.
                at = (seconds & mask) + fraction / 1e9 if seconds or fraction else None
                if take(Frame(at, link_type, string_at(data, captured), length, 0, 0)):
                    self._pcap.pcap_breakloop(self._handle)
                self._after = self._tell()
            except BaseException as error:  # noqa: BLE001 - it must not pass through C; it is raised below
                self._failure = error
                self._pcap.pcap_breakloop(self._handle)

        result = self._pcap.pcap_loop(self._handle, -1, _HANDLER(handle), None)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if result == _BROKEN_OFF:
            return True
        if result != 0:
            raise Broken(self._error(), self._after)
        return False

    def read_many(self, take: Callable[[bytes], bool]) -> bool:
        """Give `take` many frames at a time, as `Bulk.take` has them, until it says True; False at the end.

        Python is called once for 256 KiB rather than once for each frame, which costs 3 microseconds.
        Raises Broken with the place up to which frames were given; and whatever `take` raises.
        """
        parts: list[bytes] = []

        def keep(_: int, data: int, size: int) -> int:
            parts.append(ctypes.string_at(data, size))
            if len(parts) * _BUFFER > _MOST_AT_ONCE:
                self._pcap.pcap_breakloop(self._handle)
            return size

        cookie = _Cookie(_READ(), _WRITE(keep), _SEEK(), None)
        stream = self._open(b"wb", cookie)
        buffer = ctypes.create_string_buffer(_BUFFER)
        self._libc.setvbuf(stream, buffer, 0, _BUFFER)
        dumper = self._pcap.pcap_dump_fopen(self._handle, stream)
        try:
            # A file begins with its own header, which says nothing new.
            self._pcap.pcap_dump_flush(dumper)
            parts.clear()
            write = ctypes.cast(self._pcap.pcap_dump, ctypes.c_void_p)
            while True:
                count = self._pcap.pcap_dispatch(self._handle, _FRAMES_AT_ONCE, write, dumper)
                if count == -1:
                    # How many of these frames came before the break is not known: they are read again.
                    raise Broken(self._error(), self._after)
                self._pcap.pcap_dump_flush(dumper)
                self._after = self._tell()
                if not count:
                    return False
                records = b"".join(parts)
                parts.clear()
                if take(records):
                    return True
        finally:
            self._pcap.pcap_dump_close(dumper)

    def place(self) -> int:
        """How many bytes of the file were read."""
        return self._after

    def go_on(self) -> None:
        """Read on where the window was moved to, after its end was reached."""
        self._libc.clearerr(self._stream)

    def close(self) -> None:
        """Close the file."""
        self._pcap.pcap_close(self._handle)

    def _open(self, mode: bytes, cookie: _Cookie) -> Any:
        """A stream that is read or written by functions of our own."""
        opener = _opener(self._libc)
        if opener is None:
            raise LibpcapMissing("this C library has no streams of our own")
        opener.restype, opener.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_char_p, _Cookie)
        return opener(None, mode, cookie)

    def _tell(self) -> int:
        return int(self._libc.ftell(self._stream))

    def _error(self) -> str:
        return str(self._pcap.pcap_geterr(self._handle).decode("utf-8", "replace"))

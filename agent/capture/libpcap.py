"""Reads Ethernet pcap files through libpcap with a compiled filter, where libpcap is installed.

libpcap reads through stdio with a buffer of 4 KiB; it is given one of 256 KiB, which makes it
about twice as quick. Frame numbers are not known this way, because the filter does not count
what it drops.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from agent.capture.bpf import INSTRUCTION
from agent.capture.filter import program
from agent.capture.savefile import MAX_FRAME, Frame, SaveFileError
from agent.capture.streams import MAX_HUNGRY, Streams
from agent.wire import Probe

__all__ = ["LibpcapMissing", "available", "read_filtered"]

_BUFFER: Final = 1 << 18
_ETHERNET: Final = 1
_ERROR_SIZE: Final = 256
_ANY_MASK: Final = 0xFFFF_FFFF
_NANOSECONDS: Final = 1


class LibpcapMissing(Exception):  # noqa: N818 - a reason to go another way, not a fault
    """libpcap is not here, or cannot read this file; the plain reader can."""


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("fraction", ctypes.c_long))


class _Header(ctypes.Structure):
    _fields_ = (("at", _Time), ("captured", ctypes.c_uint32), ("length", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


@lru_cache(maxsize=1)
def _libraries() -> tuple[Any, Any] | None:
    """Both libraries, libpcap first, with the types of what is called; None where one is missing."""
    name = ctypes.util.find_library("pcap")
    if name is None:
        # find_library needs tools that a bare machine lacks.
        name = "libpcap.so.0.8" if os.name == "posix" else None
    if name is None:
        return None
    try:
        pcap, libc = ctypes.CDLL(name), ctypes.CDLL(None)
        libc.fopen.restype = ctypes.c_void_p
        libc.fopen.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
        libc.setvbuf.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
        libc.ftell.restype = ctypes.c_long
        libc.ftell.argtypes = (ctypes.c_void_p,)
        pcap.pcap_fopen_offline_with_tstamp_precision.restype = ctypes.c_void_p
        pcap.pcap_fopen_offline_with_tstamp_precision.argtypes = (
            ctypes.c_void_p,
            ctypes.c_uint,
            ctypes.c_char_p,
        )
        pcap.pcap_datalink.argtypes = (ctypes.c_void_p,)
        pcap.pcap_compile.argtypes = (
            ctypes.c_void_p,
            ctypes.POINTER(_Program),
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_uint32,
        )
        pcap.pcap_setfilter.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Program))
        pcap.pcap_freecode.argtypes = (ctypes.POINTER(_Program),)
        pcap.pcap_next_ex.argtypes = (
            ctypes.c_void_p,
            ctypes.POINTER(ctypes.POINTER(_Header)),
            ctypes.POINTER(ctypes.c_void_p),
        )
        pcap.pcap_geterr.restype = ctypes.c_char_p
        pcap.pcap_geterr.argtypes = (ctypes.c_void_p,)
        pcap.pcap_close.argtypes = (ctypes.c_void_p,)
    except (OSError, AttributeError):
        return None
    return pcap, libc


def available() -> bool:
    """Whether libpcap can be used here."""
    return _libraries() is not None


def read_filtered(path: Path, probes: Sequence[Probe], streams: Callable[[], Streams]) -> Iterator[Frame]:
    """The frames of `path` that can matter to `probes`, unnumbered (0).

    `streams` tells which directions are hungry: whoever takes the frames feeds it before the next.

    Raises LibpcapMissing before the first frame where the plain reader must do it, and
    SaveFileError where the file breaks.
    """
    libraries = _libraries()
    if libraries is None:
        raise LibpcapMissing("libpcap is not installed")
    pcap, libc = libraries
    stream = libc.fopen(os.fsencode(path), b"rb")
    if not stream:
        raise LibpcapMissing("cannot be opened")
    # The buffer must live as long as the file is open: it is kept by this frame.
    buffer = ctypes.create_string_buffer(_BUFFER)
    libc.setvbuf(stream, buffer, 0, _BUFFER)
    error = ctypes.create_string_buffer(_ERROR_SIZE)
    handle = pcap.pcap_fopen_offline_with_tstamp_precision(stream, _NANOSECONDS, error)
    if not handle:
        libc.fclose(ctypes.c_void_p(stream))
        raise LibpcapMissing(error.value.decode("utf-8", "replace"))
    try:
        link_type = _link_type(pcap, handle)
        chosen = program(probes, link_type, MAX_HUNGRY)
        changes = -1
        header = ctypes.POINTER(_Header)()
        data = ctypes.c_void_p()
        while True:
            hungry = streams()
            if chosen is not None and hungry.changes != changes:
                changes = hungry.changes
                _apply(pcap, handle, chosen.hungry(hungry.hungry))
            result = pcap.pcap_next_ex(handle, ctypes.byref(header), ctypes.byref(data))
            if result == 1:
                found = header.contents
                if found.captured > MAX_FRAME or data.value is None:
                    raise SaveFileError(f"a record claims {found.captured} bytes", libc.ftell(stream))
                # Files count seconds without a sign; libpcap hands them on with one.
                at = (found.at.seconds & 0xFFFF_FFFF) + found.at.fraction / 1e9
                yield Frame(at, link_type, ctypes.string_at(data.value, found.captured), found.length, 0, 0)
            elif result == -2:
                return
            else:
                what = pcap.pcap_geterr(handle).decode("utf-8", "replace")
                raise SaveFileError(what, libc.ftell(stream))
    finally:
        pcap.pcap_close(handle)
        del buffer


def _link_type(pcap: Any, handle: int) -> int:
    """The link type as files number it: libpcap has its own number for some."""
    number = int(pcap.pcap_datalink(handle))
    return {12: 101}.get(number, number)


def _apply(pcap: Any, handle: int, code: bytes) -> None:
    instructions = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // INSTRUCTION.size, ctypes.addressof(instructions))
    if pcap.pcap_setfilter(handle, ctypes.byref(program)) != 0:
        raise LibpcapMissing(pcap.pcap_geterr(handle).decode("utf-8", "replace"))

"""Reads pcap and pcapng files frame by frame in plain Python, as far as they can be read.

Layouts after draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng (block types: section header,
interface description, enhanced, simple and obsolete packet). Everything that was whole is
yielded; then `SaveFileError` says what broke and at which byte.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple

__all__ = ["MAX_FRAME", "Frame", "SaveFileError", "read_frames"]

MAX_FRAME: Final = 262_144
"""Longest frame that is believed; a longer one is a broken file."""
_MAX_BLOCK: Final = 16 * 1024 * 1024
_MAX_INTERFACES: Final = 4_096
_PCAP: Final[dict[bytes, tuple[str, int, int]]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 10**6, 16),
    b"\xa1\xb2\xc3\xd4": (">", 10**6, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 10**9, 16),
    b"\xa1\xb2\x3c\x4d": (">", 10**9, 16),
    b"\x34\xcd\xb2\xa1": ("<", 10**6, 24),
    b"\xa1\xb2\xcd\x34": (">", 10**6, 24),
}
_SECTION: Final = b"\x0a\x0d\x0d\x0a"
_IDB, _OPB, _SPB, _EPB = 1, 2, 3, 6
_LINK_TYPE: Final = 0x03FF_FFFF
"""The part of a pcap header's last word that is the link type; the rest is of frame check sequences."""


class SaveFileError(Exception):
    """The file breaks at byte `offset`: what came before was yielded."""

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(what)
        self.what = what
        self.offset = offset


class Frame(NamedTuple):
    """One captured frame.

    `at` is in seconds since 1970, None where the file does not say; `length` is that on the
    wire; `number` counts from 1 (0 where it is not known); `offset` is where its bytes stand.
    """

    at: float | None
    link_type: int
    data: bytes
    length: int
    number: int
    offset: int


@dataclass(slots=True)
class _Interface:
    link_type: int
    snap_length: int
    parts: int = 10**6
    """Ticks in a second."""
    shift: int = 0


def read_frames(stream: BinaryIO, since: int = 0) -> Iterator[Frame]:
    """Every frame of a pcap or pcapng stream whose record begins at byte `since` or later.

    Raises SaveFileError where the file breaks.
    """
    magic = _take(stream, 4)
    if magic == _SECTION:
        yield from _Pcapng(stream, since).frames()
    elif magic in _PCAP:
        yield from _pcap(stream, magic, since)
    else:
        raise SaveFileError("is neither pcap nor pcapng" if magic else "is empty", 0)


def _take(stream: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes; fewer only at the end of the stream."""
    data = stream.read(size)
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            break
        data += more
    return data


def _pcap(stream: BinaryIO, magic: bytes, since: int) -> Iterator[Frame]:
    order, parts, record_length = _PCAP[magic]
    header = _take(stream, 20)
    if len(header) < 20:
        raise SaveFileError("the file header is cut short", 4 + len(header))
    link_type = struct.unpack(f"{order}I", header[16:20])[0] & _LINK_TYPE
    record = struct.Struct(f"{order}IIII")
    offset = 24
    number = 0
    while True:
        head = _take(stream, record_length)
        if not head:
            return
        if len(head) < record_length:
            raise SaveFileError("a record header is cut short", offset)
        seconds, fraction, captured, length = record.unpack_from(head)
        if captured > MAX_FRAME:
            raise SaveFileError(f"a record claims {captured} bytes", offset)
        data = _take(stream, captured)
        number += 1
        if len(data) < captured:
            raise SaveFileError("the last record is cut short", offset)
        if offset >= since:
            # A clock that stands at zero is none.
            at = seconds + fraction / parts if seconds or fraction else None
            yield Frame(at, link_type, data, length, number, offset + record_length)
        offset += record_length + captured


class _Pcapng:
    """One pass over the blocks of a pcapng stream whose first four bytes are read already."""

    def __init__(self, stream: BinaryIO, since: int) -> None:
        self._stream = stream
        self._since = since
        self._order = "<"
        self._interfaces: list[_Interface] = []
        self._number = 0

    def frames(self) -> Iterator[Frame]:
        offset = 0
        kind_bytes = _SECTION
        while kind_bytes:
            if len(kind_bytes) < 4:
                raise SaveFileError("a block header is cut short", offset)
            body, length = self._block(kind_bytes, offset)
            if kind_bytes != _SECTION:
                found = self._frame(struct.unpack(f"{self._order}I", kind_bytes)[0], body, offset)
                if offset >= self._since:
                    yield from found
                else:
                    deque(found, 0)
            offset += length
            kind_bytes = _take(self._stream, 4)

    def _block(self, kind: bytes, offset: int) -> tuple[bytes, int]:
        raw = _take(self._stream, 4)
        if len(raw) < 4:
            raise SaveFileError("a block header is cut short", offset)
        start = b""
        if kind == _SECTION:
            start = _take(self._stream, 4)
            if start not in {b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"}:
                raise SaveFileError("a section header has no byte order", offset)
            self._order = ">" if start == b"\x1a\x2b\x3c\x4d" else "<"
            self._interfaces = []
        length = struct.unpack(f"{self._order}I", raw)[0]
        if not 12 <= length <= _MAX_BLOCK:
            raise SaveFileError(f"a block claims {length} bytes", offset)
        padded = length + (-length % 4)
        body = start + _take(self._stream, padded - 8 - len(start))
        if len(body) < padded - 8:
            raise SaveFileError("the last block is cut short", offset)
        if struct.unpack(f"{self._order}I", body[-4:])[0] != length:
            raise SaveFileError("a block does not end where it says", offset)
        return body[:-4], padded

    def _frame(self, kind: int, body: bytes, offset: int) -> Iterator[Frame]:
        if kind == _IDB:
            self._interface(body, offset)
        elif kind == _EPB and len(body) >= 20:
            number, high, low, captured, length = struct.unpack_from(f"{self._order}IIIII", body)
            yield self._packet(
                number, (high << 32) | low, body[20 : 20 + captured], (captured, length), offset + 28
            )
        elif kind == _OPB and len(body) >= 20:
            number, _, high, low, captured, length = struct.unpack_from(f"{self._order}HHIIII", body)
            yield self._packet(
                number, (high << 32) | low, body[20 : 20 + captured], (captured, length), offset + 28
            )
        elif kind == _SPB and len(body) >= 4:
            (length,) = struct.unpack_from(f"{self._order}I", body)
            snap = self._interfaces[0].snap_length if self._interfaces else 0
            captured = min(length, snap) if snap else length
            captured = min(captured, len(body) - 4)
            yield self._packet(0, None, body[4 : 4 + captured], (captured, length), offset + 12)

    def _interface(self, body: bytes, offset: int) -> None:
        if len(body) < 8:
            raise SaveFileError("an interface description is too short", offset)
        if len(self._interfaces) >= _MAX_INTERFACES:
            raise SaveFileError(f"describes more than {_MAX_INTERFACES} interfaces", offset)
        link_type, _, snap = struct.unpack_from(f"{self._order}HHI", body)
        interface = _Interface(link_type, snap)
        at = 8
        while at + 4 <= len(body):
            code, length = struct.unpack_from(f"{self._order}HH", body, at)
            value = body[at + 4 : at + 4 + length]
            if code == 0:
                break
            if code == 9 and len(value) == 1:
                interface.parts = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == 14 and len(value) == 8:
                interface.shift = struct.unpack(f"{self._order}q", value)[0]
            at += 4 + length + (-length % 4)
        self._interfaces.append(interface)

    def _packet(
        self, number: int, ticks: int | None, data: bytes, lengths: tuple[int, int], offset: int
    ) -> Frame:
        captured, length = lengths
        if number >= len(self._interfaces):
            raise SaveFileError(f"a packet names interface {number}, which is not described", offset)
        if captured > MAX_FRAME or len(data) < captured:
            raise SaveFileError(f"a packet claims {captured} bytes", offset)
        interface = self._interfaces[number]
        self._number += 1
        at = None
        if ticks:
            seconds, rest = divmod(ticks, interface.parts)
            # To the nanosecond, as libpcap has it.
            at = seconds + interface.shift + (rest * 10**9 // interface.parts) / 1e9
        return Frame(at, interface.link_type, data, length, self._number, offset)

"""Keeps the frames that were evidence, as pcapng with a comment on why.

Evidence is a frame that told the census anything new: the first sight of a host, an open port,
any Fact. What a TCP connection or fragments told came in several frames: the latest of each are
held back until it is known. Secrets are masked before anything is written. Layout after
draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import BinaryIO, Final

from agent.capture import decode as layers
from agent.capture.masking import Masking
from agent.capture.savefile import Frame
from agent.wire import ASKED, OPEN_PORT, SIGHTING, Message

__all__ = ["HEAD", "Evidence"]

_HELD_FRAMES: Final = 64
"""As many segments as the longest message has that is read, with some to spare."""
_MAX_HELD: Final = 1_024
_MAX_BYTES: Final = 16 * 1024 * 1024
_SNAP: Final = 262_144
_MAX_COMMENT: Final = 512
_UNKNOWN_LENGTH: Final = -1
_COMMENT: Final = 1
_NAME: Final = 2
_RESOLUTION: Final = 9
_APPLICATION: Final = 4
_NANOSECONDS: Final = 9
_BARE: Final = frozenset({SIGHTING, OPEN_PORT, ASKED})
"""What is told of a frame that nobody has read: who sent it, to which port."""

_Key = tuple[object, ...]


class _Held:
    """The latest frames of one connection, not written yet."""

    __slots__ = ("frames", "size")

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque()
        self.size = 0

    def add(self, frame: Frame) -> int:
        """Hold a frame; by how much what is held has grown."""
        before = self.size
        self.frames.append(frame)
        self.size += len(frame.data)
        while len(self.frames) > _HELD_FRAMES:
            self.size -= len(self.frames.popleft().data)
        return self.size - before


class Evidence:
    """Writes to what `open_file` opens; `reopen` after that file was moved away."""

    def __init__(self, open_file: Callable[[], BinaryIO]) -> None:
        self._open_file = open_file
        self._out = open_file()
        self._faces: dict[tuple[str, int], int] = {}
        self._held: OrderedDict[_Key, _Held] = OrderedDict()
        self._size = 0
        self._masking = Masking()
        self.written = 0
        self._begin()

    def offer(self, frame: Frame, interface: str, told: Iterable[Message]) -> None:
        """Take a frame that was read, with those of its messages that were news."""
        told = list(told)
        read = any(message.protocol not in _BARE for message in told)
        key = _key_of(frame)
        if key is not None:
            self._hold((interface, *key), frame)
        alone = []
        for message in told:
            part = self._part(message, interface)
            if part is not None:
                self._release(part, interface, _reason(message), read=read)
            else:
                alone.append(_reason(message))
        if alone and key is None:
            for masked in self._masking.masked([frame], read=read):
                self._write(masked, interface, "; ".join(alone))
        elif alone and key is not None and (interface, *key) in self._held:
            self._release((interface, *key), interface, "; ".join(alone), read=read)

    def finish(self, interface: str, told: Iterable[Message]) -> None:
        """Take messages that were news once listening had ended: the frames of their connections."""
        for message in told:
            part = self._part(message, interface)
            if part is not None:
                self._release(part, interface, _reason(message), read=message.protocol not in _BARE)

    def _part(self, message: Message, interface: str) -> _Key | None:
        """The held connection in which a message was said, if it is one."""
        sender, receiver = message.sender, message.receiver
        if receiver.ip is None:
            return None
        key = (interface, "tcp", *_ends(sender.ip, sender.port, receiver.ip, receiver.port))
        return key if key in self._held else None

    def _hold(self, key: _Key, frame: Frame) -> None:
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = _Held()
        self._held.move_to_end(key)
        self._size += held.add(frame)
        while len(self._held) > _MAX_HELD or self._size > _MAX_BYTES:
            self._size -= self._held.popitem(last=False)[1].size

    def forget(self) -> None:
        """Let go of what is held: another capture follows, in which no connection of this one goes on."""
        self._held.clear()
        self._size = 0
        self._masking = Masking()

    def reopen(self) -> None:
        """Go on in a new file of the same name; raises OSError where it cannot be made, and goes on in the old one."""
        new = self._open_file()
        self._out.close()
        self._out = new
        self._begin()

    def flush(self) -> None:
        """Have everything in the file that was written."""
        self._out.flush()

    def close(self) -> None:
        """End the file."""
        self._out.close()

    def _begin(self) -> None:
        self._faces.clear()
        self._out.write(HEAD)

    def _release(self, key: _Key, interface: str, why: str, *, read: bool) -> None:
        held = self._held.pop(key)
        self._size -= held.size
        frames = self._masking.masked(held.frames, read=read)
        for number, frame in enumerate(frames, start=1):
            last = number == len(frames)
            self._write(frame, interface, why if last else "")

    def _write(self, frame: Frame, interface: str, why: str) -> None:
        place = (interface, frame.link_type)
        if place not in self._faces:
            self._faces[place] = len(self._faces)
            named = _options(
                (_NAME, interface.encode(errors="replace")[:64]), (_RESOLUTION, bytes((_NANOSECONDS,)))
            )
            self._out.write(_block(1, struct.pack("<HHI", frame.link_type, 0, _SNAP) + named))
        at = round((frame.at or 0.0) * 10**_NANOSECONDS)
        size = len(frame.data)
        head = struct.pack(
            "<IIIII",
            self._faces[place],
            at >> 32 & 0xFFFF_FFFF,
            at & 0xFFFF_FFFF,
            size,
            max(size, frame.length),
        )
        comment = _options((_COMMENT, why.encode()[:_MAX_COMMENT])) if why else b""
        self._out.write(_block(6, head + frame.data + bytes(-size % 4) + comment))
        self.written += 1


def _reason(message: Message) -> str:
    sender = message.sender
    return f"{message.protocol} from {sender.ip or sender.mac or 'nobody'}"


def _key_of(frame: Frame) -> _Key | None:
    """What a frame is only a part of: a TCP connection, or the fragments of one packet."""
    try:
        found = layers.decode(frame.data, frame.link_type)
    except (IndexError, ValueError, struct.error):
        return None
    if isinstance(found, layers.Fragment):
        return ("fragments", found.key)
    if isinstance(found, layers.Packet) and found.protocol == 6:
        return ("tcp", *_ends(found.source, found.source_port, found.target, found.target_port))
    return None


def _ends(ip: str | None, port: int | None, other: str | None, other_port: int | None) -> _Key:
    """Both ends of a connection, in one order whoever speaks."""
    return tuple(sorted(((ip or "", port or 0), (other or "", other_port or 0))))


def _options(*options: tuple[int, bytes]) -> bytes:
    parts = [struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4) for code, value in options]
    return b"".join((*parts, struct.pack("<HH", 0, 0)))


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


HEAD: Final = _block(
    0x0A0D0D0A,
    struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, _UNKNOWN_LENGTH) + _options((_APPLICATION, b"camcensus")),
)
"""How every file of evidence begins: the section header."""

"""Masks the secrets in frames that are kept, so that a kept capture proves what it did and gives away no login.

Lengths stay. Checksums of masked segments and datagrams are made anew, because the old one would
tell a short password; where that is not possible they are zero. What nothing was read of is masked
whole, and a frame whose secret cannot be masked is not kept.
"""

from __future__ import annotations

import re
import struct
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.capture import decode as layers
from agent.capture.decode import TUNNEL_PORTS, Fragment, Packet
from agent.capture.filter import Wanted
from agent.capture.savefile import Frame
from agent.probes import ALL
from agent.redaction import LOGIN_PORTS, Span, client_header, in_snmp, in_text
from agent.wire import Probe

__all__ = ["Masking"]

_UDP, _TCP = 17, 6
_SYN: Final = 0x02
_X: Final = ord("x")
_TAIL: Final = 8_192
_MAX_TALKS: Final = 1_024
_SPACE: Final = 1 << 32
_MAX_PLACES: Final = 64
_SNMP_PORTS: Final = frozenset({161, 162})
_NAMES_PORTS: Final = frozenset({53, 67, 68, 123, 137, 546, 547, 5353, 5355})
"""Ports of names, addresses and the time: nobody logs in there, and their bytes only look like texts."""
_TEXT: Final = re.compile(
    rb"<[?A-Za-z]|[A-Z][A-Z_-]{2,15} [!-~]{1,2048} [A-Z]{3,5}/\d\.\d|[A-Z]{3,5}/\d\.\d \d{3}"
)
_LINE_ENDS: Final = frozenset(b"\r\n")

_Ends = tuple[str, int, str, int]


@dataclass(slots=True)
class _Said:
    """What one side had said when it was last masked: the next sequence number, and its last bytes."""

    next: int
    tail: bytes = b""


@dataclass(slots=True)
class _Piece:
    """A segment with its place among those of its side."""

    which: int
    packet: Packet
    place: int


@dataclass(slots=True)
class Masking:
    """Remembers of each connection how it ended, because a secret may begin in one part and end in the next."""

    _said: OrderedDict[_Ends, _Said] = field(default_factory=OrderedDict)
    _wanted: Wanted = field(default_factory=lambda: Wanted.of(ALL))
    _udp: Sequence[Probe] = tuple(probe for probe in ALL if probe.transport == "udp")

    def masked(self, frames: Sequence[Frame], *, read: bool) -> list[Frame]:
        """The frames without secrets; `read` says whether anything was understood of what they carry.

        They are one datagram, its fragments, or segments of one connection.
        """
        found = [_decoded(frame) for frame in frames]
        if any(isinstance(each, Fragment) for each in found):
            return self._fragments(frames, found, read=read)
        out: list[Frame | None] = list(frames)
        sides: dict[_Ends, list[_Piece]] = {}
        for number, packet in enumerate(found):
            if isinstance(packet, Packet) and packet.protocol == _UDP:
                out[number] = _changed(frames[number], packet, self._datagram(packet, read=read))
            elif isinstance(packet, Packet) and packet.protocol == _TCP:
                ends = (packet.source, packet.source_port, packet.target, packet.target_port)
                sides.setdefault(ends, []).append(_Piece(number, packet, 0))
        read = read or any(
            self._wanted.begins(piece.packet.payload) for side in sides.values() for piece in side
        )
        for ends, pieces in sides.items():
            for piece, payload in self._side(ends, pieces, read=read):
                out[piece.which] = _changed(frames[piece.which], piece.packet, payload)
        return [frame for frame in out if frame is not None]

    def _side(self, ends: _Ends, pieces: list[_Piece], *, read: bool) -> list[tuple[_Piece, bytes]]:
        """The payloads of one side of a connection, masked."""
        before = self._said.get(ends)
        opened = next((piece.packet for piece in pieces if piece.packet.flags & _SYN), None)
        if opened is not None:
            before = _Said((opened.sequence + 1) % _SPACE)
        base = before.next if before is not None else pieces[0].packet.sequence
        talking = [piece for piece in pieces if piece.packet.payload]
        for piece in talking:
            piece.place = (piece.packet.sequence - base + _SPACE // 2) % _SPACE - _SPACE // 2
        talking.sort(key=lambda piece: piece.place)
        if not read or {ends[1], ends[3]} & LOGIN_PORTS:
            self._remember(ends, before)
            return [(piece, _blank(piece.packet.payload)) for piece in talking]
        done: list[tuple[_Piece, bytes]] = []
        run: list[_Piece] = []
        end = 0
        tail = before.tail if before is not None else None
        for piece in talking:
            if run and piece.place > end:
                self._run(ends, run, tail, base, done)
                run, tail = [], None
            if not run:
                # What stands before the place we know was said once before.
                tail = tail if before is not None and piece.place <= 0 else None
            run.append(piece)
            end = (
                max(end, piece.place + len(piece.packet.payload))
                if len(run) > 1
                else (piece.place + len(piece.packet.payload))
            )
        if run:
            self._run(ends, run, tail, base, done)
        else:
            self._remember(ends, before)
        return done

    def _run(
        self, ends: _Ends, run: list[_Piece], tail: bytes | None, base: int, done: list[tuple[_Piece, bytes]]
    ) -> None:
        """Mask bytes without a hole in them; `tail` is what was said right before, None where nobody knows."""
        while tail is None and run and not self._wanted.begins(run[0].packet.payload):
            # The middle of something: it may be the middle of a secret.
            done.append((run[0], _blank(run[0].packet.payload)))
            del run[0]
        if not run:
            self._remember(ends, None)
            return
        tail, start = tail or b"", run[0].place
        whole = bytearray()
        for piece in run:
            whole[piece.place - start : piece.place - start + len(piece.packet.payload)] = (
                piece.packet.payload
            )
        fills = _fills(bytes(whole), tail, in_text(tail + whole))
        header = client_header(ends[3])
        for piece in run:
            at = piece.place - start
            payload = _filled(piece.packet.payload, fills[at : at + len(piece.packet.payload)])
            if header is not None and not _TEXT.match(whole):
                keep = header if self._wanted.begins(piece.packet.payload) else 0
                payload = payload[:keep] + _blank(payload[keep:])
            done.append((piece, payload))
        self._remember(ends, _Said((base + start + len(whole)) % _SPACE, (tail + whole)[-_TAIL:]))

    def _remember(self, ends: _Ends, said: _Said | None) -> None:
        self._said.pop(ends, None)
        if said is not None:
            self._said[ends] = said
            if len(self._said) > _MAX_TALKS:
                self._said.popitem(last=False)

    def _fragments(
        self, frames: Sequence[Frame], found: Sequence[layers.Decoded], *, read: bool
    ) -> list[Frame]:
        """Fragments of one packet: masked as the packet they make, its checksum gone."""
        parts = [
            (frame, part) for frame, part in zip(frames, found, strict=True) if isinstance(part, Fragment)
        ]
        whole = bytearray(max(part.offset + len(part.data) for _, part in parts))
        for _, part in parts:
            whole[part.offset : part.offset + len(part.data)] = part.data
        first = parts[0][1]
        packet = layers.transport_of(bytes(whole), first)
        head = len(whole) - len(packet.payload) if isinstance(packet, Packet) else 0
        if isinstance(packet, Packet) and packet.protocol == _UDP:
            payload = self._datagram(packet, read=read)
        else:
            payload = _blank(bytes(whole[head:]))
        new = bytes(whole[:head]) + payload
        if new == whole:
            return list(frames)
        if isinstance(packet, Packet):
            at = 6 if packet.protocol == _UDP else 16
            new = new[:at] + b"\0\0" + new[at + 2 :]
        out = []
        for frame, part in parts:
            at = frame.data.rfind(part.data)
            data = frame.data[:at] + new[part.offset : part.offset + len(part.data)]
            out.append(frame._replace(data=data + bytes(len(frame.data) - len(data))))
        return out

    def _datagram(self, packet: Packet, *, read: bool) -> bytes:
        """The payload of a datagram, masked."""
        data, ports = packet.payload, {packet.source_port, packet.target_port}
        known = read or _TEXT.match(data) or any(probe.mine(data) for probe in self._udp)
        if ports & LOGIN_PORTS or not known:
            return _blank(data)
        if ports & _NAMES_PORTS:
            return data
        spans: list[Span] = list(in_text(data))
        if ports & _SNMP_PORTS or data[:1] == b"\x30":
            spans += in_snmp(data)
        payload = _filled(data, _fills(data, b"", spans))
        header = client_header(packet.target_port)
        return payload if header is None else payload[:header] + _blank(payload[header:])


def _decoded(frame: Frame) -> layers.Decoded:
    try:
        return layers.decode(frame.data, frame.link_type)
    except (IndexError, ValueError, struct.error):
        return None


def _blank(data: bytes) -> bytes:
    return b"x" * len(data)


def _fills(data: bytes, tail: bytes, spans: Iterable[Span]) -> bytes:
    """For each byte of `data` what it becomes, 0 where it stays; the spans count from the start of `tail`."""
    fills = bytearray(len(data))
    for start, end, fill in spans:
        for at in range(max(start - len(tail), 0), end - len(tail)):
            fills[at] = fill
    return bytes(fills)


def _filled(data: bytes, fills: bytes) -> bytes:
    """Replace bytes, but not the ends of lines: a header may go on in the next one."""
    if not any(fills):
        return data
    return bytes(
        fill if fill and byte not in _LINE_ENDS else byte for byte, fill in zip(data, fills, strict=True)
    )


def _changed(frame: Frame, packet: Packet, payload: bytes) -> Frame | None:
    """The frame with another payload of the same length; None where the payload's place cannot be told."""
    old = packet.payload
    if payload == old:
        return frame
    at = frame.data.rfind(old)
    for _ in range(_MAX_PLACES):
        if at < 0:
            return None
        data = bytearray(frame.data)
        # What stands behind may be a check sequence of the link: it would tell, too.
        data[at:] = payload + bytes(len(data) - at - len(old))
        _mend(data, at, packet, payload)
        new = frame._replace(data=bytes(data))
        if _decoded(new) == packet._replace(payload=payload):
            return new
        at = frame.data.rfind(old, 0, at + len(old) - 1)
    return None


def _mend(data: bytearray, at: int, packet: Packet, payload: bytes) -> None:
    """Make the checksum anew where the header is found; zero those of tunnels around it."""
    head, place = (at - 8, 6) if packet.protocol == _UDP else (_tcp_head(data, at, packet), 16)
    if head < 0:
        return
    data[head + place : head + place + 2] = b"\0\0"
    if not packet.missing:
        pseudo = _address(packet.source) + _address(packet.target)
        pseudo += struct.pack("!II", at - head + len(payload), packet.protocol)
        sums = _checksum(pseudo + data[head : at + len(payload)])
        data[head + place : head + place + 2] = (sums or 0xFFFF).to_bytes(2)
    if packet.tunnel:
        for outer in range(head - 8):
            _, target, length, _ = struct.unpack_from("!HHHH", data, outer)
            if target in TUNNEL_PORTS and at + len(payload) <= outer + length <= len(data):
                data[outer + 6 : outer + 8] = b"\0\0"


def _tcp_head(data: bytearray, at: int, packet: Packet) -> int:
    """Where the TCP header before `at` begins; -1 where it does not."""
    begins = struct.pack("!HHI", packet.source_port, packet.target_port, packet.sequence)
    for words in range(5, 16):
        head = at - 4 * words
        if head >= 0 and data[head + 12] >> 4 == words and data[head : head + 8] == begins:
            return head
    return -1


def _address(text: str) -> bytes:
    import ipaddress  # noqa: PLC0415 - only where something is masked

    return ipaddress.ip_address(text.partition("%")[0]).packed


def _checksum(data: bytes | bytearray) -> int:
    """RFC 1071."""
    even = bytes(data) + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(even) // 2}H", even))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

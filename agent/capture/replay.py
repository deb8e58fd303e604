"""Turns one recorded capture into Messages, in the order of its frames."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agent.capture import decode as layers
from agent.capture import libpcap
from agent.capture.decode import Arp, Fragment, Packet, Unread
from agent.capture.filter import Wanted, expression
from agent.capture.fragments import Fragments
from agent.capture.savefile import Frame, SaveFileError, read_frames
from agent.capture.sources import Source, find_captures
from agent.capture.streams import Streams, Turn
from agent.wire import OPEN_PORT, SIGHTING, Message, Probe
from fingerprints.model import Problem, Speaker

__all__ = ["CaptureStats", "Replay"]

_UDP, _TCP = 17, 6
_SYN_ACK: Final = 0x12
_MAX_SIGHTINGS: Final = 131_072
_MAX_TUNNELS: Final = 256
_OTHER_TUNNELS: Final = "other tunnels"
_LOOK: Final = 65_536


@dataclass(slots=True)
class CaptureStats:
    """What a capture held: frames read (after the filter, if one was used), link types, what was not read."""

    name: str
    frames: int = 0
    bytes: int = 0
    filtered: bool = False
    first: float | None = None
    last: float | None = None
    link_types: Counter[int] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    tunnels: Counter[str] = field(default_factory=Counter)
    connections_given_up: int = 0
    fragments_given_up: int = 0

    def to_json(self) -> dict[str, Any]:
        """The part of a report's coverage that tells of this capture."""
        return {
            "name": self.name,
            "frames_read": self.frames,
            "filtered_first": self.filtered,
            "link_types": sorted(layers.link_type_name(number) for number in self.link_types),
            "not_read": dict(self.unread.most_common(32)),
            "unwrapped_from": dict(sorted(self.tunnels.items())),
            "connections_given_up": self.connections_given_up,
            "fragments_given_up": self.fragments_given_up,
        }


class Replay:
    """The Messages of one capture; iterate once, then look at `problems` and `stats`.

    `unfiltered` leaves libpcap's filter out; the Messages are the same.
    """

    def __init__(self, source: Source | Path, probes: Sequence[Probe], *, unfiltered: bool = False) -> None:
        self.problems: list[Problem] = []
        if isinstance(source, Path):
            source = next(find_captures([str(source)], self.problems.append), Source("", None))
        self.name = source.name
        self.stats = CaptureStats(source.name)
        self._source = source
        self._probes = tuple(probes)
        self._wanted = Wanted.of(probes)
        self._unfiltered = unfiltered
        self._udp = [probe for probe in probes if probe.transport == "udp"]
        self._by_port = {
            port: [probe for probe in self._udp if port in probe.ports] for port in self._wanted.ports
        }
        self._tcp = [probe for probe in probes if probe.transport in {"tcp", "tls"}]
        self._streams = Streams()
        self._fragments = Fragments()
        self._seen: set[tuple[str | None, str, tuple[int, ...]]] = set()
        self._open: set[tuple[str, int, tuple[int, ...]]] = set()

    def __iter__(self) -> Iterator[Message]:
        if not self._source.name:
            return
        try:
            for frame in self._frames():
                self._count(frame)
                yield from self._frame(frame)
        except SaveFileError as error:
            self.problems.append(Problem(f"{self.name}@{error.offset}", error.what, "truncated"))
        except (OSError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            self.problems.append(Problem(self.name, f"reading stopped: {error}", "truncated"))
        for turn in self._streams.close():
            yield from self._turn(turn)
        self.stats.connections_given_up = self._streams.evicted
        self.stats.fragments_given_up = self._fragments.dropped

    def _frames(self) -> Iterator[Frame]:
        source = self._source
        if (
            source.kind == "pcap"
            and source.path is not None
            and not source.compressed
            and not self._unfiltered
        ):
            try:
                found = libpcap.read_filtered(source.path, expression(self._probes))
                first = next(found, None)
            except libpcap.LibpcapMissing:
                pass
            else:
                self.stats.filtered = True
                if first is not None:
                    yield first
                    yield from found
                return
        with source.open() as stream:
            yield from read_frames(stream)

    def _count(self, frame: Frame) -> None:
        stats = self.stats
        stats.frames += 1
        stats.bytes += frame.length
        stats.link_types[frame.link_type] += 1
        if frame.at is not None:
            stats.first = frame.at if stats.first is None else min(stats.first, frame.at)
            stats.last = frame.at if stats.last is None else max(stats.last, frame.at)

    def _frame(self, frame: Frame) -> Iterator[Message]:
        try:
            found = layers.decode(frame.data, frame.link_type)
        except (IndexError, ValueError, struct.error):
            # A header that is cut where nothing told us that it would be.
            self.stats.unread["frames cut inside a header"] += 1
            return
        if isinstance(found, Fragment):
            whole = self._fragments.add(found)
            found = layers.transport_of(*whole) if whole is not None else None
        if isinstance(found, Packet):
            yield from self._packet(found, frame)
        elif isinstance(found, Arp):
            speaker = Speaker(mac=found.mac, vlan=found.vlan)
            yield Message(
                "ethernet",
                found.payload,
                speaker,
                Speaker(),
                protocol="arp",
                at=frame.at,
                via=self.name,
                frame=frame.number or None,
            )
        elif isinstance(found, Unread):
            self.stats.unread[found.name] += 1

    def _packet(self, packet: Packet, frame: Frame) -> Iterator[Message]:
        if packet.tunnel:
            tunnels = self.stats.tunnels
            name = (
                packet.tunnel if packet.tunnel in tunnels or len(tunnels) < _MAX_TUNNELS else _OTHER_TUNNELS
            )
            tunnels[name] += 1
        if packet.protocol == _UDP:
            if self._wanted.udp(packet.source_port, packet.target_port, packet.payload):
                yield from self._sighting(packet, frame.at)
                yield from self._datagram(packet, frame)
            return
        if not packet.payload and not packet.flags & 0x07:
            return
        yield from self._sighting(packet, frame.at)
        if packet.flags & _SYN_ACK == _SYN_ACK:
            port = (packet.source, packet.source_port, packet.vlan)
            if port not in self._open and len(self._open) < _MAX_SIGHTINGS:
                self._open.add(port)
                yield self._message(packet, b"", OPEN_PORT, frame.at, frame.number)
        for turn in self._streams.add(packet, frame.at, frame.number):
            yield from self._turn(turn)

    def _sighting(self, packet: Packet, at: float | None) -> Iterator[Message]:
        key = (packet.mac, packet.source, packet.vlan)
        if key not in self._seen and len(self._seen) < _MAX_SIGHTINGS:
            self._seen.add(key)
            yield self._message(packet, b"", SIGHTING, at, 0)

    def _datagram(self, packet: Packet, frame: Frame) -> Iterator[Message]:
        payload = packet.payload
        near = (
            *self._by_port.get(packet.target_port, ()),
            *self._by_port.get(packet.source_port, ()),
            *(probe for probe in self._udp if probe.prefixes and payload.startswith(probe.prefixes)),
        )
        for probe in near:
            if probe.mine(payload):
                yield self._message(packet, payload, probe.name, frame.at, frame.number, whole=packet.whole)
                return

    def _turn(self, turn: Turn) -> Iterator[Message]:
        look = turn.payload[:_LOOK]
        for probe in self._tcp:
            if probe.mine(look):
                yield self._message(
                    turn.packet, turn.payload, probe.name, turn.at, turn.number, asked=turn.asked, whole=False
                )
                return

    def _message(
        self,
        packet: Packet,
        payload: bytes,
        protocol: str,
        at: float | None,
        number: int,
        *,
        asked: bytes = b"",
        whole: bool = True,
    ) -> Message:
        return Message(
            "udp" if packet.protocol == _UDP else "tcp",
            payload,
            Speaker(packet.source, packet.mac, packet.source_port, packet.vlan),
            Speaker(packet.target, packet.to_mac, packet.target_port, packet.vlan),
            asked=asked,
            protocol=protocol,
            at=at,
            via=self.name,
            frame=number or None,
            whole=whole,
        )

"""Turns the frames of one capture, live or recorded, into Messages.

One `Reading` may go on for weeks: every table it keeps is bounded, the least recently used
entry gives way, and what was given up is counted in its `stats`.
"""

from __future__ import annotations

import contextlib
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agent.capture import decode as layers
from agent.capture.decode import Fragment, NonIp, Packet, Unread
from agent.capture.filter import Wanted
from agent.capture.fragments import Fragments
from agent.capture.recent import Recent
from agent.capture.savefile import Frame
from agent.capture.streams import NEAR, Streams, Turn
from agent.wire import ASKED, OPEN_PORT, SIGHTING, Message, Probe, Transport
from fingerprints.model import Speaker

__all__ = ["CaptureStats", "Host", "Reading"]

_UDP, _TCP, _ICMP6 = 17, 6, 58
_TRANSPORTS: Final[dict[int, Transport]] = {_UDP: "udp", _TCP: "tcp", _ICMP6: "icmp6"}
_SYN, _SYN_ACK = 0x02, 0x12
_MAX_HOSTS: Final = 65_536
_MAX_OPEN: Final = 65_536
_MAX_ASKED: Final = 16_384
_MAX_REPEATS: Final = 8_192
_LONGEST_REPEAT: Final = 2_048
_MAX_NAMES: Final = 256
_OTHER: Final = "others"
_LONGEST_LINK: Final = 2_048
"""Most bytes of a frame without IP that are read: no protocol of a link says more."""


@dataclass(slots=True)
class CaptureStats:
    """What a capture held: frames read (after the filter, if one was used), link types, what was not read.

    The `given_up` counts are of bounded tables: what had to leave before it was finished.
    `repeats` are payloads that the same sender had said before: they are decoded once.
    """

    name: str
    frames: int = 0
    bytes: int = 0
    repeats: int = 0
    filtered: bool = False
    first: float | None = None
    last: float | None = None
    link_types: Counter[int] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    tunnels: Counter[str] = field(default_factory=Counter)
    connections_given_up: int = 0
    answers_given_up: int = 0
    fragments_given_up: int = 0
    hosts_given_up: int = 0

    def add(self, other: CaptureStats) -> None:
        """Count what was read of the same capture elsewhere."""
        for name in (
            *("frames", "bytes", "repeats", "connections_given_up", "answers_given_up", "fragments_given_up"),
            "hosts_given_up",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.filtered = self.filtered or other.filtered
        self.first = min((at for at in (self.first, other.first) if at is not None), default=None)
        self.last = max((at for at in (self.last, other.last) if at is not None), default=None)
        self.link_types += other.link_types
        self.unread += other.unread
        self.tunnels += other.tunnels

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
            "answers_given_up": self.answers_given_up,
            "fragments_given_up": self.fragments_given_up,
            "hosts_given_up": self.hosts_given_up,
        }


class Host:
    """A MAC with an address: when it was seen last, and the sighting that told of it last."""

    __slots__ = ("last", "told")

    def __init__(self, told: Message) -> None:
        self.last = told.at
        self.told = told

    def seen(self, at: float | None) -> None:
        """Be there at a time."""
        if at is not None and (self.last is None or at > self.last):
            self.last = at


_HostKey = tuple[str | None, str | None, tuple[int, ...]]


class Reading:
    """The pipeline from frames to Messages; `name` is where the Messages say they come from.

    Feed it frames in the order of the capture. A host is sighted when it is first seen; when it was
    seen last is told by `sightings`, at the end or whenever a state is wanted.
    """

    def __init__(self, probes: Sequence[Probe], name: str, *, max_hosts: int = _MAX_HOSTS) -> None:
        self.name = name
        self.stats = CaptureStats(name)
        self.wanted = Wanted.of(probes)
        self.streams = Streams(self.wanted.begins)
        udp = [probe for probe in probes if probe.transport == "udp"]
        self._by_port = {port: [probe for probe in udp if port in probe.ports] for port in self.wanted.ports}
        self._by_prefix = [probe for probe in udp if probe.prefixes]
        self._tcp = [probe for probe in probes if probe.transport in {"tcp", "tls"}]
        self._icmp6 = [probe for probe in probes if probe.transport == "icmp6"]
        self._links = {
            number: probe for probe in probes if probe.transport == "ethernet" for number in probe.ethertypes
        }
        self._fragments = Fragments()
        self._hosts: Recent[_HostKey, Host] = Recent(max_hosts)
        self._open: Recent[tuple[str | None, str, int, tuple[int, ...]], int] = Recent(_MAX_OPEN)
        self._asked: Recent[tuple[str, str, int, tuple[int, ...]], int] = Recent(_MAX_ASKED)
        self._repeats: Recent[tuple[object, ...], int] = Recent(_MAX_REPEATS)
        self.touched: Host | None = None

    @property
    def forgotten(self) -> int:
        """How many hosts were given up: what refers to one may then be out of date."""
        return self._hosts.given_up

    def frame(self, frame: Frame) -> list[Message]:
        """What one frame says, and what it ends."""
        self._count(frame)
        return self.said_by(frame)

    def said_by(self, frame: Frame) -> list[Message]:
        """As `frame`, where others count it; `touched` is then the host that it showed to be there."""
        self.touched = None
        said: list[Message] = []
        try:
            found = layers.decode(frame.data, frame.link_type)
            fragment = isinstance(found, Fragment)
            if isinstance(found, Fragment):
                whole = self._fragments.add(found)
                found = layers.transport_of(*whole) if whole is not None else None
        except (IndexError, ValueError, struct.error):
            # A header that is cut where nothing told us that it would be.
            self._name(self.stats.unread, "frames too short or broken")
            return said
        if isinstance(found, Packet):
            if found.tunnel:
                self._name(self.stats.tunnels, found.tunnel)
            if found.protocol == _TCP:
                self._segment(found, frame, said)
            else:
                self._datagram(found, frame, said)
        elif isinstance(found, NonIp):
            self._link(found, frame, said)
        elif isinstance(found, Unread):
            self._name(self.stats.unread, found.name)
        elif not fragment:
            self._name(self.stats.unread, "frames too short or broken")
        return said

    def sight(self, frame: Frame) -> list[Message]:
        """Who of the site sent a frame, whatever it carries; nothing else is read of it."""
        said: list[Message] = []
        with contextlib.suppress(IndexError, ValueError, struct.error):
            found = layers.decode(frame.data, frame.link_type)
            if isinstance(found, Packet) and found.protocol in _TRANSPORTS and found.source.startswith(NEAR):
                transport = _TRANSPORTS[found.protocol]
                self._sighting(found.source, found.mac, found.vlan, transport, frame.at, said)
        return said

    def repeats(self, packet: Packet) -> bool:
        """Whether a datagram's sender has said the same before; it has now."""
        return self._is_repeat((packet.source, packet.mac, packet.source_port, packet.vlan, packet.payload))

    def sightings(self) -> Iterator[Message]:
        """A sighting of every host that was seen again since it was last told of."""
        for host in self._hosts.values():
            if host.last != host.told.at:
                yield self._last_seen(host)

    def close(self) -> Iterator[Message]:
        """What was not finished when the capture ended, and when each host was last seen."""
        for turn in self.streams.close():
            said: list[Message] = []
            self._turn(turn, said)
            yield from said
        yield from self.sightings()
        self.settle()

    def settle(self) -> CaptureStats:
        """The counts of what was given up, as they stand."""
        self.stats.connections_given_up = self.streams.evicted
        self.stats.answers_given_up = self.streams.starved
        self.stats.fragments_given_up = self._fragments.dropped
        self.stats.hosts_given_up = self._hosts.given_up
        return self.stats

    def _count(self, frame: Frame) -> None:
        stats = self.stats
        stats.frames += 1
        stats.bytes += frame.length
        stats.link_types[frame.link_type] += 1
        if frame.at is not None:
            stats.first = frame.at if stats.first is None else min(stats.first, frame.at)
            stats.last = frame.at if stats.last is None else max(stats.last, frame.at)

    @staticmethod
    def _name(counter: Counter[str], name: str) -> None:
        """Count by name; the names are the capture's, so there is an end to them."""
        counter[name if name in counter or len(counter) < _MAX_NAMES else _OTHER] += 1

    def _link(self, found: NonIp, frame: Frame, said: list[Message]) -> None:
        probe = self._links.get(found.kind)
        if probe is None:
            self._name(self.stats.unread, found.name)
            return
        payload = found.payload[:_LONGEST_LINK]
        speaker = Speaker(mac=found.mac, vlan=found.vlan)
        if self._is_repeat((speaker, payload)):
            self._sighting(None, found.mac, found.vlan, "ethernet", frame.at, said)
            return
        said.append(
            Message(
                "ethernet",
                payload,
                speaker,
                Speaker(),
                protocol=probe.name,
                at=frame.at,
                via=self.name,
                frame=frame.number or None,
            )
        )

    def _datagram(self, packet: Packet, frame: Frame, said: list[Message]) -> None:
        """A UDP datagram or an ICMPv6 message."""
        if packet.protocol == _ICMP6:
            near = self._icmp6
        elif self.wanted.udp(packet.source_port, packet.target_port, packet.payload):
            self._sighting(packet.source, packet.mac, packet.vlan, "udp", frame.at, said)
            near = [
                *self._by_port.get(packet.target_port, ()),
                *self._by_port.get(packet.source_port, ()),
                *(probe for probe in self._by_prefix if packet.payload.startswith(probe.prefixes)),
            ]
        else:
            return
        if near and self.repeats(packet):
            self._sighting(
                packet.source, packet.mac, packet.vlan, _TRANSPORTS[packet.protocol], frame.at, said
            )
        elif near:
            for probe in near:
                if probe.mine(packet.payload):
                    said.append(self._message(packet, packet.payload, probe.name, frame.at, frame.number))
                    return

    def _segment(self, packet: Packet, frame: Frame, said: list[Message]) -> None:
        if not packet.payload and not packet.flags & 0x07:
            return
        if packet.flags & 0x07 or self.wanted.begins(packet.payload):
            self._sighting(packet.source, packet.mac, packet.vlan, "tcp", frame.at, said)
        if packet.flags & _SYN_ACK == _SYN_ACK:
            ours = (packet.mac, packet.source, packet.source_port, packet.vlan)
            if self._open.get(ours) is None:
                self._open.put(ours, self.stats.frames)
                said.append(self._message(packet, b"", OPEN_PORT, frame.at, frame.number))
        elif packet.flags & _SYN and packet.source.startswith(NEAR) and packet.target.startswith(NEAR):
            # Whether or not it is answered: a scanner is known by asking where nothing is.
            port = (packet.source, packet.target, packet.target_port, packet.vlan)
            if self._asked.get(port) is None:
                self._asked.put(port, self.stats.frames)
                said.append(self._message(packet, b"", ASKED, frame.at, frame.number))
        for turn in self.streams.add(packet, frame.at, frame.number):
            self._turn(turn, said)

    def _sighting(
        self,
        ip: str | None,
        mac: str | None,
        vlan: tuple[int, ...],
        transport: Transport,
        at: float | None,
        said: list[Message],
    ) -> None:
        key = (mac, ip, vlan)
        host = self._hosts.get(key)
        if host is not None:
            host.seen(at)
            self.touched = host
            return
        told = Message(
            transport, b"", Speaker(ip, mac, None, vlan), Speaker(), protocol=SIGHTING, at=at, via=self.name
        )
        said.append(told)
        self.touched = Host(told)
        gone = self._hosts.put(key, self.touched)
        if gone is not None and gone[1].last != gone[1].told.at:
            said.append(self._last_seen(gone[1]))

    @staticmethod
    def _last_seen(host: Host) -> Message:
        told = host.told
        host.told = Message(
            told.transport, b"", told.sender, told.receiver, protocol=SIGHTING, at=host.last, via=told.via
        )
        return host.told

    def _is_repeat(self, said: tuple[object, ...]) -> bool:
        """Whether the same sender has said the same before, as far as this is remembered."""
        payload = said[-1]
        if isinstance(payload, bytes) and len(payload) > _LONGEST_REPEAT:
            return False
        if self._repeats.get(said) is None:
            self._repeats.put(said, self.stats.frames)
            return False
        self.stats.repeats += 1
        return True

    def _turn(self, turn: Turn, said: list[Message]) -> None:
        for probe in self._tcp:
            if probe.mine(turn.payload):
                said.append(
                    self._message(
                        turn.packet,
                        turn.payload,
                        probe.name,
                        turn.at,
                        turn.number,
                        asked=turn.asked,
                        whole=False,
                        moved=turn.moved,
                    )
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
        whole: bool | None = None,
        moved: tuple[int, int] | None = None,
    ) -> Message:
        return Message(
            _TRANSPORTS[packet.protocol],
            payload,
            Speaker(packet.source, packet.mac, packet.source_port or None, packet.vlan),
            Speaker(packet.target, packet.to_mac, packet.target_port or None, packet.vlan),
            asked=asked,
            protocol=protocol,
            at=at,
            via=self.name,
            frame=number or None,
            whole=not packet.missing if whole is None else whole,
            moved=moved,
        )

"""Writes seeded captures of a camera network for the benchmarks.

    python bench/camera_network.py OUT.pcap [--size 1g] [--pcapng] [--hard]

The devices are those of `simulator/devices/`, each at several addresses with its own MAC, and
what they say is what the simulator answers: nothing is made up here but video. Every fifth
host stands in VLAN 30. The usual capture is 99 % video (RTP in UDP, RTP interleaved in RTSP,
plain TCP with one bare acknowledgement for two segments); the hard one is control traffic alone.
The same seed gives the same bytes. Blocks of frames are built once and written again and again
with new times, sequence numbers, client ports and nonces, which makes 1 GB a matter of seconds.
"""

from __future__ import annotations

import argparse
import random
import re
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from itertools import chain, count, cycle
from pathlib import Path
from typing import BinaryIO, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agent.probes import ALL
from agent.wire import Target
from simulator import datagrams, dns, rtsp, web
from simulator.device import Device, Place, load_all

__all__ = ["Planted", "size_of", "write"]

CAMERAS: Final = 60
RECORDERS: Final = 5
HARD_HOSTS: Final = 250
CONTROL_SHARE: Final = 0.01
VLAN: Final = 30
_START: Final = 1_767_225_600_000_000
_STEP: Final = 20
"""Microseconds from frame to frame: 1 GB is 17 s of 60 cameras."""
_WEB_PORTS: Final = (80, 81, 82, 88, 8000, 8080, 8081, 8899, 9000, 60001)
_STREAM_PORTS: Final = (554, 8554, 10554)
_TLS_PORTS: Final = (443, 8443)
_BULK_PORTS: Final = (80, 8000, 37777)
_SEGMENT: Final = 1448
_MTU: Final = 1500
_VARIANTS: Final = 16
_TCP, _UDP = 6, 17
_ACK, _PSH_ACK, _SYN, _SYN_ACK, _FIN_ACK = 0x10, 0x18, 0x02, 0x12, 0x11
_EVERYONE: Final = b"\xff" * 6
_CHANCE: Final = re.compile(rb'(?<=nonce="[0-9a-f]{8})[0-9a-f]{24}(?=")')
"""What the simulator's logins draw anew each time, behind what is counted here: the same seed gives the same bytes."""
_FRESH: Final = re.compile(rb'(?:nonce="|MessageID>(?:urn:)?uuid:|<Uuid>)([0-9A-Fa-f]{8})')
"""What a real device writes anew each time: eight hexadecimal digits of it are counted up."""
_IDENTIFIER: Final = re.compile(rb"(MessageID>(?:urn:)?uuid:|<Uuid>)[0-9A-Fa-f-]{36}")


@dataclass(frozen=True, slots=True)
class Planted:
    """One device of a capture, with what is true of it; `manufacturer` is None where nothing tells."""

    device: str
    mac: str
    ip: str
    vlan: int | None
    manufacturer: str | None
    flagged: bool


@dataclass(frozen=True, slots=True)
class _Host:
    place: Place
    device: Device
    vlan: int | None

    @property
    def mac(self) -> bytes:
        return bytes.fromhex(self.place.mac.replace(":", ""))

    @property
    def ip(self) -> bytes:
        return IPv4Address(self.place.ip).packed


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame with the places of it that change each time: client port, sequence, fresh digits."""

    data: bytes
    port: int | None = None
    sequence: int | None = None
    flow: int = 0
    length: int = 0


@dataclass(slots=True)
class _Block:
    """Frames with their record headers, as they stand in the file, with offsets of what changes."""

    data: bytearray = field(default_factory=bytearray)
    stamps: list[int] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    fresh: list[int] = field(default_factory=list)
    sequences: list[tuple[int, int, int]] = field(default_factory=list)


class _Format:
    """How a file format puts a frame down: pcap or pcapng, both with microseconds."""

    def __init__(self, *, pcapng: bool) -> None:
        self.pcapng = pcapng
        self.stamp_at = 12 if pcapng else 0

    def head(self) -> bytes:
        """What stands in front of the first frame."""
        if not self.pcapng:
            return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
        section = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
        return section + struct.pack("<IIHHII", 1, 20, 1, 0, 262_144, 20)

    def record(self, data: bytes) -> tuple[bytes, bytes]:
        """What stands before and after a frame."""
        size = len(data)
        if not self.pcapng:
            return struct.pack("<IIII", 0, 0, size, size), b""
        padding = bytes(-size % 4)
        total = 32 + size + len(padding)
        head = struct.pack("<IIIIIII", 6, total, 0, 0, 0, size, size)
        return head, padding + struct.pack("<I", total)

    def block(self, frames: Sequence[_Frame]) -> _Block:
        """The block that these frames make."""
        made = _Block()
        for frame in frames:
            before, after = self.record(frame.data)
            made.stamps.append(len(made.data) + self.stamp_at)
            at = len(made.data) + len(before)
            if frame.port is not None:
                made.ports.append(at + frame.port)
            if frame.sequence is not None:
                made.sequences.append((at + frame.sequence, frame.flow, frame.length))
            made.fresh += [at + found.start(1) for found in _FRESH.finditer(frame.data)]
            made.data += before + _CHANCE.sub(lambda found: b"0" * len(found[0]), frame.data) + after
        return made

    def time(self, at: int) -> tuple[int, int]:
        """Microseconds since 1970 as the two words of a record."""
        return (at >> 32, at & 0xFFFF_FFFF) if self.pcapng else divmod(at, 1_000_000)


class _Writer:
    """Writes blocks with the time running on."""

    def __init__(self, out: BinaryIO, form: _Format, turn: int) -> None:
        self._out = out
        self._form = form
        self._at = _START
        self._ports = cycle(range(32_768 + turn * 997 % 20_000, 61_000))
        self._fresh = count(turn * 1_000_003)
        self._flows: dict[int, int] = {}
        self.written = out.write(form.head())
        self.frames = 0

    def write(self, block: _Block) -> None:
        """One more copy of `block`."""
        data, at, words = block.data, self._at, struct.Struct("<II").pack_into
        for stamp in block.stamps:
            at += _STEP
            words(data, stamp, *self._form.time(at))
        self._at = at
        port = next(self._ports) if block.ports else 0
        for place in block.ports:
            struct.pack_into("!H", data, place, port)
        for place in block.fresh:
            data[place : place + 8] = b"%08x" % (next(self._fresh) * 2_654_435_761 & 0xFFFF_FFFF)
        flows = self._flows
        for place, flow, length in block.sequences:
            now = flows.get(flow, 1000)
            if length < 0:
                # RTP counts packets in 16 bits.
                struct.pack_into("!H", data, place, now & 0xFFFF)
                flows[flow] = now + 1
            else:
                struct.pack_into("!I", data, place, now & 0xFFFF_FFFF)
                flows[flow] = now + length
        self.written += self._out.write(data)
        self.frames += len(block.stamps)


def write(
    path: Path, size: int, *, pcapng: bool = False, hard: bool = False, seed: int = 1, turn: int = 0
) -> tuple[Planted, ...]:
    """Write about `size` bytes to `path`; the devices that are in it.

    Every device says everything once, however small the capture; with that, it may be larger.
    Another `turn` is the same network at another time: with other nonces and client ports.
    """
    rng = random.Random(seed)  # noqa: S311 - seeded traffic, no secret
    form = _Format(pcapng=pcapng)
    hosts = _hosts(HARD_HOSTS if hard else CAMERAS, rng)
    viewer = _host(_pc(), 250, None, rng)
    talks = [form.block(talk) for host in hosts for talk in _talks(host, viewer)]
    once = sum(len(talk.stamps) for talk in talks)
    video = [] if hard else [form.block(burst) for burst in _video(hosts, rng)]
    # In a small capture the devices' words would otherwise not all find their place.
    share = max(CONTROL_SHARE, once / max(1, size // 1_190))
    with path.open("wb", buffering=1 << 20) as out:
        writer = _Writer(out, form, turn)
        bursts = cycle(video)
        owed = 0.0
        for number, talk in enumerate(cycle(talks)):
            if number >= len(talks) and writer.written >= size:
                break
            while video and owed < len(talk.stamps):
                burst = next(bursts)
                writer.write(burst)
                owed += len(burst.stamps) * share / (1 - min(share, 0.9))
            owed -= len(talk.stamps)
            writer.write(talk)
    return tuple(_planted(host) for host in hosts)


def size_of(text: str) -> int:
    """The bytes that ``100m`` or ``1g`` (decimal) mean; raises ValueError."""
    factor = {"k": 10**3, "m": 10**6, "g": 10**9}.get(text[-1:].lower())
    return int(text) if factor is None else int(float(text[:-1]) * factor)


def _planted(host: _Host) -> Planted:
    truth, place = host.device, host.place
    return Planted(truth.id, place.mac, place.ip, host.vlan, truth.manufacturer, truth.flagged)


def _pc() -> Device:
    return next(device for device in load_all() if device.id == "windows-pc")


def _hosts(cameras: int, rng: random.Random) -> list[_Host]:
    """Recorders first, then cameras with some neighbours among them."""
    every = [device for device in load_all() if _speaks_openly(device)]
    recorders = [device for device in every if device.device_class == "recorder"]
    others = [device for device in every if device.device_class != "recorder"]
    chosen = [*(recorders[n % len(recorders)] for n in range(RECORDERS))]
    chosen += [others[n % len(others)] for n in range(cameras)]
    return [
        _host(device, number, VLAN if number % 5 == 0 else None, rng)
        for number, device in enumerate(chosen, start=1)
    ]


def _speaks_openly(device: Device) -> bool:
    """Whether it says who made it outside TLS: certificates are new in every run, so none is here."""
    plain = any(server.tls is None for server in device.http)
    return any((plain, device.rtsp, device.sadp, device.dhip, device.ws_discovery, device.ssdp, device.mdns))


def _host(device: Device, number: int, vlan: int | None, rng: random.Random) -> _Host:
    mac = f"{device.mac[:8]}:{rng.randrange(256):02x}:{number >> 8:02x}:{number & 255:02x}"
    ports = {}
    for server in device.http:
        if server.tls is None and server.port == 80:
            ports[80] = _WEB_PORTS[number % len(_WEB_PORTS)]
    if device.rtsp is not None:
        ports[device.rtsp.port] = _STREAM_PORTS[number % len(_STREAM_PORTS)]
    ip = str(IPv4Address("10.20.0.0") + (vlan or 0) * 256 + number)
    return _Host(Place(ip, mac, ports=ports), _with_own_serial(device, number), vlan)


def _with_own_serial(device: Device, number: int) -> Device:
    """The same device with a serial number in its recorded form: two with one serial would be one device."""
    if device.sadp is not None and len(serial := device.sadp.fields.get("DeviceSN", "")) > 8:
        fields = {**device.sadp.fields, "DeviceSN": f"{serial[:-4]}{number:04d}"}
        device = replace(device, sadp=replace(device.sadp, fields=fields))
    if device.dhip is not None and len(serial := str(device.dhip.info.get("SerialNo", ""))) > 8:
        info = {**device.dhip.info, "SerialNo": f"{serial[:-4]}{number:04d}"}
        device = replace(device, dhip=replace(device.dhip, info=info))
    return device


def _talks(host: _Host, viewer: _Host) -> Iterator[list[_Frame]]:
    """Everything that a host says, with the questions it answers; each talk by itself."""
    yield [_Frame(_arp(host))]
    datagram = chain(_announced(host), _searched(host))
    yield from ([_Frame(data) for data in frames] for frames in datagram)
    yield [_Frame(data) for data in _udp(host, viewer.ip, viewer.mac, 40_053, 53, _dns_question())]
    device, place = host.device, host.place
    for server in device.http:
        if server.tls is not None:
            continue
        port = place.port(server.port)
        pairs = []
        for target in [route.path for route in server.route if route.method == "GET"][:3] or ["/"]:
            lines = (f"GET {target} HTTP/1.1", f"Host: {place.ip}:{port}", "User-Agent: Mozilla/5.0", "", "")
            asked = "\r\n".join(lines).encode()
            request = web.parse(asked)
            if request is not None:
                pairs.append((asked, web.answer(device, server, place, request, b"")))
        yield _connection(host, viewer, port, pairs)
    if device.rtsp is not None:
        port = place.port(device.rtsp.port)
        pairs = []
        for number, method in enumerate(("OPTIONS", "DESCRIBE"), start=1):
            asked = f"{method} rtsp://{place.ip}:{port}/ RTSP/1.0\r\nCSeq: {number}\r\n\r\n".encode()
            request = web.parse(asked)
            if request is not None:
                pairs.append((asked, rtsp.answer(device.rtsp, place, request)))
        yield _connection(host, viewer, port, pairs)
    port = _TLS_PORTS[host.ip[3] % len(_TLS_PORTS)]
    yield _connection(host, viewer, port, [(_client_hello(device.id), b"\x15\x03\x03\x00\x02\x02\x28")])


def _announced(host: _Host) -> Iterator[list[bytes]]:
    """What a host says unasked."""
    device, place = host.device, host.place
    if device.ws_discovery is not None:
        yield _group(host, "239.255.255.250", 3702, datagrams.ws_hello(device.ws_discovery, place))
    if device.ssdp is not None:
        for notice in datagrams.ssdp_alive(device.ssdp, place):
            yield _group(host, "239.255.255.250", 1900, notice)
    if device.mdns is not None:
        yield _group(host, "224.0.0.251", 5353, dns.announcement(device.mdns, place))
    rebinding = datagrams.dhcp_rebinding(device, place)
    if rebinding is not None:
        yield _udp(host, b"\xff" * 4, _EVERYONE, 68, 67, rebinding)


def _searched(host: _Host) -> Iterator[list[bytes]]:
    """What a host answers to a group's search, by our own questions."""
    device, place = host.device, host.place
    for name, port, answer in (
        ("sadp", 37020, lambda asked: device.sadp and datagrams.sadp(device.sadp, place, asked)),
        ("dhip", 37810, lambda asked: device.dhip and datagrams.dhip(device.dhip, place, asked)),
    ):
        probe = next(probe for probe in ALL if probe.name == name)
        asks = probe.hello(Target("239.255.255.250", port)) if probe.hello is not None else ()
        said = next((reply for ask in asks if (reply := answer(ask.payload))), None)
        if said:
            yield _group(host, "239.255.255.250", port, said)


def _group(host: _Host, group: str, port: int, payload: bytes) -> list[bytes]:
    address = IPv4Address(group).packed
    mac = b"\x01\x00\x5e" + bytes((address[1] & 0x7F,)) + address[2:]
    # The simulator draws identifiers by lot, as devices do; here they follow from the seed.
    payload = _IDENTIFIER.sub(rb"\g<1>00000000-77ee-4c05-9b6e-5d1c4f0e7a31", payload)
    return _udp(host, address, mac, port, port, payload)


def _ethernet(sender: bytes, receiver: bytes, vlan: int | None, kind: int, body: bytes) -> bytes:
    tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
    # The smallest frame has 60 bytes without its check sequence (IEEE 802.3).
    return (receiver + sender + tag + struct.pack("!H", kind) + body).ljust(60, b"\0")


def _ipv4(
    protocol: int, source: bytes, target: bytes, body: bytes, identity: int = 0, fragment: int = 0x4000
) -> bytes:
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), identity, fragment, 64, protocol, 0, source, target
    )
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", total ^ 0xFFFF) + head[12:] + body


def _udp(
    host: _Host, target: bytes, target_mac: bytes, source_port: int, port: int, payload: bytes
) -> list[bytes]:
    """A datagram, in IP fragments where it is longer than the link takes."""
    whole = struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload
    if len(whole) <= _MTU - 20:
        packets = [_ipv4(_UDP, host.ip, target, whole)]
    else:
        room = (_MTU - 20) // 8 * 8
        identity = zlib.crc32(whole) & 0xFFFF
        packets = []
        for at in range(0, len(whole), room):
            more = 0x2000 if at + room < len(whole) else 0
            packets.append(_ipv4(_UDP, host.ip, target, whole[at : at + room], identity, more | at // 8))
    return [_ethernet(host.mac, target_mac, host.vlan, 0x0800, packet) for packet in packets]


def _segment(
    host: _Host, peer: _Host, ports: tuple[int, int], numbers: tuple[int, int], flags: int, payload: bytes
) -> bytes:
    """A TCP segment from `host`; the checksum is left to the card, as captures of a sender show it."""
    head = struct.pack("!HHIIBBHHH", *ports, *numbers, 0x50, flags, 64_240, 0, 0)
    packet = _ipv4(_TCP, host.ip, peer.ip, head + payload)
    return _ethernet(host.mac, peer.mac, host.vlan or peer.vlan, 0x0800, packet)


def _connection(host: _Host, client: _Host, port: int, pairs: Sequence[tuple[bytes, bytes]]) -> list[_Frame]:
    """A client's connection to `host` with its questions and answers."""
    offset = 14 + (4 if host.vlan or client.vlan else 0) + 20
    mine, yours = 1_000, 900_000
    frames: list[_Frame] = []

    def asks(flags: int, payload: bytes = b"") -> None:
        data = _segment(client, host, (40_000, port), (mine, yours if flags & _ACK else 0), flags, payload)
        frames.append(_Frame(data, offset))

    def answers(flags: int, payload: bytes = b"") -> None:
        frames.append(
            _Frame(_segment(host, client, (port, 40_000), (yours, mine), flags, payload), offset + 2)
        )

    asks(_SYN)
    mine += 1
    answers(_SYN_ACK)
    yours += 1
    asks(_ACK)
    for question, answer in pairs:
        asks(_PSH_ACK, question)
        mine += len(question)
        for at in range(0, len(answer), _SEGMENT):
            piece = answer[at : at + _SEGMENT]
            answers(_PSH_ACK if at + _SEGMENT >= len(answer) else _ACK, piece)
            yours += len(piece)
    asks(_FIN_ACK)
    mine += 1
    answers(_FIN_ACK)
    yours += 1
    asks(_ACK)
    return frames


def _arp(host: _Host) -> bytes:
    """A host that makes its address known (RFC 5227, an ARP announcement)."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + host.mac + host.ip + bytes(6) + host.ip
    return _ethernet(host.mac, _EVERYONE, host.vlan, 0x0806, body)


def _dns_question() -> bytes:
    name = b"".join(bytes((len(part),)) + part for part in (b"ntp", b"example", b"net")) + b"\0"
    return struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + name + struct.pack("!HH", 1, 1)


def _client_hello(name: str) -> bytes:
    """A ClientHello (RFC 8446, 4.1.2) that asks for `name`."""
    text = f"{name}.example".encode()
    entry = struct.pack("!HBH", len(text) + 3, 0, len(text)) + text
    extensions = struct.pack("!HH", 0, len(entry)) + entry
    body = b"\x03\x03" + bytes(range(32)) + b"\0" + struct.pack("!HHH", 4, 0xC02F, 0x009C) + b"\x01\0"
    body += struct.pack("!H", len(extensions)) + extensions
    handshake = b"\x01" + len(body).to_bytes(3) + body
    return b"\x16\x03\x01" + struct.pack("!H", len(handshake)) + handshake


def _video(hosts: Sequence[_Host], rng: random.Random) -> Iterator[list[_Frame]]:
    """Bursts of video, one picture each, from every camera to a recorder of its VLAN in turn."""
    noise = rng.randbytes(1 << 20)
    recorders, cameras = hosts[:RECORDERS], hosts[RECORDERS:]
    for _ in range(_VARIANTS):
        for number, camera in enumerate(cameras):
            near = [recorder for recorder in recorders if recorder.vlan == camera.vlan]
            recorder = near[number % len(near)]
            start = rng.randrange(len(noise) - 16_384)
            picture = noise[start : start + rng.randrange(6_000, 16_000)]
            flow = number * 4
            if number % 3 == 0:
                yield list(_rtp(camera, recorder, picture, flow))
            elif number % 3 == 1:
                yield list(_tcp_video(camera, recorder, 554, _interleaved(picture), flow))
            else:
                port = _BULK_PORTS[number // 3 % len(_BULK_PORTS)]
                yield list(_tcp_video(camera, recorder, port, picture, flow))


def _rtp(camera: _Host, recorder: _Host, picture: bytes, flow: int) -> Iterator[_Frame]:
    """One picture as RTP packets (RFC 3550), the last one marked."""
    offset = 14 + (4 if camera.vlan else 0) + 28 + 2
    for at in range(0, len(picture), 1_388):
        marker = 0x80 if at + 1_388 >= len(picture) else 0
        packet = struct.pack("!BBHII", 0x80, 96 | marker, 0, at, flow) + picture[at : at + 1_388]
        for data in _udp(camera, recorder.ip, recorder.mac, 8_200 + flow, 50_000 + flow, packet):
            yield _Frame(data, sequence=offset, flow=flow, length=-1)


def _interleaved(picture: bytes) -> bytes:
    """One picture as RTP packets inside RTSP (RFC 2326, 10.12)."""
    pieces = []
    for at in range(0, len(picture), 1_388):
        packet = struct.pack("!BBHII", 0x80, 96, at // 1_388, at, 1) + picture[at : at + 1_388]
        pieces.append(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
    return b"".join(pieces)


def _tcp_video(camera: _Host, recorder: _Host, port: int, stream: bytes, flow: int) -> Iterator[_Frame]:
    """A stretch of a long connection: full segments, the last one pushed, acknowledged by pairs."""
    offset = 14 + (4 if camera.vlan or recorder.vlan else 0) + 20 + 4
    for number, at in enumerate(range(0, len(stream), _SEGMENT)):
        piece = stream[at : at + _SEGMENT]
        flags = _PSH_ACK if at + _SEGMENT >= len(stream) else _ACK
        data = _segment(camera, recorder, (port, 50_000 + flow), (0, 5_000), flags, piece)
        yield _Frame(data, sequence=offset, flow=flow, length=len(piece))
        if number % 2:
            data = _segment(recorder, camera, (50_000 + flow, port), (5_000, 0), _ACK, b"")
            # An acknowledgement takes what the other side has sent so far, and adds nothing.
            yield _Frame(data, sequence=offset + 4, flow=flow, length=0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("path", type=Path)
    parser.add_argument("--size", type=size_of, default=size_of("4m"), help="such as 100m or 1g")
    parser.add_argument("--pcapng", action="store_true")
    parser.add_argument("--hard", action="store_true", help="control traffic alone")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    planted = write(args.path, args.size, pcapng=args.pcapng, hard=args.hard, seed=args.seed)
    print(f"{args.path}: {args.path.stat().st_size} bytes, {len(planted)} devices")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

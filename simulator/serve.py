"""Serves simulated devices on real sockets.

Sockets are opened by `listen`, which does not need an event loop: a process that enters
another network namespace first opens them there. `serving` then answers on all of them.
On loopback, which carries no multicast, every question comes and is answered by unicast.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from simulator import certificates, datagrams, dns, rtsp, web
from simulator.device import Device, Http, Mdns, Place, Rtsp, Ssdp, Tcp, WsDiscovery

__all__ = ["Habits", "Listening", "Running", "listen", "serving"]

IDLE_SECONDS: Final = 10.0
MAX_HEAD: Final = 16_384
MAX_BODY: Final = 65_536
MAX_CONNECTIONS: Final = 64
SADP_GROUP: Final = "239.255.255.250"
DHIP_GROUP: Final = "239.255.255.251"
SSDP_GROUP: Final = "239.255.255.250"
MDNS_GROUP: Final = "224.0.0.251"
DISCOVERY_GROUP6: Final = "ff02::c"
MDNS_GROUP6: Final = "ff02::fb"

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
Reply: TypeAlias = tuple[bytes, bool]
"""Bytes to send, with whether they go to the multicast group rather than to who asked."""
Respond: TypeAlias = Callable[[bytes, SocketAddress], Iterable[Reply]]
Announce: TypeAlias = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class _Datagrams:
    """A UDP socket: how it answers, where its group is (None on loopback), what it announces."""

    sock: socket.socket
    respond: Respond
    group: SocketAddress | None = None
    announce: Announce = tuple


@dataclass(frozen=True, slots=True)
class _Streams:
    """A listening TCP socket with what stands behind it."""

    sock: socket.socket
    service: Http | Rtsp | Tcp


@dataclass(frozen=True, slots=True)
class Habits:
    """How a device serves: seconds it thinks before each answer, connections it takes at once."""

    late: float = 0.0
    connections: int = MAX_CONNECTIONS


_PROMPT: Final = Habits()


@dataclass(frozen=True, slots=True)
class Listening:
    """A device whose sockets are open and do not answer yet."""

    device: Device
    place: Place
    datagrams: tuple[_Datagrams, ...]
    streams: tuple[_Streams, ...]
    habits: Habits = _PROMPT

    def close(self) -> None:
        """Close every socket."""
        for sock in (*(part.sock for part in self.datagrams), *(part.sock for part in self.streams)):
            sock.close()


def listen(device: Device, place: Place, habits: Habits = _PROMPT) -> Listening:
    """Open every socket of `device` at `place`.

    With an interface, the device listens on all its addresses there and joins the multicast
    groups; without, on its one address only. Raises OSError, naming the address, where a port
    cannot be had; nothing stays open then.
    """
    with contextlib.ExitStack() as opened:
        udp = []
        for part in _open_datagrams(device, place):
            opened.callback(part.sock.close)
            udp.append(part)
        tcp = []
        for service in _stream_services(device):
            sock = _tcp_socket(place, place.port(service.port))
            opened.callback(sock.close)
            tcp.append(_Streams(sock, service))
        opened.pop_all()
    return Listening(device, place, tuple(udp), tuple(tcp), habits)


@asynccontextmanager
async def serving(devices: Iterable[Listening]) -> AsyncIterator[Running]:
    """Answer for all `devices` until the block ends; then every socket is closed."""
    running = Running(tuple(devices))
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


class Running:
    """Devices that answer."""

    def __init__(self, devices: tuple[Listening, ...]) -> None:
        self.devices = devices
        self._transports: list[tuple[asyncio.DatagramTransport, _Datagrams]] = []
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._open: Counter[str] = Counter()

    async def start(self) -> None:
        """Start answering on every socket."""
        loop = asyncio.get_running_loop()
        for device in self.devices:
            for part in device.datagrams:
                transport, _ = await loop.create_datagram_endpoint(
                    functools.partial(_Udp, part, device.habits.late), sock=part.sock
                )
                self._transports.append((transport, part))
            for stream in device.streams:
                server = await asyncio.start_server(
                    self._handler(device, stream.service),
                    sock=stream.sock,
                    limit=MAX_HEAD,
                    ssl=_tls(stream.service),
                )
                self._servers.append(server)

    async def stop(self) -> None:
        """Close every socket and end every conversation."""
        for server in self._servers:
            server.close()
        for transport, _ in self._transports:
            transport.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for device in self.devices:
            device.close()

    def announce(self) -> int:
        """Send what the devices say unasked, to their groups; how many datagrams that were."""
        sent = 0
        for transport, part in self._transports:
            if part.group is None:
                continue
            for payload in part.announce():
                transport.sendto(payload, part.group)
                sent += 1
        return sent

    def _handler(
        self, listening: Listening, service: Http | Rtsp | Tcp
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ip = listening.place.ip
            if self._open[ip] >= listening.habits.connections:
                writer.transport.abort()
                return
            self._open[ip] += 1
            task = asyncio.ensure_future(_converse(listening, service, reader, writer))
            self._connections.add(task)
            task.add_done_callback(functools.partial(self._over, ip))

        return accept

    def _over(self, ip: str, task: asyncio.Task[None]) -> None:
        self._open[ip] -= 1
        self._connections.discard(task)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, part: _Datagrams, late: float) -> None:
        self._part = part
        self._late = late
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # CPython's own datagram transport does not inherit from DatagramTransport (3.11).
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: SocketAddress) -> None:
        if self._transport is None:
            return
        for payload, to_group in self._part.respond(data, addr):
            target = self._part.group if to_group and self._part.group else addr
            if self._late:
                asyncio.get_running_loop().call_later(self._late, self._transport.sendto, payload, target)
            else:
                self._transport.sendto(payload, target)


def _tls(service: Http | Rtsp | Tcp) -> ssl.SSLContext | None:
    if not isinstance(service, Rtsp) and service.tls:
        return certificates.server_context(service.tls)
    return None


async def _converse(
    listening: Listening,
    service: Http | Rtsp | Tcp,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    try:
        if isinstance(service, Tcp):
            await _stay_open(service, reader, writer)
        else:
            while await _exchange(listening, service, reader, writer):
                pass
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        # The other side went away, fell silent or sent too much: the conversation is over.
        pass
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _stay_open(service: Tcp, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(service.banner.encode())
    await writer.drain()
    async with asyncio.timeout(IDLE_SECONDS):
        while await reader.read(MAX_HEAD):
            pass


async def _exchange(
    listening: Listening,
    service: Http | Rtsp,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> bool:
    async with asyncio.timeout(IDLE_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
        request = web.parse(head[:-4])
        if request is None or request.length > MAX_BODY:
            return False
        body = await reader.readexactly(request.length)
        await asyncio.sleep(listening.habits.late)
        if isinstance(service, Rtsp):
            if not request.version.startswith("RTSP"):
                return False
            writer.write(rtsp.answer(service, listening.place, request))
        else:
            if not request.version.startswith("HTTP"):
                return False
            writer.write(web.answer(listening.device, service, listening.place, request, body))
        await writer.drain()
    return isinstance(service, Rtsp) or request.persistent


def _stream_services(device: Device) -> Iterator[Http | Rtsp | Tcp]:
    yield from device.http
    service = device.onvif
    if service and not any(server.port == service.port and not server.tls for server in device.http):
        yield Http(service.port, service.source)
    if device.rtsp:
        yield device.rtsp
    yield from device.tcp


def _open_datagrams(device: Device, place: Place) -> Iterator[_Datagrams]:
    yield from _vendor_datagrams(device, place)
    if device.ws_discovery:
        matches, hello = _ws_discovery(device.ws_discovery, place)
        yield from _both_families(place, 3702, SSDP_GROUP, DISCOVERY_GROUP6, matches, hello)
    if device.ssdp:
        found, alive = _ssdp(device.ssdp, place)
        yield from _both_families(place, 1900, SSDP_GROUP, DISCOVERY_GROUP6, found, alive)
    if device.mdns:
        told, unasked = _mdns(device.mdns, place)
        yield from _both_families(place, dns.PORT, MDNS_GROUP, MDNS_GROUP6, told, unasked)
    if device.dhcp and place.interface:
        yield _dhcp(device, place)


def _vendor_datagrams(device: Device, place: Place) -> Iterator[_Datagrams]:
    if device.sadp:
        sadp = device.sadp
        # The recorded answers go to the group, whoever asked.
        respond = _one(lambda data: datagrams.sadp(sadp, place, data), to_group=True)
        yield _udp(place, 37020, respond, SADP_GROUP)
    if device.dhip:
        dhip = device.dhip

        def answer_dhip(data: bytes, _: SocketAddress) -> Iterator[Reply]:
            reply = datagrams.dhip(dhip, place, data)
            if reply:
                yield reply, not datagrams.dhip_wants_unicast(data)

        yield _udp(place, 37810, answer_dhip, DHIP_GROUP)
    if device.dahua_legacy:
        legacy = device.dahua_legacy
        yield _udp(place, 5050, _one(lambda data: datagrams.dahua_legacy(legacy, place, data)))
    if device.tplink_tdp:
        tdp = device.tplink_tdp
        yield _udp(place, 20002, _one(lambda data: datagrams.tdp(tdp, place, data)))


def _one(answer: Callable[[bytes], bytes | None], *, to_group: bool = False) -> Respond:
    def respond(data: bytes, _: SocketAddress) -> Iterator[Reply]:
        reply = answer(data)
        if reply:
            yield reply, to_group

    return respond


def _ws_discovery(said: WsDiscovery, place: Place) -> tuple[Respond, Announce]:
    return _one(lambda data: datagrams.ws_discovery(said, place, data)), lambda: (
        datagrams.ws_hello(said, place),
    )


def _ssdp(said: Ssdp, place: Place) -> tuple[Respond, Announce]:
    return lambda data, _: (
        (reply, False) for reply in datagrams.ssdp(said, place, data)
    ), lambda: datagrams.ssdp_alive(said, place)


def _mdns(said: Mdns, place: Place) -> tuple[Respond, Announce]:

    def respond(data: bytes, asker: SocketAddress) -> Iterator[Reply]:
        legacy = asker[1] != dns.PORT
        reply = dns.answer(said, place, data, legacy=legacy)
        if reply:
            yield reply, not legacy and not dns.wants_unicast(data)

    return respond, lambda: (dns.announcement(said, place),)


def _dhcp(device: Device, place: Place) -> _Datagrams:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    # Bound to the interface, a broadcast needs no route.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, (place.interface or "").encode())
    sock.bind((place.ip, 68))
    said = datagrams.dhcp_rebinding(device, place)
    return _Datagrams(sock, lambda _data, _asker: (), ("255.255.255.255", 67), lambda: [said] if said else [])


def _both_families(
    place: Place, port: int, group: str, group6: str, respond: Respond, announce: Announce
) -> Iterator[_Datagrams]:
    yield _udp(place, port, respond, group, announce)
    if place.interface:
        yield _udp6(place.interface, port, respond, group6, announce)


def _udp(
    place: Place,
    port: int,
    respond: Respond,
    group: str | None = None,
    announce: Announce = tuple,
) -> _Datagrams:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address = "" if place.interface else place.ip
        sock.bind((address, place.port(port)))
        if place.interface is None or group is None:
            return _Datagrams(sock, respond)
        index = socket.if_nametoindex(place.interface)
        member = struct.pack("@4s4si", socket.inet_aton(group), bytes(4), index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        sock.setsockopt(
            socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("@4s4si", bytes(4), bytes(4), index)
        )
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255 if port == dns.PORT else 1)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"{place.ip}:{place.port(port)}/udp: {error.strerror}") from None
    return _Datagrams(sock, respond, (group, port), announce)


def _udp6(interface: str, port: int, respond: Respond, group: str, announce: Announce) -> _Datagrams:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("::", port))
        index = socket.if_nametoindex(interface)
        member = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@i", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    except OSError:
        sock.close()
        raise
    return _Datagrams(sock, respond, (group, port, 0, index), announce)


def _tcp_socket(place: Place, port: int) -> socket.socket:
    try:
        if place.interface:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server((place.ip, port))
    except OSError as error:
        raise OSError(error.errno, f"{place.ip}:{port}/tcp: {error.strerror}") from None

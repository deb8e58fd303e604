"""Hosts on loopback that answer, or misbehave, in one way each, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.ask import Asking, Patience, Plan
from agent.neighbours import Neighbours
from agent.pace import PROFILES, Pace, Profile
from agent.scope import Scope
from agent.wire import SIGHTING, Ask, Message, Probe, Target
from fingerprints.model import Problem

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HASTY = Patience(connect=0.5, handshake=1.0, first=0.4, idle=0.3, reply=1.6, linger=0.2)
NOBODY = Neighbours(read=tuple)


@dataclass(frozen=True, slots=True)
class Living:
    """A live host as the sweep would tell it."""

    ip: str
    mac: str | None = None
    how: str = "tcp"
    rtt: float | None = None


@dataclass(slots=True)
class Outcome:
    """What one round of questions emitted."""

    messages: list[Message] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    asking: Asking | None = None

    def said(self, protocol: str) -> list[Message]:
        return [message for message in self.messages if message.protocol == protocol]

    @property
    def kinds(self) -> list[str]:
        return [problem.kind for problem in self.problems]

    @property
    def open_ports(self) -> list[int | None]:
        return [message.sender.port for message in self.said("tcp.open")]

    @property
    def sighted(self) -> list[str | None]:
        return [message.sender.ip for message in self.said(SIGHTING)]


@contextlib.asynccontextmanager
async def standing(
    ip: str, *services: tuple[int, Serve], tls: ssl.SSLContext | None = None
) -> AsyncIterator[list[int]]:
    """Servers on `ip`, each at its port (0: any): the ports they have; `tls` goes to all."""
    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for port, serve in services:
            server = await asyncio.start_server(_quietly(serve), ip, port, ssl=tls)
            stack.callback(server.close)
            ports.append(server.sockets[0].getsockname()[1])
        yield ports


def _quietly(serve: Serve) -> Serve:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.transport.abort()

    return accept


async def ask(
    scope: str | Iterable[str],
    probes: Iterable[Probe],
    alive: Iterable[Living],
    plan: Plan,
    profile: Profile = PROFILES["thorough"],
) -> Outcome:
    """One whole round over loopback, with short patience."""

    async def hosts() -> AsyncIterator[Living]:
        for living in alive:
            yield living

    outcome = Outcome()
    tokens = [scope] if isinstance(scope, str) else list(scope)
    outcome.asking = Asking(
        Scope.parse(tokens),
        tuple(probes),
        Pace(profile),
        outcome.messages.append,
        outcome.problems.append,
        plan=plan,
        neighbours=NOBODY,
    )
    await outcome.asking.run(hosts())
    return outcome


def http_probe(name: str = "http", path: str = "/", ports: tuple[int, ...] = (), **more: object) -> Probe:
    """A probe that asks for `path` by HTTP."""

    def hello(target: Target) -> tuple[Ask, ...]:
        return (get(path, f"{target.ip}:{target.port}"),)

    return probe(name, "tcp", ports, hello, **more)


def rtsp_probe(ports: tuple[int, ...] = ()) -> Probe:
    """A probe that asks for OPTIONS by RTSP."""

    def hello(target: Target) -> tuple[Ask, ...]:
        request = f"OPTIONS rtsp://{target.ip}:{target.port}/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"
        return (Ask(request.encode(), "OPTIONS", lambda got: got.endswith(b"\r\n\r\n")),)

    return probe("rtsp", "tcp", ports, hello)


def probe(name: str, transport: str, ports: tuple[int, ...], hello: object, **more: object) -> Probe:
    """A probe whose dissector is never called here: the engine moves bytes, it reads none."""

    def unread(_payload: bytes, _asked: bytes) -> object:
        raise AssertionError

    return Probe(name, transport, ports, (), lambda _payload: False, unread, hello, **more)  # type: ignore[arg-type]


def get(path: str, host: str, **more: object) -> Ask:
    """A GET whose answer is whole when its head has come with an empty line."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    return Ask(request.encode(), f"GET {path}", lambda got: got.endswith(b"\r\n\r\n"), **more)  # type: ignore[arg-type]


def web(seen: list[str] | None = None) -> Serve:
    """A web server: answers each path with itself in a header, keeps the connection open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            words = head.decode("latin-1").split("\r\n")[0].split(" ")
            if not words[-1].startswith("HTTP/"):
                return
            if seen is not None:
                seen.append(words[1])
            writer.write(f"HTTP/1.1 200 OK\r\nX-Path: {words[1]}\r\nContent-Length: 0\r\n\r\n".encode())

    return serve


async def media(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An RTSP server that answers anything in RTSP."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: media\r\n\r\n")
    await reader.read()


async def nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accepts and says nothing."""
    while await reader.read(100):
        pass


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A head at once, then one byte at a time, for ever."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        await asyncio.sleep(0.1)
        writer.write(b"x")


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An answer without end, as fast as it goes."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"y" * 10_000)
        await writer.drain()


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Resets at once."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes that are no protocol of ours."""
    await reader.read(100)
    writer.write(b"\xff\xfe\x00garbage")


def server_context(folder: Path) -> ssl.SSLContext:
    """A TLS server with a self-signed certificate, its key made here."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "camera.example")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context

"""Says one thing over a TCP or TLS connection, then hears the answer within bounds.

What the far side may do is bounded three ways: bytes (`MAX_PAYLOAD`), time in all, and least
progress, so that one byte a second holds nobody.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from dataclasses import dataclass
from typing import Final, Literal

from agent.wire import MAX_PAYLOAD, Ask

__all__ = ["Line", "Patience", "Reply", "open_line", "open_tls"]

_CHUNK: Final = 16_384
_WINDOW_SECONDS: Final = 1.0
_WINDOW_BYTES: Final = 256
_EAGER_CHECKS: Final = 16
_CHECK_EVERY: Final = 1_024


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for a connection, a handshake, the first byte, the next one, all of it.

    `soon` is when most datagrams have been answered, `linger` when the last may be (a second
    for SSDP's MX of 1, half of one for WS-Discovery), counted from the question.
    """

    connect: float = 1.5
    handshake: float = 4.0
    first: float = 3.0
    idle: float = 1.5
    reply: float = 6.0
    soon: float = 0.3
    linger: float = 1.2


Ended = Literal["whole", "closed", "reset", "silent", "slow", "late", "long"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, and what ended it: ``silent`` with no bytes means nothing was said at all."""

    payload: bytes
    ended: Ended

    @property
    def whole(self) -> bool:
        """Whether the far side had no more to say, as far as can be told."""
        return self.ended in {"whole", "closed"}


class Line:
    """One open connection. `certificate` is the far side's in DER, on TLS."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, certificate: bytes | None
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.certificate: Final = certificate
        self.local: Final = str(writer.get_extra_info("sockname", ("",))[0]).partition("%")[0]

    async def exchange(self, ask: Ask, patience: Patience) -> Reply:
        """Send the question; the answer, with what ended it. Raises nothing but cancellation."""
        received = bytearray()
        try:
            self._writer.write(ask.payload)
            async with asyncio.timeout(patience.first):
                await self._writer.drain()
            ended = await self._receive(received, ask, patience)
            return Reply(bytes(received), ended)
        except TimeoutError:
            return Reply(b"", "silent")
        except OSError:
            return Reply(bytes(received), "reset")

    async def _receive(self, received: bytearray, ask: Ask, patience: Patience) -> Ended:
        loop = asyncio.get_running_loop()
        end = loop.time() + patience.reply
        window, progress = loop.time(), 0
        checked = checks = 0
        while True:
            try:
                wait = patience.idle if received else patience.first
                async with asyncio.timeout(min(wait, end - loop.time())):
                    chunk = await self._reader.read(_CHUNK)
            except TimeoutError:
                return "late" if loop.time() >= end else "silent"
            if not chunk:
                return "closed"
            received += chunk[: MAX_PAYLOAD - len(received)]
            # Looking at every byte again for every byte that comes would be the sender's to abuse.
            if checks < _EAGER_CHECKS or len(received) - checked >= _CHECK_EVERY:
                checks, checked = checks + 1, len(received)
                if ask.whole is not None and ask.whole(bytes(received)):
                    return "whole"
            if len(received) >= MAX_PAYLOAD:
                return "long"
            progress += len(chunk)
            if loop.time() - window >= _WINDOW_SECONDS:
                if progress < _WINDOW_BYTES:
                    return "slow"
                window, progress = loop.time(), 0

    def close(self) -> None:
        """Give the connection up at once: no goodbye is waited for."""
        self._writer.transport.abort()


async def open_line(sock: socket.socket) -> Line:
    """Speak in clear over a connected socket, which the Line then owns."""
    reader, writer = await asyncio.open_connection(sock=sock, limit=MAX_PAYLOAD)
    return Line(reader, writer, None)


async def open_tls(sock: socket.socket, patience: Patience) -> Line:
    """Speak TLS over a connected socket, which the Line then owns; any certificate will do.

    Raises OSError (``ssl.SSLError`` among them) when the handshake fails or takes too long.
    """
    reader, writer = await asyncio.open_connection(
        sock=sock,
        limit=MAX_PAYLOAD,
        ssl=_context(),
        server_hostname="",
        ssl_handshake_timeout=patience.handshake,
        ssl_shutdown_timeout=0.1,
    )
    encrypted: ssl.SSLObject = writer.get_extra_info("ssl_object")
    return Line(reader, writer, encrypted.getpeercert(binary_form=True))


@functools.cache
def _context() -> ssl.SSLContext:
    """TLS as old cameras speak it: any version and cipher OpenSSL still has, nothing verified.

    Nothing secret is ever sent in these connections; the certificate itself is the evidence.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    # Servers older than RFC 5746 (2010) are refused otherwise.
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)
    return context

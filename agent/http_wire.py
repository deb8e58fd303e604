"""HTTP/1.1 framing as bytes: requests we send, answers taken apart.

Shared by every probe whose words travel in HTTP (web servers, SOAP, UPnP) or look like
it (SSDP). Tolerant, because cameras are: bare line feeds, missing reason phrases and
wrong lengths are read as far as they make sense. Nothing here raises, whatever the bytes.

Framing after RFC 9112 (message body length: section 6.3; chunks: 7.1; folded lines: 5.2),
content codings after RFC 9110 section 8.4.1.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent.wire import Transport

__all__ = [
    "MAX_BODY",
    "MAX_HEADERS",
    "Head",
    "Response",
    "authority",
    "build_request",
    "split_head",
    "split_response",
    "split_url",
    "whole_response",
]

MAX_BODY: Final = 65_536
"""Most bytes of a decoded body; the rest is dropped unread, so a gzip bomb stays small."""

MAX_HEADERS: Final = 128
"""Most header lines that are looked at."""

_MAX_START: Final = 2_048
_MAX_LINE: Final = 8_192
_MAX_CHUNKS: Final = 4_096
_MAX_INTERIM: Final = 4

_STATUS_LINE: Final = re.compile(rb"[\r\n]{0,4}HTTP/(\d(?:\.\d)?)[ \t]+(\d{3})(?=[ \t\r\n])[ \t]*([^\r\n]*)")
_CHUNK_SIZE: Final = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[^\r\n]{0,256}\r?\n")
_UNSAFE: Final = re.compile(rb"[^\x21-\x7e]")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")

_URL: Final = re.compile(
    r"(https?)://(\[[0-9a-f:.]{2,45}(?:%[\w.-]{1,32})?\]|[\w.-]{1,255})(?::(\d{1,5}))?((?:[/?][^#\s]{0,1024})?)(?:#\S*)?",
    re.ASCII | re.IGNORECASE,
)

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Head:
    """A start line with its headers: names in lower case, in the order and number sent.

    Only lines whose end was seen are here. A folded line counts as one more header of the
    same name, so that a cut never changes a text. `end` is where the body starts, or None
    while the empty line has not come.
    """

    start: str
    headers: Headers
    end: int | None

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of the header `name` (lower case), without the empty ones."""
        return tuple(value for key, value in self.headers if key == name and value)

    def first(self, name: str) -> str:
        """The first value of the header `name` (lower case), or an empty text."""
        return next(iter(self.values(name)), "")


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer taken apart.

    `body` has chunks and content coding undone, at most `MAX_BODY` bytes. `whole` says
    that the framing proves the body complete: False when it is cut, and also for a body
    that only the close of the connection ends.
    """

    status: int
    reason: str
    head: Head
    body: bytes
    whole: bool


def authority(ip: str, port: int, transport: Transport = "tcp") -> str:
    """Host header text of a target: IPv6 in brackets, the port unless it is the scheme's own.

    A zone index means nothing to the far side (RFC 6874 section 4), so it is left out.
    """
    host = ip.partition("%")[0]
    if ":" in host:
        host = f"[{host}]"
    return host if port == (443 if transport == "tls" else 80) else f"{host}:{port}"


def build_request(
    method: str,
    path: str,
    host: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> bytes:
    """A complete HTTP/1.1 request that asks the server to close afterwards.

    `host` is the Host header as `authority` gives it. `path` may come from the network:
    whatever could end the line or hide in it is percent-encoded.
    """
    lines = [
        f"{method} {_visible(path) or '/'} HTTP/1.1",
        f"Host: {_visible(host)}",
        "User-Agent: camcensus",
        "Accept: */*",
        "Connection: close",
        *(f"{name}: {' '.join(value.split())}" for name, value in headers),
    ]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8") + body


def split_url(url: str) -> tuple[Transport, str, int, str] | None:
    """Transport, host (canonical where it is an address), port and path with query of a URL.

    None for anything but http and https without user names, with a port that exists.
    """
    found = _URL.fullmatch(url.strip())
    if not found:
        return None
    scheme, host, digits, path = found.groups()
    tls = scheme.lower() == "https"
    port = int(digits) if digits else (443 if tls else 80)
    host = host.strip("[]").partition("%")[0].lower()
    with contextlib.suppress(ValueError):
        host = str(ipaddress.ip_address(host))
    return ("tls" if tls else "tcp", host, port, path or "/") if 0 < port < 65_536 else None


def split_head(payload: bytes, start: int = 0) -> Head:
    """Start line and headers of a request, answer or bare header block at `start`.

    Empty lines before the start line are skipped. A start line that has not ended gives
    an empty text.
    """
    at = start
    while payload[at : at + 1] in (b"\r", b"\n"):
        at += 1
    end = payload.find(b"\n", at, at + _MAX_START)
    if end < 0:
        return Head("", (), None)
    first = _text(payload[at:end])
    headers: list[tuple[str, str]] = []
    at = end + 1
    for _ in range(MAX_HEADERS):
        end = payload.find(b"\n", at, at + _MAX_LINE)
        if end < 0:
            return Head(first, tuple(headers), None)
        line = payload[at:end].rstrip(b"\r")
        at = end + 1
        if not line:
            return Head(first, tuple(headers), at)
        if line[:1] in (b" ", b"\t"):
            if headers:
                headers.append((headers[-1][0], _text(line)))
            continue
        name, colon, value = line.partition(b":")
        if colon and (key := _TOKEN.fullmatch(_text(name))):
            headers.append((key.group().lower(), _text(value)))
    return Head(first, tuple(headers), None)


def split_response(payload: bytes) -> Response | None:
    """Take an HTTP answer apart, or None when the bytes do not start with a status line.

    Interim answers (100 Continue) are passed over.
    """
    at = 0
    for _ in range(_MAX_INTERIM):
        found = _STATUS_LINE.match(payload, at)
        if not found:
            return None
        head = split_head(payload, at)
        status = int(found.group(2))
        if head.end is None or not 100 <= status < 200:
            break
        at = head.end
    else:
        return None
    reason = _text(found.group(3)) if head.start else ""
    if head.end is None:
        return Response(status, reason, head, b"", whole=False)
    raw, whole = _body(head, status, payload[head.end :])
    return Response(status, reason, head, _decoded(raw, head.first("content-encoding")), whole)


def whole_response(received: bytes) -> bool:
    """Whether a complete HTTP answer has come, so that reading may stop before the close.

    Bytes that are no HTTP answer, or have no framing of their own, are never whole here:
    the reader goes on until the close, silence or its bound.
    """
    answer = split_response(received)
    return answer is not None and answer.whole


def _body(head: Head, status: int, rest: bytes) -> tuple[bytes, bool]:
    """The body before content decoding, with whether its framing says it is complete."""
    if status in (204, 304):
        return b"", True
    if "chunked" in head.first("transfer-encoding").lower():
        return _unchunk(rest)
    length = head.first("content-length")
    if length.isdecimal() and length.isascii() and len(length) < 16:
        wanted = int(length)
        return rest[: min(wanted, MAX_BODY)], len(rest) >= wanted
    return rest[:MAX_BODY], False


def _unchunk(rest: bytes) -> tuple[bytes, bool]:
    """Chunks joined as far as they came; a broken size line ends the body there."""
    parts: list[bytes] = []
    at = total = 0
    for _ in range(_MAX_CHUNKS):
        found = _CHUNK_SIZE.match(rest, at)
        if not found:
            break
        size = int(found.group(1), 16)
        at = found.end()
        if size == 0:
            return b"".join(parts)[:MAX_BODY], True
        parts.append(rest[at : at + size])
        total += size
        at += size
        if rest[at : at + 2] == b"\r\n":
            at += 2
        elif rest[at : at + 1] == b"\n":
            at += 1
        if total > MAX_BODY:
            break
    return b"".join(parts)[:MAX_BODY], False


def _decoded(raw: bytes, coding: str) -> bytes:
    """The body without gzip or deflate; as it is when it is not what its header says."""
    name = coding.strip().lower()
    windows: tuple[int, ...]
    if name in ("gzip", "x-gzip"):
        windows = (31,)
    elif name == "deflate":
        # Servers send deflate with the zlib wrapper (as the standard says) or without it.
        windows = (15, -15)
    else:
        return raw
    for window in windows:
        try:
            return zlib.decompressobj(window).decompress(raw, MAX_BODY)
        except zlib.error:
            continue
    return raw


def _visible(text: str) -> str:
    return _UNSAFE.sub(lambda byte: b"%%%02X" % byte.group()[0], text.encode("utf-8", "replace")).decode(
        "ascii"
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").replace("\0", "").strip()

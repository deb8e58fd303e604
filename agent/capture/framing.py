"""Says how many more bytes a TCP message wants, judged by its beginning.

Text protocols have a head with a length in it (RFC 9112 section 6, RFC 2326 section 12.14), TLS has
records (RFC 8446 section 5.1); of anything else the first bytes must do. Media has no end worth waiting for.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["FIRST", "missing"]

FIRST: Final = 4_096
"""Bytes of a message without framing that are read."""

_MAX_HEAD: Final = 16_384
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_TEXT: Final = re.compile(rb"[\r\n]{0,4}[A-Z_]{3,16}[ /]")
_LENGTH: Final = re.compile(rb"\ncontent-length[ \t]*:[ \t]*(\d{1,9})", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\ntransfer-encoding[ \t]*:[^\r\n]{0,64}chunked", re.IGNORECASE)
_MEDIA: Final = re.compile(
    rb"\ncontent-type[ \t]*:[ \t]*(?:image/jpe?g|video/|audio/|multipart/x-|application/(?:octet-stream|x-rtsp))",
    re.IGNORECASE,
)
_BODILESS: Final = re.compile(rb"HTTP/\d\.\d +(?:1\d\d|204|304)")
_CHUNK: Final = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[^\r\n]{0,256}\r?\n")
_HANDSHAKE: Final = 22
_LAST_READ: Final = frozenset({1, 11})
"""Handshake messages behind which nothing is read: ClientHello, Certificate."""


def missing(message: bytes) -> int:
    """At least how many bytes are still to come; 0 when the message is whole or its rest does not matter."""
    if message[:2] == b"\x16\x03":
        return _missing_of_tls(message)
    if _TEXT.match(message):
        return _missing_of_text(message)
    return max(0, FIRST - len(message))


def _missing_of_text(message: bytes) -> int:
    end = _HEAD_END.search(message, 0, _MAX_HEAD)
    if end is None:
        return 1 if len(message) < _MAX_HEAD else 0
    head = message[: end.start() + 1]
    answer = head.startswith(b"HTTP/")
    if _MEDIA.search(head) or (answer and _BODILESS.match(head)):
        return 0
    if _CHUNKED.search(head):
        return _missing_of_chunks(message, end.end())
    length = _LENGTH.search(head)
    if length is not None:
        return max(0, end.end() + int(length[1]) - len(message))
    # An HTTP answer without a length goes on until the connection ends.
    return int(answer)


def _missing_of_chunks(message: bytes, at: int) -> int:
    while found := _CHUNK.match(message, at):
        size = int(found[1], 16)
        if size == 0:
            return 0
        at = found.end() + size + 2
        if at > len(message):
            return at - len(message)
    return 1


def _missing_of_tls(message: bytes) -> int:
    """Records up to the end of the ClientHello or of the Certificate."""
    at = 0
    said = bytearray()
    while at + 5 <= len(message):
        if message[at] != _HANDSHAKE:
            return 0
        length = int.from_bytes(message[at + 3 : at + 5])
        said += message[at + 5 : at + 5 + length]
        at += 5 + length
    place = 0
    while place + 4 <= len(said):
        end = place + 4 + int.from_bytes(said[place + 1 : place + 4])
        if end > len(said):
            break
        if said[place] in _LAST_READ:
            return 0
        place = end
    return max(1, at - len(message))

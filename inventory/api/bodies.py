"""Reads the body of a request, never more than it may be."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest

from inventory.unpacking import BodyError

__all__ = ["is_gzip", "sent"]

_PIECE: Final = 1 << 20


def is_gzip(request: HttpRequest) -> bool:
    """Whether the body is in gzip; raises `BodyError` for what is neither that nor plain."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise BodyError(415, "the encoding is neither gzip nor none")
    return encoding == "gzip"


def sent(request: HttpRequest, most: int) -> bytes:
    """The body as it was sent; raises `BodyError`."""
    length = request.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length[:18]) > most:
        raise BodyError(413, f"a report is at most {most} bytes as it is sent: send it in parts")
    pieces, size = [], 0
    while piece := request.read(_PIECE):
        size += len(piece)
        if size > most:
            raise BodyError(413, f"a report is at most {most} bytes as it is sent: send it in parts")
        pieces.append(piece)
    return b"".join(pieces)

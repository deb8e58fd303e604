"""Unpacks what a client sends, never more than it may."""

from __future__ import annotations

import json
import zlib
from typing import Any, Final

import orjson
from django.http import HttpRequest

__all__ = ["BodyError", "read_json", "unpacked"]

_PIECE: Final = 1 << 20


class BodyError(Exception):
    """A body is not taken: `status` is what HTTP calls it."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status


def unpacked(request: HttpRequest, most_sent: int, most: int) -> bytes:
    """The body, taken out of gzip where it says so; raises `BodyError`."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise BodyError(415, "the encoding is neither gzip nor none")
    length = request.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length[:18]) > most_sent:
        raise BodyError(413, f"a report is at most {most_sent} bytes as it is sent: send it in parts")
    pieces, sent, size = [], 0, 0
    unzip = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    while piece := request.read(_PIECE):
        sent += len(piece)
        try:
            plain = unzip.decompress(piece, most - size + 1) if unzip is not None else piece
        except zlib.error as error:
            raise BodyError(400, "the body is not gzip") from error
        size += len(plain)
        if sent > most_sent or size > most:
            raise BodyError(413, f"a report is at most {most} bytes: send it in parts")
        pieces.append(plain)
    if unzip is not None and not unzip.eof:
        raise BodyError(400, "the gzip body is cut short")
    return b"".join(pieces)


def read_json(body: bytes) -> Any:
    """The JSON document in `body`; raises `BodyError`."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    # Half a surrogate pair is what a device may have said: it is replaced, the rest is read.
    try:
        loose = json.dumps(json.loads(body), ensure_ascii=False, allow_nan=False)
        return orjson.loads(loose.encode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise BodyError(400, "the body is not JSON") from error

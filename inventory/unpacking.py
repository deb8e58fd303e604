"""Unpacks what a client sends, never more than it may."""

from __future__ import annotations

import json
import zlib
from typing import Any, Final

import msgspec
import orjson

__all__ = ["BodyError", "gunzipped", "read_json", "read_report"]

_PIECE: Final = 1 << 20
_frame: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_rows: Final = msgspec.json.Decoder(list[msgspec.Raw])


class BodyError(Exception):
    """A body is not taken: `status` is what HTTP calls it."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status


def gunzipped(body: bytes, most: int) -> bytes:
    """What is in gzip `body`, at most `most` bytes; raises `BodyError`."""
    unzip = zlib.decompressobj(wbits=31)
    pieces, size = [], 0
    for start in range(0, len(body), _PIECE):
        try:
            plain = unzip.decompress(body[start : start + _PIECE], most - size + 1)
        except zlib.error as error:
            raise BodyError(400, "the body is not gzip") from error
        size += len(plain)
        if size > most:
            raise BodyError(413, f"a report is at most {most} bytes: send it in parts")
        pieces.append(plain)
    if not unzip.eof:
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


def read_report(body: bytes) -> Any:
    """The report in `body`, with its `devices` left as the bytes that they are; raises `BodyError`."""
    try:
        frame: dict[str, Any] = dict(_frame.decode(body))
        for key, raw in frame.items():
            text = memoryview(raw)
            is_list = key == "devices" and bytes(text[:1]) == b"["
            frame[key] = _rows.decode(text) if is_list else orjson.loads(text)
    except (msgspec.MsgspecError, orjson.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return read_json(body)
    return frame

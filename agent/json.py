"""Tolerant reading of JSON that may be cut, broken or a fragment.

Devices send JSON in datagrams that a capture cuts, and now and then JSON that is not
valid at all (one recorded answer lacks a closing quote). `leaves` gives what was certain
before that point. Grammar after RFC 8259.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Final

from agent.wire import MAX_PAYLOAD, Malformed

__all__ = ["MAX_DEPTH", "leaves"]

MAX_DEPTH: Final = 32
"""Deepest nesting that is read."""

_TOKEN: Final = re.compile(
    rb"""[\s\0]*+(?:(?P<mark>[{}\[\]:,])|"(?P<string>(?:[^"\\]|\\.)*+)"|(?P<word>[A-Za-z0-9+.-]++))""",
    re.DOTALL,
)
_CUT: Final = re.compile(rb"""[\s\0]*+(?:"(?:[^"\\]|\\.)*+\\?)?\Z""", re.DOTALL)
_SCALAR: Final = re.compile(rb"-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,4})?|true|false|null")


def leaves(payload: bytes) -> Iterator[tuple[tuple[str, ...], str]]:
    """Scalars of the first JSON value in `payload`, as (keys from the outermost, text).

    Strings are unescaped, numbers and ``true``/``false`` stay as written, null and empty
    strings are left out; the elements of an array carry the array's own keys. A payload
    that starts with a key is read as the inside of an object. A scalar is given once the
    comma or bracket after it was seen. Raises `Malformed` where the text makes no sense.
    """
    # One entry for each open container: the keys that lead to it, and the bracket that ends it.
    opened: list[tuple[tuple[str, ...], str]] = []
    key: tuple[str, ...] = ()
    held: str | None = None
    for at, mark, text in _tokens(payload[:MAX_PAYLOAD].removeprefix(b"\xef\xbb\xbf")):
        if mark and not opened and mark not in "{[":
            # The text starts inside an object whose beginning nobody recorded.
            opened.append(((), "}"))
        path = opened[-1][0] if opened else ()
        if not mark:
            if held is not None:
                raise Malformed("JSON values without a comma between them", at)
            held = text
        elif mark == ":":
            key, held = (held or "",), None
        elif mark in "{[":
            if held is not None or len(opened) >= MAX_DEPTH:
                raise Malformed("JSON container out of place or too deep", at)
            opened.append(((*path, *key), "}" if mark == "{" else "]"))
            key = ()
        else:
            if held and (key or opened[-1][1] == "]"):
                yield (*path, *key), held
            key, held = (), None
            if mark != "," and mark != opened.pop()[1]:
                raise Malformed("JSON bracket that opens nothing", at)
            if not opened:
                return


def _tokens(payload: bytes) -> Iterator[tuple[int, str, str]]:
    """Marks as (offset, mark, "") with scalars as (offset, "", text), up to where the payload is cut."""
    at = 0
    while found := _TOKEN.match(payload, at):
        kind = found.lastgroup or ""
        raw, start, at = found.group(kind), found.start(kind), found.end()
        if kind == "mark":
            yield start, raw.decode("ascii"), ""
        elif kind == "string":
            yield start - 1, "", _unescaped(raw)
        elif at == len(payload):
            return
        elif not _SCALAR.fullmatch(raw):
            raise Malformed("no JSON value", start)
        else:
            yield start, "", "" if raw == b"null" else raw.decode("ascii")
    if not _CUT.match(payload, at):
        raise Malformed("no JSON", at)


def _unescaped(raw: bytes) -> str:
    """The text of a JSON string; its raw form where the escapes are wrong."""
    text = raw.decode("utf-8", "replace")
    with contextlib.suppress(ValueError):
        text = str(json.loads(f'"{text}"', strict=False))
    # A lone surrogate escape is legal JSON, and text that no encoder takes.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "")

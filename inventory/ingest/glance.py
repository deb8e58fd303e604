"""Tells from the bytes of a device object whether they say what was said last time.

Of a fleet that is scanned each day most devices say the same, but for the times. Reading all of an object
to find that out costs more than all else; here it is skipped over, once, and its bytes are hashed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec
import orjson

from inventory.ingest.reading import Refused, address_of, moment
from inventory.unpacking import BodyError, read_json

__all__ = ["Glance", "clock", "glance", "raw_of", "whole"]

_MAX_ADDRESSES: Final = 16
_MAX_VLAN: Final = 4_095
_TIMES: Final = re.compile(rb'_seen": ?"[^"\\]*"')
"""The value of a key that ends so: a quote within a text has a backslash before it, so none is in a text."""


class _Row(msgspec.Struct, gc=False):
    """What is read of a device object; all else is skipped."""

    id: str
    site: str | None = None
    first_seen: str | None = None
    last_seen: str | None = None
    addresses: list[str] | None = None
    vlans: list[int] | None = None


_decoder: Final = msgspec.json.Decoder(_Row)


@dataclass(slots=True)
class Glance:
    """Where and when a device was seen, with the digest of the bytes that say all the rest."""

    id: str
    site: str | None
    first: datetime
    last: datetime
    addresses: tuple[str, ...]
    vlan: int | None
    digest: str


def raw_of(row: object) -> bytes | None:
    """The bytes of a device object, which may have been read already; None where they are none."""
    if isinstance(row, msgspec.Raw):
        return bytes(row)
    try:
        return orjson.dumps(row)
    except TypeError:
        return None


def whole(row: object) -> object:
    """The object itself; raises `Refused` where its bytes are not JSON."""
    if not isinstance(row, msgspec.Raw):
        return row
    try:
        return read_json(bytes(row))
    except BodyError:
        raise Refused("is not JSON") from None


def clock(default: datetime, now: datetime) -> Callable[[str | None], datetime]:
    """Reads times as `moment` does, the same text once; None is `default`."""
    known: dict[str | None, datetime] = {None: default}

    def read(text: str | None) -> datetime:
        at = known.get(text)
        if at is None:
            at = known[text] = moment(text, now, "a time") or default
        return at

    return read


def glance(raw: bytes, read: Callable[[str | None], datetime]) -> Glance | None:
    """What can be told without reading all of it; None: only reading will tell what is wrong with it."""
    try:
        row = _decoder.decode(raw)
        last = read(row.last_seen)
        first = last if row.first_seen is None else read(row.first_seen)
        addresses = tuple(address_of(text) for text in (row.addresses or ())[:_MAX_ADDRESSES])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, Refused):
        return None
    vlan = row.vlans[0] if row.vlans else None
    if not row.id or first > last or (vlan is not None and not 0 <= vlan <= _MAX_VLAN):
        return None
    digest = sha256(_TIMES.sub(b"", raw)).hexdigest()[:32]
    return Glance(row.id, row.site, first, last, addresses, vlan, digest)

"""Reads fixed places of binary answers: texts, addresses, tagged values.

Nothing that is cut short is given: each reader answers with an empty text, or stops, where the
bytes do not reach.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator

__all__ = ["address_text", "mac_text", "placed_text", "plain_text", "tagged"]


def plain_text(raw: bytes) -> str:
    """The text before the first NUL, decoded as UTF-8 with replacement, stripped."""
    return raw.partition(b"\0")[0].decode("utf-8", "replace").strip()


def placed_text(payload: bytes, start: int, size: int) -> str:
    """The text in a place of `size` bytes; empty without a NUL there: it may have been cut to fit."""
    place = payload[start : start + size]
    return plain_text(place) if b"\0" in place else ""


def mac_text(raw: bytes) -> str:
    """Six bytes as ``aa:bb:cc:dd:ee:ff``; empty for fewer, for none set and for all set."""
    return raw.hex(":") if len(raw) == 6 and any(raw) and raw != b"\xff" * 6 else ""


def address_text(raw: bytes) -> str:
    """Four bytes (IPv4) or sixteen (IPv6) as an address; empty for another size and for none set."""
    return str(ipaddress.ip_address(raw)) if len(raw) in {4, 16} and any(raw) else ""


def tagged(payload: bytes, start: int, head: struct.Struct) -> Iterator[tuple[int, int, bytes]]:
    """Values that `head` announces by tag and length, as (offset of the head, tag, value), up to a cut."""
    at = start
    while at + head.size <= len(payload):
        tag, size = head.unpack_from(payload, at)
        value = payload[at + head.size : at + head.size + size]
        if len(value) < size:
            return
        yield at, tag, value
        at += head.size + size

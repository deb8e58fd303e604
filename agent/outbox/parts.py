"""Cuts a report into parts small enough to be sent, each with what changed in it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["DEVICES", "Part", "changes_of", "parts_of", "unpacked"]

DEVICES: Final = 500
"""Most devices of a part: what the inventory stores in one transaction."""
_BYTES: Final = 4 * 1024 * 1024
_PACKED: Final = 700 * 1024
"""Most bytes of a packed part, for a carrier takes 1 MiB with what stands beside it."""
_VOLATILE: Final = frozenset({"first_seen", "last_seen"})
"""What differs with every scan, and alone is no change."""


_Row = tuple[str, bytes, str, bool]


@dataclass(frozen=True, slots=True)
class Part:
    """One part, packed, with the digests of its devices by their keys; `changed` are the places of new ones."""

    body: bytes
    digests: Mapping[str, bytes]
    changed: tuple[int, ...]


def parts_of(
    document: Mapping[str, Any], known: Mapping[str, bytes], largest: int = DEVICES
) -> Iterator[Part]:
    """The parts of a report; one without devices where it has none.

    `known` are the digests that devices had when they were sent last. Each part says what the run
    covered, for nobody knows which will come first.
    """
    rest = {name: value for name, value in document.items() if name != "devices"}
    group: list[_Row] = []
    size = 0
    empty = True
    for device in document.get("devices", ()):
        key, digest = _key(device), _digest(device)
        text = json.dumps(device, ensure_ascii=False, separators=(",", ":"))
        if group and (len(group) >= largest or size + len(text) > _BYTES):
            yield from _part(rest, group)
            group, size = [], 0
        group.append((key, digest, text, known.get(key) != digest))
        size += len(text)
        empty = False
    if group or empty:
        yield from _part(rest, group)


def changes_of(body: bytes, changed: Sequence[int]) -> bytes:
    """A part again, with nothing but its changes; it says that it is not the whole."""
    document = unpacked(body)
    devices = document.pop("devices")
    document["coverage"] = {**document.get("coverage", {}), "incomplete": True}
    kept = [json.dumps(devices[place], ensure_ascii=False, separators=(",", ":")) for place in changed]
    return _packed(document, kept)


def unpacked(body: bytes) -> dict[str, Any]:
    """The report of a body of ours."""
    found: dict[str, Any] = json.loads(gzip.decompress(body))
    return found


def _part(rest: Mapping[str, Any], group: Sequence[_Row]) -> Iterator[Part]:
    body = _packed(rest, [text for _, _, text, _ in group])
    if len(body) > _PACKED and len(group) > 1:
        # What hardly packs (random bytes) is halved until it fits.
        yield from _part(rest, group[: len(group) // 2])
        yield from _part(rest, group[len(group) // 2 :])
        return
    changed = tuple(place for place, row in enumerate(group) if row[3])
    yield Part(body, {key: digest for key, digest, _, _ in group}, changed)


def _packed(rest: Mapping[str, Any], devices: Sequence[str]) -> bytes:
    head = json.dumps(rest, ensure_ascii=False, separators=(",", ":"))[:-1]
    comma = "," if len(head) > 1 else ""
    return gzip.compress(f'{head}{comma}"devices":[{",".join(devices)}]}}'.encode(), 6, mtime=0)


def _key(device: Mapping[str, Any]) -> str:
    """What a device is told again by, from scan to scan."""
    addresses = device.get("addresses") or [""]
    return str(device.get("mac") or device.get("serial") or device.get("id") or addresses[0])[:200]


def _digest(device: Mapping[str, Any]) -> bytes:
    lasting = {name: value for name, value in device.items() if name not in _VOLATILE}
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).digest()[:16]

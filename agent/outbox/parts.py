"""Cuts a report into parts small enough to be sent, what changed apart from what did not."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["DEVICES", "Part", "parts_of", "unpacked"]

DEVICES: Final = 500
"""Most devices of a part: what the inventory stores in one transaction."""
_BYTES: Final = 4 * 1024 * 1024
_PACKED: Final = 700 * 1024
"""Most bytes of a packed part, for a carrier takes 1 MiB with what stands beside it."""
_VOLATILE: Final = frozenset({"first_seen", "last_seen"})
"""What differs with every scan, and alone is no change."""


_Row = tuple[str, bytes, str]


@dataclass(frozen=True, slots=True)
class Part:
    """One part, packed, with the digests of its devices by their keys; `changed`: something in it is new."""

    body: bytes
    digests: Mapping[str, bytes]
    changed: bool


def parts_of(
    document: Mapping[str, Any], known: Mapping[str, bytes], largest: int = DEVICES
) -> Iterator[Part]:
    """The parts of a report, those with changes first; one without devices where it has none.

    `known` are the digests that devices had when they were sent last. Each part says what the run
    covered, for nobody knows which will come first.
    """
    rest = {name: value for name, value in document.items() if name != "devices"}
    changed: list[_Row] = []
    same: list[_Row] = []
    for device in document.get("devices", ()):
        row = (_key(device), _digest(device), json.dumps(device, ensure_ascii=False, separators=(",", ":")))
        (same if known.get(row[0]) == row[1] else changed).append(row)
    if not changed and not same:
        yield Part(_packed(rest, ()), {}, changed=True)
    yield from _cut(rest, changed, largest, changed=True)
    yield from _cut(rest, same, largest, changed=False)


def unpacked(body: bytes) -> dict[str, Any]:
    """The report of a body of ours."""
    found: dict[str, Any] = json.loads(gzip.decompress(body))
    return found


def _cut(rest: Mapping[str, Any], rows: Sequence[_Row], largest: int, *, changed: bool) -> Iterator[Part]:
    group: list[_Row] = []
    size = 0
    for row in rows:
        if group and (len(group) >= largest or size + len(row[2]) > _BYTES):
            yield from _part(rest, group, changed=changed)
            group, size = [], 0
        group.append(row)
        size += len(row[2])
    if group:
        yield from _part(rest, group, changed=changed)


def _part(rest: Mapping[str, Any], group: Sequence[_Row], *, changed: bool) -> Iterator[Part]:
    body = _packed(rest, [row[2] for row in group])
    if len(body) > _PACKED and len(group) > 1:
        # What hardly packs (random bytes) is halved until it fits.
        yield from _part(rest, group[: len(group) // 2], changed=changed)
        yield from _part(rest, group[len(group) // 2 :], changed=changed)
        return
    yield Part(body, {key: digest for key, digest, _ in group}, changed)


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

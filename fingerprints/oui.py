"""Says who a MAC address block was registered to, with the date of the registry used.

24-bit blocks come from aiooui (the IEEE registry, refreshed every few weeks), 28- and
36-bit blocks from the copy of Wireshark's ``manuf`` that scapy carries, looked into only
when the 24-bit owner is the IEEE itself. A user's own IEEE file (``oui.csv``, ``mam.csv``,
``oui36.csv``, ``oui.txt`` or ``manuf``) replaces both.

Neither package is imported where that can be helped: aiooui brings asyncio with it, scapy much
more. aiooui's table is mapped and searched in place; the blocks of scapy are kept (`cache.py`).
"""

from __future__ import annotations

import os
import re
import struct
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fingerprints.cache import identity, keep, recall

__all__ = ["REGISTRY_DATES", "Registry", "RegistryError", "is_locally_administered", "normalise_mac"]

REGISTRY_DATES: Final[Mapping[str, str]] = {"aiooui 0.1.11": "2026-09", "scapy 2.8.0": "2026-10"}
"""Month of the IEEE data inside each package version that is locked; other versions say so."""

_SPLIT_OWNER: Final = "ieee registration authority"
_HEX: Final = re.compile(r"[0-9a-fA-F]")
_MAX_FILE: Final = 32 * 1024 * 1024
_PREFIX_DIGITS: Final = (9, 7, 6)
_TABLE: Final = struct.Struct("<4sI")
"""What aiooui's table starts with: ``OUI1``, then the number of blocks (its ``build_oui.py`` says so)."""
_LONGEST_NAME: Final = 512


class RegistryError(Exception):
    """A user's registry file cannot be used: names the file, the line where one is to blame, and what."""


def normalise_mac(text: str) -> str | None:
    """`text` as ``aa:bb:cc:dd:ee:ff``; a prefix of 3 to 5 bytes stays one; None if it is no MAC."""
    digits = "".join(_HEX.findall(text)).lower()
    rest = re.sub(r"[0-9a-fA-F:.\-\s]", "", text)
    if rest or len(digits) not in (6, 8, 10, 12):
        return None
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def is_locally_administered(mac: str) -> bool:
    """Whether the second bit of a canonical MAC is set: made up locally, so no maker stands behind it."""
    return bool(int(mac[:2], 16) & 2)


@dataclass(frozen=True, slots=True)
class Registry:
    """The IEEE registry: `blocks` maps 6, 7 or 9 hex digits to an organisation, None for the packaged data."""

    source: str
    date: str
    blocks: Mapping[str, str] | None = None
    cache: Path | None = None

    @classmethod
    def packaged(cls, cache: Path | None = None) -> Registry:
        """The registry that the installed packages carry; `cache` is the folder to keep the small blocks in."""
        source = f"aiooui {_version('aiooui')}"
        parts = [source]
        date = REGISTRY_DATES.get(source, "unknown month")
        version = _version("scapy")
        if version is None:
            parts.append("28- and 36-bit blocks missing")
        else:
            small = f"scapy {version}"
            parts.append(f"28- and 36-bit blocks from {small} ({REGISTRY_DATES.get(small, 'unknown month')})")
        return cls(", ".join(parts), date, cache=cache)

    @classmethod
    def from_file(cls, path: Path) -> Registry:
        """A user's own IEEE file, in any of the layouts named above; raises `RegistryError`."""
        try:
            size = path.stat().st_size
            if size > _MAX_FILE:
                raise RegistryError(f"{path}: is {size} bytes long; {_MAX_FILE} is the most that is read")
            text = path.read_text(encoding="utf-8", errors="replace")
            changed = path.stat().st_mtime
        except OSError as error:
            raise RegistryError(f"{path}: cannot be read: {error.strerror}") from None
        blocks = dict(_parse(text.splitlines()))
        if not blocks:
            raise RegistryError(f"{path}: no line of it is a registered block")
        return cls(str(path), datetime.fromtimestamp(changed, UTC).strftime("%Y-%m-%d"), blocks)

    def organisation(self, mac: str) -> str | None:
        """Who the block of a canonical MAC (or prefix of at least 3 bytes) belongs to."""
        digits = mac.replace(":", "")
        if self.blocks is not None:
            for length in _PREFIX_DIGITS:
                if len(digits) >= length and digits[:length] in self.blocks:
                    return self.blocks[digits[:length]]
            return None
        owner = _large(digits[:6])
        if owner is None or owner.casefold() != _SPLIT_OWNER:
            return owner
        small = _small(self.cache)
        for length in _PREFIX_DIGITS[:2]:
            if len(digits) >= length and digits[:length] in small:
                return small[digits[:length]]
        return None


def _parse(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        block = re.match(
            r"^([0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{1,2})*)", line
        )
        if line.startswith(("MA-L,", "MA-M,", "MA-S,", "IAB,", "CID,")):
            import csv  # noqa: PLC0415 - only for a user's own file

            row = next(csv.reader([line]))
            if len(row) >= 3 and re.fullmatch(r"[0-9A-Fa-f]{6,9}", row[1]):
                yield row[1].lower(), row[2].strip()
        elif block and "(hex)" in line:
            yield block[1].replace("-", "").lower(), line.split("(hex)", 1)[1].strip()
        elif block and "\t" in line:
            yield from _manuf_line(line)


def _manuf_line(line: str) -> Iterable[tuple[str, str]]:
    """One line of Wireshark's file: ``AA:BB:CC[:DD:EE:FF/28]<tab>short<tab>long``."""
    columns = line.split("\t")
    prefix, _, bits = columns[0].strip().partition("/")
    digits = re.sub(r"[:-]", "", prefix).lower()
    length = int(bits) // 4 if bits.isdigit() else len(digits)
    if length in _PREFIX_DIGITS and len(digits) >= length:
        yield digits[:length], columns[-1].strip()


def _folder(package: str) -> Path | None:
    """Where an installed package lies, without importing it."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _version(package: str) -> str | None:
    """The version of an installed package, None where it is missing."""
    folder = _folder(package)
    if folder is None:
        return None
    for name in os.listdir(folder.parent):  # noqa: PTH208 - names are all that is wanted
        if name.startswith(f"{package}-") and name.endswith(".dist-info"):
            return name.removeprefix(f"{package}-").removesuffix(".dist-info")
    from importlib import metadata  # noqa: PLC0415 - slow, and hardly ever needed

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@lru_cache(maxsize=4096)
def _large(digits: str) -> str | None:
    return _lookup()(digits)


@lru_cache(maxsize=1)
def _lookup() -> Callable[[str], str | None]:
    """The owner of a 24-bit block given as six hex digits: aiooui's table, else aiooui itself."""
    table = _table()
    if table is None:
        return _loaded()
    keys, offsets, names = table

    def owner(digits: str) -> str | None:
        key = int(digits, 16)
        at = bisect_left(keys, key)
        if at == len(keys) or keys[at] != key:
            return None
        start = offsets[at]
        return bytes(names[start : start + _LONGEST_NAME]).split(b"\n", 1)[0].decode()

    return owner


def _table() -> tuple[memoryview, memoryview, memoryview] | None:
    """The sorted blocks of aiooui, where each name begins, and the names; None if they are not as we know them."""
    import mmap  # noqa: PLC0415 - only when a MAC is looked up

    folder = _folder("aiooui")
    if folder is None or sys.byteorder != "little":
        return None
    try:
        with (folder / "oui.data").open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return None
    if len(data) < _TABLE.size:
        return None
    magic, count = _TABLE.unpack_from(data)
    offsets_at = _TABLE.size + 4 * count
    names_at = offsets_at + 4 * count
    if magic != b"OUI1" or len(data) <= names_at:
        return None
    return data[_TABLE.size : offsets_at].cast("I"), data[offsets_at:names_at].cast("I"), data[names_at:]


def _loaded() -> Callable[[str], str | None]:
    """The lookup of aiooui itself: its loader is a coroutine, so it gets a thread with a loop of its own."""
    import asyncio  # noqa: PLC0415 - slow, and hardly ever needed
    import threading  # noqa: PLC0415 - slow, and hardly ever needed

    import aiooui  # noqa: PLC0415 - slow, and hardly ever needed

    thread = threading.Thread(target=lambda: asyncio.run(aiooui.async_load()))
    thread.start()
    thread.join()
    lookup: Callable[[str], str | None] = aiooui.get_vendor
    return lookup


@lru_cache(maxsize=1)
def _small(cache: Path | None) -> Mapping[str, str]:
    """The 28- and 36-bit blocks that scapy carries: GPL and heavy, so only where present and needed."""
    folder = _folder("scapy")
    if folder is None:
        return {}
    state = identity([__file__, folder / "libs" / "manuf.py"]) if cache is not None else None
    if cache is not None and state is not None:
        blocks: dict[str, str] | None = recall(cache, "blocks", state)
        if blocks is not None:
            return blocks
    try:
        from scapy.libs.manuf import DATA  # noqa: PLC0415 - as said above
    except ImportError:
        return {}
    blocks = {
        digits: owner
        for line in DATA.splitlines()
        if "/28" in line or "/36" in line
        for digits, owner in _manuf_line(line)
    }
    if cache is not None and state is not None:
        keep(cache, "blocks", state, blocks)
    return blocks

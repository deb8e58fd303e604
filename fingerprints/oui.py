"""Says who a MAC address block was registered to, with the date of the registry used.

24-bit blocks come from aiooui (the IEEE registry, refreshed every few weeks), 28- and
36-bit blocks from the copy of Wireshark's ``manuf`` that scapy carries, looked into only
when the 24-bit owner is the IEEE itself. A user's own IEEE file (``oui.csv``, ``mam.csv``,
``oui36.csv``, ``oui.txt`` or ``manuf``) replaces both.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Final

__all__ = ["REGISTRY_DATES", "Registry", "RegistryError", "is_locally_administered", "normalise_mac"]

REGISTRY_DATES: Final[Mapping[str, str]] = {"aiooui 0.1.11": "2026-09", "scapy 2.8.0": "2026-10"}
"""Month of the IEEE data inside each package version that is locked; other versions say so."""

_SPLIT_OWNER: Final = "ieee registration authority"
_HEX: Final = re.compile(r"[0-9a-fA-F]")
_MAX_FILE: Final = 32 * 1024 * 1024
_PREFIX_DIGITS: Final = (9, 7, 6)


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

    @classmethod
    def packaged(cls) -> Registry:
        """The registry that the installed packages carry."""
        source = f"aiooui {metadata.version('aiooui')}"
        parts = [source]
        date = REGISTRY_DATES.get(source, "unknown month")
        try:
            small = f"scapy {metadata.version('scapy')}"
        except metadata.PackageNotFoundError:
            parts.append("28- and 36-bit blocks missing")
        else:
            parts.append(f"28- and 36-bit blocks from {small} ({REGISTRY_DATES.get(small, 'unknown month')})")
        return cls(", ".join(parts), date)

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
        small = _small()
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


@lru_cache(maxsize=4096)
def _large(digits: str) -> str | None:
    import aiooui  # noqa: PLC0415 - only when a MAC is looked up

    if not aiooui.is_loaded():
        _load()
    return aiooui.get_vendor(digits)


def _load() -> None:
    """Load the 24-bit table: its loader is a coroutine, so it gets a thread with a loop of its own."""
    import asyncio  # noqa: PLC0415 - only when a MAC is looked up
    import threading  # noqa: PLC0415 - only when a MAC is looked up

    import aiooui  # noqa: PLC0415 - only when a MAC is looked up

    thread = threading.Thread(target=lambda: asyncio.run(aiooui.async_load()))
    thread.start()
    thread.join()


@lru_cache(maxsize=1)
def _small() -> Mapping[str, str]:
    try:
        from scapy.libs.manuf import DATA  # noqa: PLC0415 - GPL and heavy: only where present and needed
    except ImportError:
        return {}
    return {
        digits: owner
        for line in DATA.splitlines()
        if "/28" in line or "/36" in line
        for digits, owner in _manuf_line(line)
    }

"""Puts what a report holds in the words that all reporters for people use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fingerprints.model import Device, Status

__all__ = ["ORDER", "blind_spots", "finding_in_words", "maker_in_words", "rank", "size_in_words"]

ORDER: Final[tuple[Status, ...]] = ("flagged", "suspected", "clear", "unidentified")
"""Findings, what matters most first."""


def rank(device: Device) -> tuple[int, bool]:
    """The place of a device in a list: by its finding, what watches nobody last."""
    return ORDER.index(device.finding.status), device.verdict.device_class == "not-surveillance"


def maker_in_words(device: Device) -> str:
    """Who made it, with the badge in brackets where that is another: ``Hikvision (Annke)``."""
    verdict = device.verdict
    if verdict.manufacturer and verdict.brand and verdict.brand.startswith(f"{verdict.manufacturer} "):
        # A line of the maker's own that carries its name, such as TP-Link Tapo.
        return verdict.brand
    badge = f" ({verdict.brand})" if verdict.brand not in {None, verdict.manufacturer} else ""
    return f"{verdict.manufacturer or ('?' if badge else '-')}{badge}"


def finding_in_words(device: Device) -> str:
    """The finding with how sure it is: ``FLAGGED 99.9%``."""
    status = device.finding.status
    if device.verdict.manufacturer is None:
        return status
    word = status.upper() if status == "flagged" else status
    # Never rounded up: there is no certainty of 100 %.
    share = min(int(device.verdict.confidence * 1000), 999)
    return f"{word} {share // 10}.{share % 10}%" if share >= 900 else f"{word} {share // 10}%"


def size_in_words(volume: int) -> str:
    """A number of bytes in words: ``812 bytes``, ``34 kB``, ``5.6 MB``, ``7.8 GB``."""
    if volume < 1_000:
        return f"{volume} bytes"
    if volume < 1_000_000:
        return f"{volume // 1_000} kB"
    unit, name = (1_000_000, "MB") if volume < 1_000_000_000 else (1_000_000_000, "GB")
    return f"{volume / unit:.1f} {name}"


def blind_spots(coverage: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What was not seen, each with the step that would close it."""
    rows = coverage.get("blind_spots")
    for row in rows if isinstance(rows, list | tuple) else ():
        if isinstance(row, Mapping):
            yield str(row.get("what")), str(row.get("step"))

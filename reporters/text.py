"""Makes text that a device wrote harmless to show."""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["fitted", "shortened", "visible", "width"]

_CUT: Final = "…"


def visible(text: str) -> str:
    """`text` with control, direction and other unprintable characters as backslash escapes."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )


def width(text: str) -> int:
    """Columns of a terminal that `text` takes: none for a combining mark, two for a wide letter."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def shortened(text: str, columns: int) -> str:
    """`text` made visible, cut to `columns` with a mark where something is missing."""
    shown = visible(text[: columns * 4])
    if width(shown) <= columns:
        return shown
    while width(shown) > columns - 1:
        shown = shown[:-1]
    return shown + _CUT


def fitted(text: str, columns: int) -> str:
    """`text` cut or padded to exactly `columns`."""
    shown = shortened(text, columns)
    return shown + " " * (columns - width(shown))

"""Makes text that strangers wrote safe to keep, then to show.

A device writes its own name. Characters that steer a terminal, turn the direction of writing
or cannot be seen are replaced by their code point in words: nothing is hidden, nothing is lost.
Escaping for HTML is left to whoever shows it; `formula_safe` is for spreadsheets.
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["bounded", "formula_safe", "is_plain", "shown"]

_MAX_DEPTH: Final = 6
_KEEP: Final = frozenset("\n\t")
_FORMULA: Final = re.compile(r"^[\s\0]*[=+\-@\t\r|]")


def shown(text: str, most: int) -> str:
    """`text`, cut at `most` characters, without any that cannot be seen."""
    text = text[:most]
    if text.isprintable():
        return text
    made = "".join(char if char.isprintable() or char in _KEEP else f"<U+{ord(char):04X}>" for char in text)
    return made[:most]


def is_plain(json: bytes) -> bool:
    """Whether what `orjson` wrote holds plain ASCII alone, with no control characters but line breaks."""
    return json.isascii() and b"\\u00" not in json and b"\x7f" not in json


def bounded(value: Any, most_text: int, most_items: int, depth: int = 0) -> Any:
    """`value`, JSON-shaped, with every text `shown`, every list cut, nothing nested too deep."""
    if isinstance(value, str):
        return shown(value, most_text)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else None
    if depth >= _MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [bounded(item, most_text, most_items, depth + 1) for item in value[:most_items]]
    if isinstance(value, dict):
        pairs = list(value.items())[:most_items]
        return {shown(str(key), 100): bounded(item, most_text, most_items, depth + 1) for key, item in pairs}
    return None


def formula_safe(text: str) -> str:
    """`text` as a spreadsheet may take it: what would be a formula gets an apostrophe before it."""
    return f"'{text}" if _FORMULA.match(text) else text

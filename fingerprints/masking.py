"""Masks what belongs to one device or person in a text, keeping its form.

Examples in rule files come from real recordings: serial numbers, addresses and names are
changed so that nobody's device can be told from them, and the shape a rule looks for stays.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["mask"]

_PARTS: Final = (
    (
        "secret",
        r"\b(?:nonce|opaque|cnonce|response|password|passwd|pwd|user(?:name)?)(?:\s{0,4}[=:]\s{0,4}\"?)[^\"&,;\s]{1,200}",
    ),
    ("uuid", r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
    ("mac", r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b|\b(?:[0-9a-f]{2}-){5}[0-9a-f]{2}\b"),
    ("bare", r"(?<![0-9a-z])[0-9a-f]{12}(?![0-9a-z])"),
    ("ipv4", r"(?<![0-9.])(?:\d{1,3}\.){3}\d{1,3}(?![0-9.])"),
    ("ipv6", r"\b(?:fe80|f[cd][0-9a-f]{2}|2[0-9a-f]{3}):(?:[0-9a-f]{0,4}:){1,6}[0-9a-f]{1,4}\b"),
    ("mail", r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}\b"),
    ("hex", r"(?<![0-9a-z])[0-9a-f]{16,64}(?![0-9a-z])"),
    ("digits", r"\d{6,}"),
)
_PERSONAL: Final = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _PARTS), re.IGNORECASE)
_FIXED: Final = {"ipv4": "192.0.2.1", "ipv6": "fe80::1", "mail": "name@example.org"}


def mask(text: str) -> str:
    """`text` with addresses, identifiers, long numbers and secrets replaced by others of their form."""
    return _PERSONAL.sub(_replacement, text)


def _replacement(found: re.Match[str]) -> str:
    kind, whole = found.lastgroup or "", found[0]
    if kind in _FIXED:
        return _FIXED[kind]
    if kind == "secret":
        return re.sub(r"([=:]\s*\"?).*", r"\1x", whole, count=1, flags=re.DOTALL)
    if kind == "mac":
        return whole[:9] + "00:00:01".replace(":", whole[2])
    if kind == "bare":
        return whole[:6] + "000001"
    if kind == "uuid":
        return f"00000000-0000-{whole[14]}000-8000-000000000000"
    return "0" * len(whole)

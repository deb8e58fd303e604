"""Knows what devices draw anew each time they speak.

Such bytes are new in every message and tell nothing of who wrote it. Of facts that differ in nothing
else one is enough: a camera that was asked for its login a thousand times has one realm.
"""

from __future__ import annotations

import re
from typing import Final

from fingerprints.model import Fact

__all__ = ["NONCE", "standing"]

_NONCE: Final = r'nonce="[0-9A-Za-z:]{8,128}"'
"""RFC 7616 section 3.3; recorded ones are hexadecimal, some with a time or a letter in them."""
NONCE: Final = re.compile(_NONCE.encode("ascii"))
"""The nonce of a login by Digest, in HTTP and in RTSP."""
_IN_TEXT: Final = re.compile(_NONCE)
_WHOLE: Final = frozenset({"sadp.uuid"})
"""Fields that hold nothing else: an answer repeats the number of its question."""


def standing(fact: Fact) -> str:
    """A text as long as the fact's that is the same for all facts which differ only in what was drawn."""
    text = fact.text
    if fact.field in _WHOLE:
        return "0" * len(text)
    if 'nonce="' in text:
        return _IN_TEXT.sub(lambda found: "0" * len(found[0]), text)
    return text

"""360 Vision Technology's discovery: one line of words over UDP 3600.

``DISCOVER`` asks; the answer is the same word with ``TYPE=``, ``KEY=`` (the MAC) and ``ID=``
behind it, values in quotes where they need them. From UniversalScanner
(julienblitte/UniversalScanner, 360Vision.cs) with its recorded answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["VISION_360"]

_WORD: Final = b"DISCOVER"
# A value ends with its quote or with a space: what stands at the end of a cut line may go on.
_PAIR: Final = re.compile(
    rb"""([A-Za-z_]\w{0,31})=(?:'([^'\r\n]{0,128})'|"([^"\r\n]{0,128})"|([^\s'"]{1,128})(?=\s))"""
)
_MOST_PAIRS: Final = 32
_KEYS: Final = {
    b"TYPE": "discovery.360vision.type",
    b"KEY": "discovery.360vision.mac",
    b"ID": "discovery.360vision.id",
}


def _mine(payload: bytes) -> bool:
    return payload.startswith(_WORD + b" ") and b"TYPE=" in payload[:256]


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_WORD + b"\n", "360 Vision DISCOVER"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    line, end, _ = payload[:4_096].partition(b"\n")
    for found, _ in zip(_PAIR.finditer(line + end), range(_MOST_PAIRS), strict=False):
        field = _KEYS.get(found[1].upper())
        text = next(value for value in (*found.groups()[1:], b"") if value is not None)
        if field is not None and (value := text.decode("utf-8", "replace").replace("\0", "").strip()):
            yield Fact(field, value)


VISION_360: Final = Probe(
    name="360vision",
    transport="udp",
    ports=(3600,),
    fields=tuple(_KEYS.values()),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    prefixes=(_WORD + b" TYPE=",),
    aliases=("360-vision",),
    order=6,
    source="julienblitte/UniversalScanner 360Vision.cs with its recorded answer",
    says="360 Vision Technology cameras: type, MAC, id",
)

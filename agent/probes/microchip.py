"""Discovery in Microchip's network software: a line of text asks, lines answer, over UDP 30303.

The answer is the host name, then the MAC; GCE Electronics' units add the web port, the product
and more, each on its line. From UniversalScanner (julienblitte/UniversalScanner, Microchip.cs)
with a recorded answer of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["MICROCHIP"]

_ANSWER: Final = re.compile(
    rb"(?P<name>[^\r\n\0]{1,64})\r?\n(?P<mac>[0-9A-Fa-f]{2}(?:[-:][0-9A-Fa-f]{2}){5})(?=[\r\n]|\Z)"
    rb"(?:\r?\n(?P<port>\d{1,5})\r?\n(?P<product>[^\r\n\0]{1,64})(?=[\r\n]))?"
)
_FIELDS: Final = {
    "name": "discovery.microchip.name",
    "mac": "discovery.microchip.mac",
    "port": "discovery.microchip.http-port",
    "product": "discovery.microchip.product",
}


def _mine(payload: bytes) -> bool:
    return _ANSWER.match(payload) is not None


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(b"Discover GCE Devices", "Microchip discovery"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    found = _ANSWER.match(payload)
    for key, raw in found.groupdict().items() if found else ():
        text = (raw or b"").decode("utf-8", "replace").strip()
        if text:
            yield Fact(_FIELDS[key], text)


MICROCHIP: Final = Probe(
    name="microchip",
    transport="udp",
    ports=(30303,),
    fields=tuple(_FIELDS.values()),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    unicast=False,
    aliases=("gce",),
    order=7,
    source="julienblitte/UniversalScanner Microchip.cs with its recorded answers",
    says="boards with Microchip's network software, GCE relays among them: name, MAC, product",
)

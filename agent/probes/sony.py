"""Sony's discovery of network cameras: lines between 0x02 and 0x03, each ended by 0xff, over UDP 2380.

``ENQ:allinfo`` asks for everything; the answer, sent to everybody, has ``MAC:``, ``MODEL:``,
``SERIAL:``, ``IPADR:``, ``SOFTVERSION:`` and more. Other verbs write settings, and are never
built here. From UniversalScanner (julienblitte/UniversalScanner, Sony.cs) with its recorded answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["SONY"]

_START: Final = b"\x02"
_LINE_END: Final = b"\xff"
_END: Final = b"\x03"
_MOST_LINES: Final = 128
_KEYS: Final = {
    b"MAC": "discovery.sony.mac",
    b"MODEL": "discovery.sony.model",
    b"SERIAL": "discovery.sony.serial",
    b"IPADR": "discovery.sony.ipv4-address",
    b"SOFTVERSION": "discovery.sony.firmware",
    b"WEBPORT": "discovery.sony.http-port",
}


def _mine(payload: bytes) -> bool:
    return payload.startswith(_START + b"MAC:") and b"MODEL:" in payload[:512]


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_START + b"ENQ:allinfo" + _LINE_END + _END, "Sony ENQ:allinfo"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    # What stands behind the last end of a line is no line.
    *lines, _ = payload[1:].split(_LINE_END)
    for line in lines[:_MOST_LINES]:
        key, _, value = line.partition(b":")
        field = _KEYS.get(key.strip())
        text = value.decode("utf-8", "replace").replace("\0", "").strip()
        if field is not None and text:
            yield Fact(field, text)


SONY: Final = Probe(
    name="sony",
    transport="udp",
    ports=(2380,),
    fields=tuple(_KEYS.values()),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    prefixes=(_START + b"MAC:",),
    order=6,
    source="julienblitte/UniversalScanner Sony.cs with its recorded answer",
    says="Sony network cameras: model, serial, MAC, address, firmware",
)

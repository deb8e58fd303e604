"""Eden Innovations' discovery of access control units: ``DETECT BOX`` over UDP 8088.

The answer, sent to everybody, is ``BOX|`` with XML behind it, its names in French: the serial
is the MAC, ``adresseIP`` the address. From UniversalScanner (julienblitte/UniversalScanner,
EdenOptima.cs) with its recorded answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent import xml
from agent.wire import Ask, Malformed, Probe, Target
from fingerprints.model import Fact

__all__ = ["EDEN"]

_MARK: Final = b"BOX|"
_ELEMENTS: Final = {
    ("root", "serialNumber"): "discovery.eden.mac",
    ("root", "network", "adresseIP"): "discovery.eden.ipv4-address",
    ("root", "portWeb"): "discovery.eden.http-port",
}


def _mine(payload: bytes) -> bool:
    return payload.startswith(_MARK) and xml.looks_like(payload[len(_MARK) :], b"root")


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(b"DETECT BOX", "Eden DETECT BOX"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    document = xml.read(payload[len(_MARK) :])
    for leaf in document.leaves:
        field = _ELEMENTS.get(leaf.path)
        if field is not None:
            yield Fact(field, leaf.text)
    try:
        document.finish()
    except Malformed as error:
        raise Malformed(error.what, len(_MARK) + error.offset) from None


EDEN: Final = Probe(
    name="eden",
    transport="udp",
    ports=(8088,),
    fields=tuple(_ELEMENTS.values()),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    reply_port=8088,
    unicast=False,
    prefixes=(_MARK,),
    order=7,
    source="julienblitte/UniversalScanner EdenOptima.cs with its recorded answer",
    says="Eden Innovations access control units: MAC, address",
)

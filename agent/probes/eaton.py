"""Eaton's discovery of power supplies: ``<SCAN_REQUEST/>`` over UDP 4679.

The answer is XML whose ``OBJECT`` elements carry the name of a value and the value. From
UniversalScanner (julienblitte/UniversalScanner, Eaton.cs) with its recorded answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent import xml
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["EATON"]

_OBJECTS: Final = {
    "UPS.PowerSummary.iProduct": "discovery.eaton.product",
    "UPS.PowerSummary.iModel": "discovery.eaton.model",
    "UPS.PowerSummary.iSerialNumber": "discovery.eaton.serial",
    "UPS.PowerSummary.iVersion": "discovery.eaton.firmware",
    "System.Description": "discovery.eaton.description",
}
_OWN_WORDS: Final = (b'"UPS.PowerSummary', b'"System.Description"', b"upsprop.xml")


def _mine(payload: bytes) -> bool:
    return xml.looks_like(payload, b"FILE", b"SUMMARY") and any(word in payload for word in _OWN_WORDS)


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(b"<SCAN_REQUEST/>", "Eaton SCAN_REQUEST"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    document = xml.read(payload)
    name = ""
    for leaf in document.leaves:
        if leaf.path[-2:] == ("OBJECT", "@name"):
            name = leaf.text
        elif leaf.name == "OBJECT" and (field := _OBJECTS.get(name)) is not None:
            yield Fact(field, leaf.text)
    document.finish()


EATON: Final = Probe(
    name="eaton",
    transport="udp",
    ports=(4679,),
    fields=tuple(_OBJECTS.values()),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    unicast=False,
    order=7,
    source="julienblitte/UniversalScanner Eaton.cs with its recorded answer",
    says="Eaton power supplies: product, model, serial, version",
)

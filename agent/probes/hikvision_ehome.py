"""Hikvision's EHome registration: a device that reports to a platform says what it is, in XML.

The form follows one recorded registration (365seal.com, in the test corpus); which port it uses
differs by installation, so it is known by its root element. Passive: a platform is told, not asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent import xml
from agent.wire import Probe
from fingerprints.model import Fact

__all__ = ["HIKVISION_EHOME"]

_ROOT: Final = b"PPVSPMessage"
_KEYS: Final = {
    "Command": "discovery.hikvision-ehome.command",
    "DeviceID": "discovery.hikvision-ehome.device-id",
    "FirmwareVersion": "discovery.hikvision-ehome.firmware-version",
    "DevType": "discovery.hikvision-ehome.dev-type",
    "LocalIP": "discovery.hikvision-ehome.local-ip",
}


def _mine(payload: bytes) -> bool:
    return xml.looks_like(payload, _ROOT)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    document = xml.read(payload)
    # The platform answers in the same envelope: only a request speaks of its sender.
    if "REQUEST" in document.texts("CommandType"):
        for leaf in document.leaves:
            field = _KEYS.get(leaf.name)
            if field is not None and leaf.text:
                yield Fact(field, leaf.text)
    document.finish()


HIKVISION_EHOME: Final = Probe(
    name="hikvision-ehome",
    transport="udp",
    ports=(7660,),
    fields=tuple(_KEYS.values()),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="one registration recorded at 365seal.com (test corpus)",
    says="device type and firmware of a device that registers at a platform",
)

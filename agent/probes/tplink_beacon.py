"""TP-Link's beacon: what its wired cameras broadcast of themselves on UDP 5001.

As recorded from a Mercury camera (TP-Link group): 14 bytes of header, which begins with
01 01 0e 00 and has the length of the rest as u16 at byte 10, then elements of u16 type, u16
length and value. Nothing is asked: no question is known. Plugs and other devices of the
maker may send the same, so that a beacon names the maker, not the kind of device.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["TPLINK_BEACON"]

_START: Final = b"\x01\x01\x0e\x00"
_HEADER: Final = 14
_MAX_ELEMENTS: Final = 64
_FIELDS: Final = {
    0x05: "discovery.tplink-beacon.mac",
    0x06: "discovery.tplink-beacon.model",
    0x0D: "onvif.endpoint",
    0x0E: "discovery.tplink-beacon.hardware",
    0x12: "onvif.xaddr",
}


def _mine(payload: bytes) -> bool:
    return payload.startswith(_START) and len(payload) > _HEADER + 4


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    end = _HEADER + int.from_bytes(payload[10:12])
    at = _HEADER
    for _ in range(_MAX_ELEMENTS):
        if at + 4 > min(end, len(payload)):
            return
        kind, length = int.from_bytes(payload[at : at + 2]), int.from_bytes(payload[at + 2 : at + 4])
        if at + 4 + length > end:
            raise Malformed("an element longer than its beacon", at)
        value = payload[at + 4 : at + 4 + length]
        if len(value) < length:
            return
        field, text = _FIELDS.get(kind), value.decode("utf-8", "replace").replace("\0", "").strip()
        if field and text:
            yield Fact(field, text)
        at += 4 + length


TPLINK_BEACON: Final = Probe(
    name="tplink-beacon",
    transport="udp",
    ports=(5001,),
    fields=tuple(_FIELDS.values()),
    mine=_mine,
    dissect=_dissect,
    prefixes=(_START,),
    unicast=False,
    source="beacons of a Mercury MIPC351-4 in a public capture (HeliosHuang/ESORICS)",
    status="experimental",
    says="model, MAC and ONVIF address of TP-Link's wired cameras",
)

"""Bosch's discovery of cameras and encoders: UDP 1757, answered to 1758 in either of two forms.

The question is a magic number, a transaction number and the word for "who is there". Older
devices answer in 32 bytes that begin with the same magic; newer ones with XML whose root has
the device's ``unitIPAddress``, ``physAddress`` and ``serialNumber``. From UniversalScanner
(julienblitte/UniversalScanner, Bosch.cs), which has one recorded answer of each form.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Final

from agent import xml
from agent.binary import address_text, mac_text
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["BOSCH"]

_MAGIC: Final = bytes.fromhex("9939a427")
_WHO_IS_THERE: Final = bytes.fromhex("ff0006de")
_MAC_AT: Final = 8
_ADDRESS_AT: Final = 0x10
_ANSWER: Final = 32
_ELEMENTS: Final = {
    "deviceType": "discovery.bosch.device-type",
    "friendlyName": "discovery.bosch.name",
    "physAddress": "discovery.bosch.mac",
    "serialNumber": "discovery.bosch.serial",
    "unitIPAddress": "discovery.bosch.ipv4-address",
    "unitIPv6Address": "discovery.bosch.ipv6-address",
    "unitName": "discovery.bosch.unit-name",
}
# The root is plain ``root``, as in UPnP; these names are Bosch's own.
_OWN_WORDS: Final = (b"<unitIPAddress>", b"<physAddress>")


def _is_xml(payload: bytes) -> bool:
    return xml.looks_like(payload, b"root") and any(word in payload for word in _OWN_WORDS)


def _is_binary(payload: bytes) -> bool:
    # The question has the magic, too, and is shorter.
    return payload.startswith(_MAGIC) and payload[_MAC_AT : _MAC_AT + 4] != _WHO_IS_THERE


def _mine(payload: bytes) -> bool:
    return _is_binary(payload) or _is_xml(payload)


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_MAGIC + secrets.token_bytes(4) + _WHO_IS_THERE, "Bosch device search"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if _is_binary(payload):
        if len(payload) >= _ANSWER:
            yield from _binary(payload)
    elif _is_xml(payload):
        document = xml.read(payload)
        for leaf in document.leaves:
            field = _ELEMENTS.get(leaf.name)
            if field is not None and leaf.path[:-1] == ("root", "device"):
                yield Fact(field, leaf.text)
        document.finish()


def _binary(payload: bytes) -> Iterator[Fact]:
    if mac := mac_text(payload[_MAC_AT : _MAC_AT + 6]):
        yield Fact("discovery.bosch.mac", mac)
    if address := address_text(payload[_ADDRESS_AT : _ADDRESS_AT + 4]):
        yield Fact("discovery.bosch.ipv4-address", address)


BOSCH: Final = Probe(
    name="bosch",
    transport="udp",
    ports=(1757, 1758),
    fields=tuple(_ELEMENTS.values()),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    reply_port=1758,
    prefixes=(_MAGIC,),
    aliases=("bosch-bin", "bosch-xml"),
    order=6,
    source="julienblitte/UniversalScanner Bosch.cs with its recorded answers, binary and XML",
    says="Bosch cameras and encoders: MAC, address, serial, name",
)

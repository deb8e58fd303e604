"""CyberPower's discovery of power supplies: three bytes over UDP 53566.

0x11 asks, with two equal bytes behind it; 0x51 answers. The answer's second byte is a key; a
text with its length, two numbers of four bytes follow, then, combined with the key by exclusive
or: a byte, the MAC, a byte, IPv4 address, mask, gateway, version (four bytes each), name, place
and user, each with its length. From UniversalScanner (julienblitte/UniversalScanner,
CyberPower.cs) with its recorded answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.binary import address_text, mac_text, plain_text
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["CYBERPOWER"]

_FOUND: Final = 0x51
_HASH: Final = 32
_NUMBERS: Final = 8
_PLAIN: Final = 3 + _HASH + _NUMBERS
_NAME_AT: Final = 24


def _mine(payload: bytes) -> bool:
    # The hash is 32 hexadecimal figures.
    return (
        payload[:1] == bytes([_FOUND])
        and payload[2:3] == bytes([_HASH])
        and len(payload) > _PLAIN
        and all(figure in b"0123456789ABCDEFabcdef" for figure in payload[3 : 3 + _HASH])
    )


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(bytes.fromhex("110000"), "CyberPower device search"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    clear = bytes(byte ^ payload[1] for byte in payload[_PLAIN : _PLAIN + 1_024])
    if mac := mac_text(clear[1:7]):
        yield Fact("discovery.cyberpower.mac", mac)
    if address := address_text(clear[8:12]):
        yield Fact("discovery.cyberpower.ipv4-address", address)
    size = clear[_NAME_AT] if len(clear) > _NAME_AT else 0
    name = clear[_NAME_AT + 1 : _NAME_AT + 1 + size]
    if len(name) == size and (text := plain_text(name)):
        yield Fact("discovery.cyberpower.name", text)


CYBERPOWER: Final = Probe(
    name="cyberpower",
    transport="udp",
    ports=(53566,),
    fields=("discovery.cyberpower.mac", "discovery.cyberpower.ipv4-address", "discovery.cyberpower.name"),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    reply_port=53566,
    unicast=False,
    order=7,
    source="julienblitte/UniversalScanner CyberPower.cs with its recorded answer",
    says="CyberPower power supplies: name, MAC, address",
)

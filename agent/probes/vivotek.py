"""Vivotek's discovery: a session number, a magic number, tagged values over UDP 10000.

The question is the first five bytes alone. Tag 1 is the long name, 2 the MAC, 3 the IPv4
address, 9 the model; tag 4 has a value of one byte where others have a length. From
UniversalScanner (julienblitte/UniversalScanner, Vivotek.cs) with its recorded answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from agent.binary import address_text, mac_text, plain_text
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["VIVOTEK"]

_MAGIC: Final = bytes.fromhex("4a5d8f1c")
_HEADER: Final = 5
_LONE_BYTE: Final = 4
_TAGS: Final[Mapping[int, tuple[str, Callable[[bytes], str]]]] = {
    1: ("discovery.vivotek.name", plain_text),
    2: ("discovery.vivotek.mac", mac_text),
    3: ("discovery.vivotek.ipv4-address", address_text),
    9: ("discovery.vivotek.model", plain_text),
}


def _mine(payload: bytes) -> bool:
    return payload[1:_HEADER] == _MAGIC


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(b"\1" + _MAGIC, "Vivotek device search"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    for tag, value in _values(payload):
        field, read = _TAGS.get(tag, ("", plain_text))
        if field and (text := read(value)):
            yield Fact(field, text)


def _values(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags with their values; tag 0 ends them."""
    at = _HEADER
    while at + 1 < len(payload) and payload[at]:
        tag, size = payload[at], payload[at + 1]
        at += 2
        if tag == _LONE_BYTE:
            continue
        if at + size > len(payload):
            return
        yield tag, payload[at : at + size]
        at += size


VIVOTEK: Final = Probe(
    name="vivotek",
    transport="udp",
    ports=(10000,),
    fields=tuple(field for field, _ in _TAGS.values()),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    order=6,
    source="julienblitte/UniversalScanner Vivotek.cs with its recorded answer",
    says="Vivotek cameras: model, name, MAC, address",
)

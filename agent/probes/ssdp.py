"""SSDP: UPnP's discovery, header blocks over UDP 1900.

Questions and answers after UPnP Device Architecture 1.1 chapter 1; announcements recorded
from cameras and their neighbours are in the test corpus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent import http_wire
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["SSDP"]

_SEARCHES: Final = ("upnp:rootdevice", "ssdp:all")
_FIELDS: Final = {
    "location": "ssdp.location",
    "server": "ssdp.server",
    "st": "ssdp.st",
    "nt": "ssdp.st",
    "usn": "ssdp.usn",
}
_ANSWER: Final = re.compile(rb"HTTP/1\.\d[ \t]+200\b")
_OWN_HEADER: Final = re.compile(rb"(?:^|\n)(?:st|nt|usn|nts)[ \t]*:", re.IGNORECASE)
_BARE: Final = re.compile(rb"(?:location|server|st|nt|nts|usn|cache-control|host|ext)[ \t]*:", re.IGNORECASE)


def _mine(payload: bytes) -> bool:
    if payload.startswith(b"NOTIFY * HTTP/1."):
        return True
    return _ANSWER.match(payload) is not None and _OWN_HEADER.search(payload) is not None


def _hello(target: Target) -> tuple[Ask, ...]:
    host = http_wire.authority(target.ip, target.port)
    # MX stays in unicast questions, although the standard drops it there: older stacks want it.
    return tuple(
        Ask(
            f'M-SEARCH * HTTP/1.1\r\nHOST: {host}\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: {search}\r\n\r\n'.encode(),
            f"M-SEARCH {search}",
        )
        for search in _SEARCHES
    )


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """Facts of an answer, an announcement or its header lines alone; questions say nothing of who sent them."""
    if _BARE.match(payload) and _OWN_HEADER.search(payload):
        payload = b"NOTIFY * HTTP/1.1\r\n" + payload
    if not _mine(payload):
        return
    for name, value in http_wire.split_head(payload).headers:
        field = _FIELDS.get(name)
        if field is not None and value:
            yield Fact(field, value)


SSDP: Final = Probe(
    name="ssdp",
    transport="udp",
    ports=(1900,),
    fields=tuple(dict.fromkeys(_FIELDS.values())),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("239.255.255.250", "ff02::c"),
    prefixes=(b"NOTIFY * HTTP/1.",),
    order=1,
    source="UPnP Device Architecture 1.1; recorded announcements",
    says="UPnP server text, unique names, where the description is",
)

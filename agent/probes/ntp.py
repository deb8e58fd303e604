"""NTP: whom a device asks for the time, or who gives it.

Packets after RFC 5905 section 7.3. That a server was asked is a fact about the server, told by its
client; what a server follows itself (its reference id, figure 12) is its own word.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from agent.wire import Probe
from fingerprints.model import Fact

__all__ = ["NTP"]

_LENGTH: Final = 48
_VERSIONS: Final = range(1, 5)
_CLIENT, _SERVER = 3, 4
_PRIMARY: Final = 1
_MOST_STRATA: Final = 15
_UNSYNCHRONISED: Final = 16
_LONGEST_POLL: Final = 17
_NEGATIVE: Final = 0x80
_KIND: Final = re.compile(rb"([A-Z]{1,4})\0*")


def _mine(payload: bytes) -> bool:
    """Whether this is a client's or a server's packet by every value that its header bounds.

    Strata above 16 are reserved, no poll interval is longer than 2**17 s, and a server's clock is no
    coarser than a second and has a time to tell (RFC 5905, sections 7.2 and 7.3, figure 11).
    """
    if len(payload) < _LENGTH or payload[0] >> 3 & 7 not in _VERSIONS:
        return False
    mode, stratum, poll, precision = payload[0] & 7, payload[1], payload[2], payload[3]
    if stratum > _UNSYNCHRONISED or poll > _LONGEST_POLL:
        return False
    return mode == _CLIENT or (
        mode == _SERVER and (not precision or precision >= _NEGATIVE) and any(payload[40:48])
    )


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    if payload[0] & 7 == _CLIENT:
        yield Fact("ntp.client", f"version {payload[0] >> 3 & 7}")
        yield Fact("ntp.server", "asked", "listener")
        return
    stratum, reference = payload[1], payload[12:16]
    if not _PRIMARY <= stratum <= _MOST_STRATA:
        # A refusal, or a clock that nobody should believe.
        return
    yield Fact("ntp.server", f"stratum {stratum}")
    clock = _KIND.fullmatch(reference)
    if stratum == _PRIMARY and clock:
        yield Fact("ntp.reference", clock[1].decode("ascii"))
    elif stratum > _PRIMARY:
        # Over IPv6 this is a part of a hash; only an address that can be a host's is told.
        address = ipaddress.IPv4Address(reference)
        if address.is_private and not (address.is_loopback or address.is_unspecified):
            yield Fact("ntp.reference", str(address))


NTP: Final = Probe(
    name="ntp",
    transport="udp",
    ports=(123,),
    fields=("ntp.client", "ntp.server", "ntp.reference"),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="RFC 5905; recorded clients with their servers",
    says="whom a device asks for the time",
    # Times of the packet: nothing is read there.
    fresh=re.compile(rb"(?s)(?<=\A.{16}).{32}"),
)

"""The words of the network side: Target, Message, Ask, Probe, Malformed.

The dissector contract
----------------------
A probe's ``dissect(payload, asked)`` turns bytes into Facts and does nothing else:

1. Bytes in, Facts out. No socket, no file, no clock, no logging, no state kept between calls.
2. Not mine: yield nothing. A probe is offered bytes that another protocol wrote.
3. Mine, and broken: raise `Malformed` with the offset, after yielding what was certain.
   It is the only exception that may escape, whatever the bytes are.
4. Cut short: yield only what is already certain; a text that may go on is not certain.
5. The caller bounds the payload to `MAX_PAYLOAD`; a dissector bounds depth, counts and
   text lengths itself (`fingerprints.model.MAX_TEXT`).
6. Only fields that the record declares are yielded. Texts are ``str``: decoded as UTF-8
   with replacement, NULs removed.
7. ``asked`` is the request that the payload answers, when the caller knows it (the bytes
   we sent, or the other direction of a recorded stream), else empty.

Ports choose candidates; ``mine`` decides: a cheap look at the first bytes, because cameras
serve HTTP and RTSP on any port.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from fingerprints.model import Fact, Speaker

__all__ = [
    "ASKED",
    "MAX_PAYLOAD",
    "OPEN_PORT",
    "SIGHTING",
    "Ask",
    "Dissect",
    "Follow",
    "Malformed",
    "Message",
    "Probe",
    "Target",
    "Transport",
]

MAX_PAYLOAD: Final = 65_536
"""Most bytes of one reply, datagram or stream direction that a dissector is given."""

SIGHTING: Final = "sighting"
"""Protocol of a Message without payload that only says: this MAC and address exist."""
OPEN_PORT: Final = "tcp.open"
"""Protocol of a Message without payload that only says: this TCP port of the sender is open."""

ASKED: Final = "asked"
"""Protocol of a Message without payload that only says: the sender asked for this port of the receiver."""

Transport = Literal["udp", "tcp", "tls", "ethernet", "icmp6"]
"""How bytes travel. ``tls`` is a TCP stream inside TLS; ``ethernet`` has no IP; ``icmp6`` begins at its type."""


class Malformed(Exception):  # noqa: N818 - the word of the dissector contract
    """Bytes that are this protocol's and are broken at `offset` (bytes from the start)."""

    def __init__(self, what: str, offset: int = 0) -> None:
        super().__init__(f"{what} at byte {offset}")
        self.what = what
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Target:
    """One port of one host that may be asked: `ip` is canonical text, `zone` the interface of a link-local."""

    ip: str
    port: int
    transport: Transport = "udp"
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Bytes to send once, and when their answer is whole.

    `whole` says whether the bytes received so far are a complete answer (None: read until
    the host closes, falls silent or the bound is reached). `what` names the request for
    people (``GET /``). `port` and `transport` are set where they differ from the target's.
    """

    payload: bytes
    what: str = ""
    whole: Callable[[bytes], bool] | None = None
    port: int | None = None
    transport: Transport | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes that one host said to another, with where, when and how they were seen.

    `sender` and `receiver` are the frame's or socket's own addresses. `asked` is the
    request this answers, if known. `protocol` is set when whoever asked knows it.
    `whole` is False when the capture cut the bytes short. `moved` is set where a connection that these
    bytes opened has ended: all bytes that the sender said in it, then all that the receiver said. The
    same Message was told before, without that. `count` is how often it was said since it was told of
    last, for the last time `at`.
    """

    transport: Transport
    payload: bytes
    sender: Speaker
    receiver: Speaker
    asked: bytes = b""
    protocol: str = ""
    at: float | None = None
    via: str = ""
    frame: int | None = None
    whole: bool = True
    moved: tuple[int, int] | None = None
    count: int = 1


Dissect = Callable[[bytes, bytes], Iterator[Fact]]
"""``dissect(payload, asked)``, as the contract above says."""

Follow = Callable[[Ask, bytes], tuple[Ask, ...]]
"""What to ask next on the same host, after ``ask`` was answered with these bytes."""


def _no_follow(_ask: Ask, _reply: bytes) -> tuple[Ask, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Probe:
    """One protocol: what to say first, how to know it, how to read it.

    A passive protocol is a probe with no `hello`. `ports` are where it usually lives
    (for multicast and unicast questions, and as the first guess in a capture).
    `groups` are the multicast groups it is asked at (``255.255.255.255`` for broadcast).
    `hello(target)` gives the questions for one host or group; every question only reads.
    `prefixes` are payload beginnings by which a capture filter can recognise it on any port.
    `ethertypes` are the numbers that announce a protocol without IP: an ethertype (16 bits), or
    a SNAP id (40 bits: organisation, then number) where the organisation is not zero.
    `reply_port`, if set, is the local port that answers are sent to.
    `order` puts cheap questions first (0 cheapest).
    `fresh` finds what is new in every message and tells nothing, such as its number: two messages of
    one length that differ in nothing else are dissected once. A fact may hold it only where
    `agent.drawn` knows that. Of TCP it is looked for in whole connections, so nothing stands for
    the beginning in it. One that begins with fixed bytes is found ten times as quickly.
    """

    name: str
    transport: Transport
    ports: tuple[int, ...]
    fields: tuple[str, ...]
    mine: Callable[[bytes], bool]
    dissect: Dissect
    hello: Callable[[Target], tuple[Ask, ...]] | None = None
    follow: Follow = _no_follow
    groups: tuple[str, ...] = ()
    reply_port: int | None = None
    prefixes: tuple[bytes, ...] = ()
    ethertypes: frozenset[int] = frozenset()
    aliases: tuple[str, ...] = ()
    unicast: bool = True
    order: int = 5
    source: str = ""
    status: Literal["stable", "experimental"] = "stable"
    says: str = ""
    fresh: re.Pattern[bytes] | None = None

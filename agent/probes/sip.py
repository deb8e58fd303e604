"""SIP: which program a phone, door station or recorder names.

Requests and answers after RFC 3261: User-Agent (section 20.41) is the sender's own in both; a
Server (20.35) or a realm (20.44) that it challenges with stands in answers only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent.wire import Probe
from fingerprints.model import Fact

__all__ = ["SIP", "SIP_TCP"]

_METHODS: Final = (
    b"REGISTER",
    b"INVITE",
    b"OPTIONS",
    b"ACK",
    b"BYE",
    b"CANCEL",
    b"NOTIFY",
    b"SUBSCRIBE",
    b"MESSAGE",
)
_ANSWER: Final = b"SIP/2.0 "
_PREFIXES: Final = (_ANSWER, *(method + b" sip:" for method in _METHODS))
_MAX_HEAD: Final = 16_384
_MAX_LINES: Final = 128
_MAX_VALUE: Final = 512
_REALM: Final = re.compile(rb'\brealm="([^"]{1,256})"', re.IGNORECASE)


def _mine(payload: bytes) -> bool:
    return payload.startswith(_PREFIXES)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    # The piece after the last line's end may go on.
    *lines, _ = payload[:_MAX_HEAD].split(b"\n", _MAX_LINES)
    for line in lines[1:]:
        if not line.strip():
            return
        name, _, value = line.partition(b":")
        yield from _header(name.strip().lower(), value[:_MAX_VALUE], is_answer=payload.startswith(_ANSWER))


def _header(name: bytes, value: bytes, *, is_answer: bool) -> Iterator[Fact]:
    if name == b"user-agent" or (name == b"server" and is_answer):
        text = value.decode("utf-8", "replace").replace("\0", "").strip()
        if text:
            yield Fact("sip.user-agent", text)
    elif name in {b"www-authenticate", b"proxy-authenticate"} and is_answer:
        realm = _REALM.search(value)
        text = realm[1].decode("utf-8", "replace").replace("\0", "").strip() if realm else ""
        if text:
            yield Fact("sip.realm", text)


SIP: Final = Probe(
    name="sip",
    transport="udp",
    ports=(5060,),
    fields=("sip.user-agent", "sip.realm"),
    mine=_mine,
    dissect=_dissect,
    prefixes=_PREFIXES,
    unicast=False,
    source="RFC 3261; recorded calls",
    says="the program and realm of a door station or phone",
)

SIP_TCP: Final = Probe(
    name="sip-tcp",
    transport="tcp",
    ports=(5060,),
    fields=SIP.fields,
    mine=_mine,
    dissect=_dissect,
    prefixes=_PREFIXES,
    unicast=False,
    source=SIP.source,
    says="SIP over TCP: the program and realm of a door station or phone",
)

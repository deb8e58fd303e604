"""Dahua's discovery protocol, DHIP: a 32-byte header with JSON over UDP 37810.

The header (little-endian): length of itself (0x20), ``DHIP``, session, request id, body
length, zero, body length again, zero. Request and answer as in UniversalScanner
(julienblitte/UniversalScanner, Dahua2.cs); answers recorded from cameras, recorders and
door stations are in the test corpus. The same framing carries sessions on TCP 37777 or 80,
whose first answer names the device in its login realm; that is only read in passing,
because provoking it would be a login attempt. Older sessions on TCP 37777 have a binary header of
32 bytes, whose first is 0xb0 in answers, and the realm in lines of text behind it (mcw0/DahuaConsole,
and other clients' tests). Only ``DHDiscover.search`` is ever built here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final

from agent import json
from agent.names import kebab
from agent.wire import Ask, Malformed, Probe, Target
from fingerprints.model import Fact

__all__ = ["DAHUA_DVRIP", "DHIP"]

_HEADER: Final = struct.Struct("<I4sIIIIII")
_MAGIC: Final = b"\x20\x00\x00\x00DHIP"
_MAX_FRAMES: Final = 16
_GROUPS: Final = ("239.255.255.251", "255.255.255.255")

_ANSWER: Final = "client.notifyDevInfo"
_REALM: Final = "Login to "
_CHALLENGE: Final = re.compile(rb"(?s)\xb0.{31}Realm:(Login to [ -~]{1,80})\r\n")
# A body without its header is DHIP's if one of these stands in it.
_OWN_WORDS: Final = (b'"client.notifyDevInfo"', b'"deviceInfo"', b'"DeviceClass"', b'"Login to ')

# Scalars of params.deviceInfo in recorded answers; whatever else stands there is left aside.
_KEYS: Final = (
    "AlarmInputChannels",
    "AlarmOutputChannels",
    "DeviceClass",
    "DeviceID",
    "DeviceType",
    "Find",
    "FindVersion",
    "HttpPort",
    "HttpsPort",
    "Init",
    "MachineName",
    "Manufacturer",
    "Port",
    "RemoteVideoInputChannels",
    "SerialNo",
    "UnLoginFuncMask",
    "UniKey",
    "Vendor",
    "Version",
    "VideoInputChannels",
    "VideoOutputChannels",
)
_FIELDS: Final[dict[tuple[str, ...], str]] = {
    **{(key,): f"dhip.{kebab(key)}" for key in _KEYS},
    ("IPv4Address", "IPAddress"): "dhip.ipv4-address",
    ("IPv6Address", "IPAddress"): "dhip.ipv6-address",
    ("IPv6Address", "LinkLocalAddress"): "dhip.ipv6-address",
}


def _mine(payload: bytes) -> bool:
    return payload.startswith(_MAGIC) or _is_body(payload[:1024])


def _is_body(payload: bytes) -> bool:
    return payload.lstrip()[:1] in (b"{", b'"') and any(word in payload for word in _OWN_WORDS)


def _hello(target: Target) -> tuple[Ask, ...]:
    # uni says whether the answer shall come by unicast (1) or to the group (0).
    alone = target.ip not in _GROUPS
    body = b'{"method":"DHDiscover.search","params":{"mac":"","uni":%d}}\n' % alone
    header = _HEADER.pack(_HEADER.size, b"DHIP", 0, 0, len(body), 0, len(body), 0)
    return (Ask(header + body, "DHDiscover.search"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """Facts of answers, each with its header or bare; requests say nothing of who sent them."""
    if not payload.startswith(_MAGIC):
        if _is_body(payload):
            yield from _body(payload, 0)
        return
    at = 0
    for _ in range(_MAX_FRAMES):
        if len(payload) < at + _HEADER.size or not payload.startswith(_MAGIC, at):
            return
        length = int(_HEADER.unpack_from(payload, at)[4])
        at += _HEADER.size
        yield from _body(payload[at : at + length], at)
        at += length


def _body(payload: bytes, offset: int) -> Iterator[Fact]:
    try:
        for path, text in json.leaves(payload):
            if path == ("method",) and text != _ANSWER:
                return
            field = _field(path, text)
            if field is not None:
                yield Fact(field, text)
    except Malformed as error:
        raise Malformed(error.what, offset + error.offset) from None


def _field(path: tuple[str, ...], text: str) -> str | None:
    if path in (("mac",), ("method",)):
        return f"dhip.{path[0]}"
    if path[-1:] == ("realm",) and text.startswith(_REALM):
        return "dahua-dvrip.realm"
    keys = path[2:] if path[:2] == ("params", "deviceInfo") else path
    if keys[:1] == ("deviceInfo",):
        keys = keys[1:]
    return _FIELDS.get(keys)


def _mine_in_stream(payload: bytes) -> bool:
    return _CHALLENGE.match(payload) is not None or _mine(payload)


def _dissect_stream(payload: bytes, asked: bytes) -> Iterator[Fact]:
    challenge = _CHALLENGE.match(payload)
    if challenge:
        yield Fact("dahua-dvrip.realm", challenge[1].decode("ascii"))
    else:
        yield from _dissect(payload, asked)


DHIP: Final = Probe(
    name="dhip",
    transport="udp",
    ports=(37810,),
    fields=("dahua-dvrip.realm", "dhip.mac", "dhip.method", *dict.fromkeys(_FIELDS.values())),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=_GROUPS,
    reply_port=37810,
    prefixes=(_MAGIC,),
    order=0,
    aliases=("dahua2",),
    source="julienblitte/UniversalScanner Dahua2.cs; recorded answers",
    says="Dahua discovery: class, model, serial, firmware, badge, addresses",
)

DAHUA_DVRIP: Final = Probe(
    name="dahua-dvrip",
    transport="tcp",
    ports=(37777,),
    fields=DHIP.fields,
    mine=_mine_in_stream,
    dissect=_dissect_stream,
    prefixes=(_MAGIC, b"\xb0\0\0\x78", b"\xb0\1\0\x78"),
    source="rroller/dahua; recorded login challenge; mcw0/DahuaConsole",
    says="Dahua sessions, read in passing: the realm that names the device",
)

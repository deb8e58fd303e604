"""SNMP answers: system description, object identifier and the makers' own variables.

Reads GetResponse messages of SNMP v1 and v2c (BER, RFC 1157 and RFC 3416), and the same
variables as a JSON object of dotted identifiers, as tools write them down. Nothing is asked:
reading a device by SNMP needs access that the user supplies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent import json
from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["SNMP"]

_FIELDS: Final = {
    "1.3.6.1.2.1.1.1.0": "snmp.sysdescr",
    "1.3.6.1.2.1.1.2.0": "snmp.sysobjectid",
    "1.3.6.1.2.1.1.5.0": "snmp.sysname",
}
_OID: Final = re.compile(r"\.?1(?:\.\d{1,10}){4,64}")
_JSON: Final = re.compile(rb'\s*\{\s*"\.?1\.3\.6\.1\.[0-9.]{1,200}"')
_GET_RESPONSE: Final = 0xA2
_MAX_VARIABLES: Final = 256


def _mine(payload: bytes) -> bool:
    if _JSON.match(payload):
        return True
    if len(payload) < 12 or payload[0] != 0x30:
        return False
    start = 2 if payload[1] < 0x80 else 2 + (payload[1] & 0x7F)
    return payload[start : start + 2] == b"\x02\x01" and payload[start + 2 : start + 3] in {b"\x00", b"\x01"}


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if _JSON.match(payload):
        for path, text in json.leaves(payload):
            if path and _OID.fullmatch(path[-1]):
                yield _fact(path[-1].lstrip("."), text)
        return
    if _mine(payload):
        yield from _message(payload)


def _fact(oid: str, text: str) -> Fact:
    field = _FIELDS.get(oid)
    return Fact(field, text) if field else Fact("snmp.oid", f"{oid} = {text}")


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of the element at `at`; the end may lie beyond the data where it is cut."""
    if at + 2 > len(data):
        raise Malformed("an SNMP element without a length", at)
    tag, length, start = data[at], data[at + 1], at + 2
    if length >= 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or start + size > len(data):
            raise Malformed("an SNMP length that cannot be", at)
        length = int.from_bytes(data[start : start + size])
        start += size
    return tag, start, start + length


def _message(payload: bytes) -> Iterator[Fact]:
    _, at, _ = _element(payload, 0)
    _, _, at = _element(payload, at)  # version
    _, _, at = _element(payload, at)  # community: a secret, never kept
    tag, at, _ = _element(payload, at)
    if tag != _GET_RESPONSE:
        return
    for _ in range(3):  # request id, error status, error index
        _, _, at = _element(payload, at)
    _, at, end = _element(payload, at)
    for _ in range(_MAX_VARIABLES):
        if at >= min(end, len(payload)):
            return
        _, inner, after = _element(payload, at)
        if after > len(payload):
            return  # cut short: what is not whole is not certain
        tag, start, stop = _element(payload, inner)
        if tag != 0x06:
            raise Malformed("an SNMP variable without a name", inner)
        oid = _oid(payload[start:stop])
        tag, start, stop = _element(payload, stop)
        if stop > after:
            raise Malformed("an SNMP value longer than its variable", start)
        text = _value(tag, payload[start:stop])
        if text:
            yield _fact(oid, text)
        at = after


def _oid(data: bytes) -> str:
    """An object identifier in dots (X.690, section 8.19), as far as it goes."""
    if not data:
        return ""
    parts = [min(data[0] // 40, 2), data[0] - 40 * min(data[0] // 40, 2)]
    value = 0
    for byte in data[1:128]:
        value = (value << 7) | (byte & 0x7F)
        if value >= 1 << 32:
            break
        if not byte & 0x80:
            parts.append(value)
            value = 0
    return ".".join(str(part) for part in parts)


def _value(tag: int, data: bytes) -> str:
    if tag == 0x06:
        return _oid(data)
    if tag == 0x04:
        return data.decode("utf-8", "replace").replace("\0", "").strip()
    return ""


SNMP: Final = Probe(
    name="snmp",
    transport="udp",
    ports=(161,),
    fields=("snmp.sysdescr", "snmp.sysobjectid", "snmp.sysname", "snmp.oid"),
    mine=_mine,
    dissect=_dissect,
    aliases=("snmp-private",),
    unicast=False,
    source="RFC 1157, RFC 3416; recorded variables in the test corpus",
    says="nothing: reading by SNMP needs access that the user supplies",
)

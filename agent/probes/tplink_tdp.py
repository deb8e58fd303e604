"""TP-Link's device discovery: JSON over UDP 20002, with a header of 16 bytes.

Cameras, plugs, bulbs and hubs answer alike; ``device_type`` tells them apart. Answers as
python-kasa recorded them. The header: version 2, kind 0 (discovery), operation 1, length of
the JSON, flags, serial and a checksum: CRC-32 of the message with 0x5A6B7C8D in its place
(python-kasa, ``kasa/discover.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent import json
from agent.wire import Ask, Malformed, Probe, Target
from fingerprints.model import Fact

__all__ = ["TPLINK_TDP"]

_HEADER: Final = 16
_KEYS: Final = {
    "device_type": "discovery.tplink-tdp.device-type",
    "device_model": "discovery.tplink-tdp.device-model",
    "device_name": "discovery.tplink-tdp.device-name",
    "firmware_version": "discovery.tplink-tdp.firmware-version",
    "hardware_version": "discovery.tplink-tdp.hardware-version",
    "mac": "discovery.tplink-tdp.mac",
}
# A bare header. Newer clients add a public key for the part that is encrypted; what is read
# here stands in clear in either answer.
_QUESTION: Final = bytes.fromhex("0200 0001 0000 0000 00000000 463cb5d3")
_MARKS: Final = (b'"device_type"', b'"device_model"')


def _body(payload: bytes) -> tuple[bytes, int]:
    """The JSON with its offset: after the header, or from the start where there is none."""
    if payload[:1] == b"\2" and payload[_HEADER : _HEADER + 1] == b"{":
        return payload[_HEADER:], _HEADER
    return payload, 0


def _mine(payload: bytes) -> bool:
    body, _ = _body(payload)
    return body.lstrip()[:1] == b"{" and any(mark in body for mark in _MARKS)


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_QUESTION, "TP-Link discovery"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    body, start = _body(payload)
    try:
        for path, text in json.leaves(body):
            field = _KEYS.get(path[-1]) if path else None
            if field is not None and text:
                yield Fact(field, text)
    except Malformed as error:
        raise Malformed(error.what, start + error.offset) from None


TPLINK_TDP: Final = Probe(
    name="tplink-tdp",
    transport="udp",
    ports=(20002,),
    fields=tuple(_KEYS.values()),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    source="python-kasa: question, and answers recorded (test corpus)",
    says="type, model, firmware and MAC of TP-Link devices",
)

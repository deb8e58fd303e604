"""TP-Link's device discovery: JSON over UDP 20002, with a header of 16 bytes.

Cameras, plugs, bulbs and hubs answer alike; ``device_type`` tells them apart. Answers as
python-kasa recorded them. Nothing is asked: the question carries a key exchange.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent import json
from agent.wire import Probe
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
_MARKS: Final = (b'"device_type"', b'"device_model"')


def _body(payload: bytes) -> tuple[bytes, int]:
    """The JSON with its offset: after the header, or from the start where there is none."""
    if payload[:1] == b"\2" and payload[_HEADER : _HEADER + 1] == b"{":
        return payload[_HEADER:], _HEADER
    return payload, 0


def _mine(payload: bytes) -> bool:
    body, _ = _body(payload)
    return body.lstrip()[:1] == b"{" and any(mark in body for mark in _MARKS)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    body, _ = _body(payload)
    for path, text in json.leaves(body):
        field = _KEYS.get(path[-1]) if path else None
        if field is not None and text:
            yield Fact(field, text)


TPLINK_TDP: Final = Probe(
    name="tplink-tdp",
    transport="udp",
    ports=(20002,),
    fields=tuple(_KEYS.values()),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="answers recorded by python-kasa (test corpus)",
    says="type, model, firmware and MAC of TP-Link devices",
)

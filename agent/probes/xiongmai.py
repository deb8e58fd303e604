"""Xiongmai's network settings as its recorders state them: NetCommon JSON, TCP 34567 or UDP 34569.

A message has a header of 20 bytes that begins with 0xff; the JSON follows. The JSON of one
device is recorded; the UDP question and its answer are not, so nothing is asked.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from agent import json
from agent.names import kebab
from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["XIONGMAI"]

_HEADER: Final = 20
_KEYS: Final = (
    "BuildDate",
    "ChannelNum",
    "DeviceType",
    "HttpPort",
    "TCPPort",
    "Version",
    "MAC",
    "HostName",
)
_FIELDS: Final = {key: f"discovery.xiongmai.{kebab(key)}" for key in _KEYS} | {
    "SN": "discovery.xiongmai.serial",
    "HostIP": "discovery.xiongmai.host-ip",
}
_MARK: Final = b"NetWork.NetCommon"


def _mine(payload: bytes) -> bool:
    return _MARK in payload[:512] and (payload[:1] == b"\xff" or payload.lstrip()[:1] == b"{")


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    start = _HEADER if payload[:1] == b"\xff" else 0
    try:
        for path, text in json.leaves(payload[start:]):
            field = _FIELDS.get(path[-1]) if path else None
            if field is not None and text:
                yield Fact(field, _address(text) if path[-1] == "HostIP" else text)
    except Malformed as error:
        raise Malformed(error.what, start + error.offset) from None


def _address(text: str) -> str:
    """``0x0A01A8C0`` is 192.168.1.10: the bytes of the address, last first."""
    found = re.fullmatch(r"0x([0-9A-Fa-f]{8})", text)
    return str(ipaddress.IPv4Address(bytes.fromhex(found[1])[::-1])) if found else text


XIONGMAI: Final = Probe(
    name="xiongmai",
    transport="udp",
    ports=(34569, 34567),
    fields=tuple(_FIELDS.values()),
    mine=_mine,
    dissect=_dissect,
    unicast=False,
    source="NetCommon answer recorded in the Besder 6024PB investigation (test corpus)",
    status="experimental",
    says="version, channels, MAC and serial of a Xiongmai device",
)

"""Xiongmai's protocol ("Sofia"): what its devices state in JSON over TCP 34567 or UDP 34569.

A message has a header of 20 bytes, little-endian: 0xff, 1 from a device or 0 from a client, two
noughts, session, number (u32), two bytes, message (u16), length (u32); the JSON follows, ended by a
line feed (sofia-netsurv/python-netsurv). The network settings of one device are recorded, and of
another its system information, with the result code (`Ret`) that stands in every answer. Over UDP
message 1530, without a body, searches and 1531 answers (OpenIPC/python-dvr, DeviceManager.py); that
exchange is not recorded. 1532 sets addresses and is never built here; over TCP a login comes first.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Iterator
from typing import Final

from agent import json
from agent.names import kebab
from agent.wire import Ask, Malformed, Probe, Target
from fingerprints.model import Fact

__all__ = ["XIONGMAI", "XIONGMAI_TCP"]

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
_ABOUT: Final = {
    "HardWare": "discovery.xiongmai.hardware",
    "SoftWareVersion": "discovery.xiongmai.version",
    "SerialNo": "discovery.xiongmai.serial",
    "BuildTime": "discovery.xiongmai.build-date",
}
"""What the system information holds."""
_MARK: Final = b"NetWork.NetCommon"
_FROM_DEVICE: Final = b"\xff\1\0\0"
_HEAD: Final = struct.Struct("<4sIIHHI")
_FROM_CLIENT: Final = b"\xff\0\0\0"
_SEARCH: Final = 1530
_MAX_MESSAGES: Final = 16


def _mine(payload: bytes) -> bool:
    return _MARK in payload[:512] and (payload[:1] == b"\xff" or payload.lstrip()[:1] == b"{")


def _mine_in_stream(payload: bytes) -> bool:
    """A device's message: what a client says, its password among it, is nobody's business."""
    return (
        payload.startswith(_FROM_DEVICE) and len(payload) > _HEADER and payload[_HEADER : _HEADER + 1] == b"{"
    )


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_HEAD.pack(_FROM_CLIENT, 0, 0, 0, _SEARCH, 0), "Xiongmai device search"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if _mine(payload):
        yield from _settings(payload, _HEADER if payload[:1] == b"\xff" else 0)


def _dissect_stream(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    at = 0
    told = False
    for _ in range(_MAX_MESSAGES):
        if not _mine_in_stream(payload[at : at + _HEADER + 1]):
            return
        length = int(_HEAD.unpack_from(payload, at)[5])
        body = payload[at + _HEADER : at + _HEADER + length]
        if not told and b'"Ret"' in body:
            told = True
            yield Fact("discovery.xiongmai.answer", "Sofia")
        yield from _settings(payload[: at + _HEADER + len(body)], at + _HEADER)
        at += _HEADER + length


def _settings(payload: bytes, start: int) -> Iterator[Fact]:
    """Network settings or system information from `start` on."""
    try:
        for path, text in json.leaves(payload[start:]):
            fields = _FIELDS if _MARK.decode() in path else _ABOUT if "SystemInfo" in path else {}
            field = fields.get(path[-1]) if path else None
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
    fields=(*dict.fromkeys((*_FIELDS.values(), *_ABOUT.values())),),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    reply_port=34569,
    order=6,
    source=(
        "OpenIPC/python-dvr DeviceManager.py; settings recorded in the Besder 6024PB investigation (test corpus)"
    ),
    status="experimental",
    says="version, channels, MAC and serial of a Xiongmai device",
)

XIONGMAI_TCP: Final = Probe(
    name="xiongmai-tcp",
    transport="tcp",
    ports=(34567,),
    fields=("discovery.xiongmai.answer", *XIONGMAI.fields),
    mine=_mine_in_stream,
    dissect=_dissect_stream,
    prefixes=(_FROM_DEVICE,),
    unicast=False,
    source="sofia-netsurv/python-netsurv; texts of two recorded answers, no recorded stream",
    status="experimental",
    says="Xiongmai sessions, read in passing: version, board and serial of the device",
)

"""Hikvision's SADP in frames of its own (ethertype 0x8033), older than its XML over UDP.

A header of 38 bytes: mark 0x21, version, series, length, number, the sizes of a MAC (6) and an
IPv4 address (4), operation at 10, checksum, then the sender's MAC at 14 and address at 20. The
answer to an inquiry (operation 4) goes on with serial (48 bytes), kind, port and two counts
(four bytes each), software, DSP and start time (48 each); newer devices add 152 bytes with their
description at 104 and their badge at 128. Layout as in two public programs that speak it:
MatrixEditor/hiktools (lua/sadp.lua) and LLLL-M/privateCodeforItsc (ARM/trunk/sadp). No answer is
recorded. Operations 6, 10 and 16 change devices; nothing is sent here at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.binary import address_text, mac_text, placed_text
from agent.wire import Probe
from fingerprints.model import Fact

__all__ = ["SADP_RAW"]

_ETHERTYPE: Final = 0x8033
_MARK: Final = 0x21
_SIZES: Final = b"\x06\x04"
_INQUIRY_ANSWER: Final = 4
_HEADER: Final = 38
_EXTENDED: Final = _HEADER + 208
_PLACES: Final = (
    (_HEADER, 48, "discovery.sadp-raw.serial"),
    (_HEADER + 64, 48, "discovery.sadp-raw.firmware"),
    (_EXTENDED + 104, 24, "discovery.sadp-raw.model"),
    (_EXTENDED + 128, 24, "discovery.sadp-raw.oem-info"),
)


def _mine(payload: bytes) -> bool:
    return payload[:1] == bytes([_MARK]) and payload[8:11] == _SIZES + bytes([_INQUIRY_ANSWER])


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """Facts of an answer to an inquiry; questions and changes say nothing of a device."""
    if not _mine(payload):
        return
    if mac := mac_text(payload[14:20]):
        yield Fact("discovery.sadp-raw.mac", mac)
    if address := address_text(payload[20:24]):
        yield Fact("discovery.sadp-raw.ipv4-address", address)
    for start, size, field in _PLACES:
        if text := placed_text(payload, start, size):
            yield Fact(field, text)


SADP_RAW: Final = Probe(
    name="sadp-raw",
    transport="ethernet",
    ports=(),
    fields=(
        "discovery.sadp-raw.mac",
        "discovery.sadp-raw.ipv4-address",
        *(field for _, _, field in _PLACES),
    ),
    mine=_mine,
    dissect=_dissect,
    ethertypes=frozenset({_ETHERTYPE}),
    unicast=False,
    source="MatrixEditor/hiktools lua/sadp.lua; LLLL-M/privateCodeforItsc ARM/trunk/sadp",
    status="experimental",
    says="Hikvision discovery without IP: serial, firmware, model, MAC, address",
)

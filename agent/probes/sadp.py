"""Hikvision's discovery protocol, SADP: XML over UDP 37020.

A device answers by multicast, so the answer reaches every listener of the group. Units
that other companies sell under their own badge answer as well.

A device that comes up says ``<Hello>`` with the same elements (LLLL-M/privateCodeforItsc,
ARM/trunk/sadp/sadp.c). Request and answer as in UniversalScanner (julienblitte/UniversalScanner, Hikvision.cs);
answers recorded from cameras, recorders and indoor stations are in the test corpus.
SADP can also write (passwords, addresses): only ``inquiry`` is ever built here.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Final

from agent import xml
from agent.names import kebab
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["SADP"]

# Scalar elements of recorded ProbeMatch answers; whatever else stands in one is left aside.
_KEYS: Final = (
    "Activated",
    "AnalogChannelNum",
    "BootTime",
    "CommandPort",
    "CpuSerial",
    "DHCP",
    "DNS1",
    "DNS2",
    "DSPVersion",
    "DetailOEMCode",
    "DeviceDescription",
    "DeviceLock",
    "DeviceSN",
    "DeviceType",
    "DigitalChannelNum",
    "DiskNumber",
    "ET",
    "Encrypt",
    "HCPlatformEnable",
    "HttpPort",
    "IPv4Address",
    "IPv4Gateway",
    "IPv4SubnetMask",
    "IPv6Address",
    "IPv6Gateway",
    "IPv6MaskLen",
    "IsModifyVerificationCode",
    "MAC",
    "OEMCode",
    "OEMInfo",
    "PasswordResetAbility",
    "PasswordResetModeSecond",
    "ResetAbility",
    "SDKOverTLSPort",
    "SDKServerStatus",
    "Salt",
    "SoftwareVersion",
    "Support",
    "SupportGUID",
    "SupportHCPlatform",
    "SupportSecurityQuestion",
    "SyncIPCPassword",
    "Types",
    "UID",
    "Uuid",
)
_FIELDS: Final = {key: f"sadp.{kebab(key)}" for key in _KEYS}

# Any of these names a fragment as SADP's; the other keys are words that anybody uses.
_OWN_WORDS: Final = (b"DeviceDescription>", b"DeviceSN>", b"CommandPort>", b"DSPVersion>", b"DetailOEMCode>")
_OTHERS: Final = (b"Envelope", b"root", b"Probe")


def _mine(payload: bytes) -> bool:
    if xml.looks_like(payload, b"Hello"):
        return any(word in payload for word in _OWN_WORDS)
    return xml.looks_like(payload, b"ProbeMatch") and b":ProbeMatch" not in payload[:512]


def _hello(_target: Target) -> tuple[Ask, ...]:
    request = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f"<Probe><Uuid>{str(uuid.uuid4()).upper()}</Uuid><Types>inquiry</Types></Probe>"
    )
    return (Ask(request.encode("ascii"), "SADP inquiry"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """Facts of a ProbeMatch or Hello, whole or part; a request (``<Probe>``) says nothing of who sent it."""
    if not _mine(payload) and not _is_fragment(payload):
        return
    document = xml.read(payload)
    for leaf in document.leaves:
        field = _FIELDS.get(leaf.name)
        if field is not None and set(leaf.path[:-1]) <= {"ProbeMatch", "Hello"}:
            yield Fact(field, leaf.text)
    document.finish()


def _is_fragment(payload: bytes) -> bool:
    return any(word in payload for word in _OWN_WORDS) and not xml.looks_like(payload, *_OTHERS)


SADP: Final = Probe(
    name="sadp",
    transport="udp",
    ports=(37020,),
    fields=tuple(_FIELDS.values()),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("239.255.255.250",),
    reply_port=37020,
    order=0,
    aliases=("hikvision",),
    source="julienblitte/UniversalScanner Hikvision.cs; recorded answers",
    says="Hikvision discovery: model, serial, firmware, addresses, badge",
    # The number of a question, repeated by its answers.
    fresh=re.compile(rb"<Uuid>[0-9A-Fa-f-]{1,64}</Uuid>"),
)

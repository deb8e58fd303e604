"""Hikvision's ISAPI documents, as a recorder or camera gives them to who has logged in.

Asked for by `agent.details` with the user's credentials, never by a scan without. A recorder's
channel list describes the cameras attached to it: those facts are about ``channel:<id>`` of the
speaker. The list's own ``size`` is not believed: recorded lists contradict it (DS-7732NI-M4).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent import xml
from agent.wire import Probe
from fingerprints.model import Fact

__all__ = ["ISAPI"]

_ROOTS: Final = (
    b"InputProxyChannelList",
    b"InputProxyChannel",
    b"InputProxyChannelStatusList",
    b"InputProxyChannelStatus",
    b"DeviceInfo",
)
_OWN: Final = {
    "model": "details.model",
    "serialNumber": "details.serial",
    "firmwareVersion": "details.firmware",
    "macAddress": "details.mac",
    "deviceName": "details.name",
    "deviceType": "details.class",
    "manufacturer": "details.manufacturer",
}
_SOURCE: Final = "sourceInputPortDescriptor"
_CHANNEL: Final = {
    ("InputProxyChannel", "name"): "details.name",
    (_SOURCE, "model"): "details.model",
    (_SOURCE, "serialNumber"): "details.serial",
    (_SOURCE, "firmwareVersion"): "details.firmware",
    (_SOURCE, "macAddress"): "details.mac",
    (_SOURCE, "ipAddress"): "details.address",
    (_SOURCE, "proxyProtocol"): "details.protocol",
    ("InputProxyChannelStatus", "online"): "details.online",
}
_GENERIC: Final = frozenset({"ipc", "ip camera", "ipcamera", "camera", "ip dome"})
"""What stands for the model of a camera that the recorder does not know better."""


def _mine(payload: bytes) -> bool:
    return xml.looks_like(payload, *_ROOTS)


def _is_generic(end: tuple[str, ...], text: str) -> bool:
    return end == (_SOURCE, "model") and text.lower() in _GENERIC


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    document = xml.read(payload)
    about = ""
    for leaf in document.leaves:
        end = leaf.path[-2:]
        # The id comes first in every recorded channel.
        if leaf.name == "id" and end[0] in {"InputProxyChannel", "InputProxyChannelStatus"}:
            about = f"channel:{leaf.text}" if leaf.text.isdecimal() and len(leaf.text) < 6 else ""
            if about and end[0] == "InputProxyChannel":
                yield Fact("details.class", "attached", about)
        elif end[0] == "DeviceInfo" and leaf.name in _OWN:
            yield Fact(_OWN[leaf.name], leaf.text)
        elif about and end in _CHANNEL and not _is_generic(end, leaf.text):
            yield Fact(_CHANNEL[end], leaf.text, about)
    document.finish()


ISAPI: Final = Probe(
    name="isapi",
    transport="tcp",
    ports=(80, 443),
    fields=tuple(dict.fromkeys((*_OWN.values(), *_CHANNEL.values()))),
    mine=_mine,
    dissect=_dissect,
    source="recorded answers of DS-7608NXI-I2, DS-7616NI-K2, DS-7616NI-Q2, DS-7732NI-M4 and"
    " iDS-7204HUHI-M1: maciej-or/hikvision_next, tests/fixtures/devices",
    says="with credentials: model, serial, firmware, MAC; for each channel of a recorder the camera on it",
)

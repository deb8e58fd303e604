"""Dahua's CGI answers, lines of ``key=value``, as a recorder or camera gives them to who has logged in.

Asked for by `agent.details` with the user's credentials, never by a scan without. In
``RemoteDevice``, slot N describes the camera on channel N + 1: those facts are about
``channel:<number>`` of the speaker. A slot counts if it is enabled and has a real address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent.wire import Probe
from fingerprints.model import MAX_TEXT, Fact

__all__ = ["DAHUA_CGI"]

_SLOT: Final = re.compile(
    rb"table\.RemoteDevice(?:\.uuid:System_CONFIG_NETCAMERA_INFO_(\d{1,4})|\[(\d{1,4})\])\.([A-Za-z]{1,32})=(.*)"
)
_OWN_LINE: Final = re.compile(rb"(serialNumber|updateSerial|type|version|name|vendor|class)=(.*)")
_START: Final = re.compile(rb"(?:table\.RemoteDevice[.\[]|(?:serialNumber|updateSerial|deviceType)=)")
_OWN: Final = {
    b"serialNumber": "details.serial",
    b"updateSerial": "details.model",
    b"type": "details.model",
    b"version": "details.firmware",
    b"name": "details.name",
    b"vendor": "details.manufacturer",
    b"class": "details.class",
}
_CAMERA: Final = {
    "Name": "details.name",
    "DeviceType": "details.model",
    "SerialNo": "details.serial",
    "Version": "details.firmware",
    "Mac": "details.mac",
    "Address": "details.address",
    "ProtocolType": "details.protocol",
}
_GENERIC: Final = frozenset({"31", "ip camera", "ipc", "ipcamera", "camera", "ip dome", "unknown"})
"""What stands for the model where the recorder does not know better; 31 is what Lorex recorders say."""
_NOWHERE: Final = frozenset({"", "0.0.0.0", "127.0.0.1", "192.168.0.0"})  # noqa: S104 - nothing is bound
"""Addresses of slots that were never used."""
_NO_MAC: Final = frozenset({"ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"})
_MAX_SLOTS: Final = 1_024


def _mine(payload: bytes) -> bool:
    return _START.match(payload.lstrip()) is not None


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    slots: dict[int, dict[str, str]] = {}
    # What follows the last line feed may go on.
    for raw in payload.split(b"\n")[:-1]:
        line = raw.strip()
        slot, own = _SLOT.fullmatch(line), _OWN_LINE.fullmatch(line)
        if slot and len(slots) < _MAX_SLOTS:
            keys = slots.setdefault(int(slot[1] or slot[2]), {})
            keys.setdefault(slot[3].decode("ascii"), _text(slot[4]))
        elif own:
            text = _text(own[2])
            if text and not (_OWN[own[1]] == "details.model" and text.lower() in _GENERIC):
                yield Fact(_OWN[own[1]], text)
    for number, keys in sorted(slots.items()):
        if keys.get("Enable", "").lower() == "true" and keys.get("Address", "") not in _NOWHERE:
            yield from _attached(number + 1, keys)


def _attached(channel: int, keys: dict[str, str]) -> Iterator[Fact]:
    about = f"channel:{channel}"
    yield Fact("details.class", "attached", about)
    for key, field in _CAMERA.items():
        text = keys.get(key, "")
        if not text or (key == "DeviceType" and text.lower() in _GENERIC) or text.lower() in _NO_MAC:
            continue
        yield Fact(field, text, about)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").replace("\0", "").strip()[:MAX_TEXT]


DAHUA_CGI: Final = Probe(
    name="dahua-cgi",
    transport="tcp",
    ports=(80, 443),
    fields=tuple(dict.fromkeys((*_OWN.values(), *_CAMERA.values()))),
    mine=_mine,
    dissect=_dissect,
    source="recorded RemoteDevice of a DH-NVR4216-HDS2, a DHI-NVR5232-EI and a recorder with Hikvision"
    " cameras; recorded magicBox answers in rroller/dahua#9, #59 and #79",
    says="with credentials: model, serial, firmware; for each channel of a recorder the camera on it",
)

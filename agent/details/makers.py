"""What to ask Hikvision's and Dahua's web servers, each question one that only reads.

Answers are cleaned of user names and passwords before anybody else sees them: a recorder's list
of cameras may hold those of the cameras.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from agent.probes import probe_named
from agent.wire import MAX_PAYLOAD, Malformed
from fingerprints.model import ATTACHED

__all__ = ["WAYS", "Page", "Way", "channels_in"]

_PART: Final = MAX_PAYLOAD - 4_096
_ACCOUNT: Final = re.compile(
    rb"<((?:[\w.-]+:)?\w*(?:user|pass|pwd|secret|salt)\w*)\b[^>]*>[^<]*</\1\s*>", re.IGNORECASE
)
_CHANNEL_START: Final = re.compile(rb"(?=<(?:[\w.-]+:)?InputProxyChannel(?:Status)?[\s>])")
_DAHUA_SLOT: Final = re.compile(
    rb"(table\.RemoteDevice(?:\.uuid:System_CONFIG_NETCAMERA_INFO_\d{1,4}|\[\d{1,4}\]))\."
    rb"(Enable|Address|Name|DeviceType|SerialNo|Version|Mac|ProtocolType)=.*"
)
_DAHUA_OWN: Final = re.compile(rb"(?:serialNumber|updateSerial|deviceType|type|version|name|vendor|class)=.*")


@dataclass(frozen=True, slots=True)
class Page:
    """One path to read; `recorders` says that only a recorder has it, `listing` that it lists channels."""

    path: str
    recorders: bool = False
    listing: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """A maker's way to tell of a device: `protocol` reads the answers, after `clean` has cut them."""

    protocol: str
    pages: tuple[Page, ...]
    clean: Callable[[bytes], Iterator[bytes]]


def _clean_isapi(body: bytes) -> Iterator[bytes]:
    """The document without accounts, in parts of whole channels."""
    yield from _joined(_CHANNEL_START.split(_ACCOUNT.sub(b"", body)))


def _clean_dahua(body: bytes) -> Iterator[bytes]:
    """The lines that are known to hold no account, slot by slot."""
    slots: dict[bytes, list[bytes]] = {}
    for raw in body.splitlines():
        line = raw.strip()
        slot = _DAHUA_SLOT.fullmatch(line)
        if slot or _DAHUA_OWN.fullmatch(line):
            slots.setdefault(slot[1] if slot else b"", []).append(line + b"\n")
    yield from _joined(b"".join(lines) for lines in slots.values())


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces put together as far as one payload holds them; a longer one is cut."""
    part = b""
    for piece in pieces:
        if part and len(part) + len(piece) > _PART:
            yield part
            part = b""
        part += piece[:_PART]
    if part:
        yield part


def channels_in(protocol: str, payload: bytes) -> set[str]:
    """The channels that a cleaned part of a list tells of."""
    probe = probe_named(protocol)
    found: set[str] = set()
    if probe is not None:
        try:
            for fact in probe.dissect(payload, b""):
                if fact.about.startswith(ATTACHED) and fact.field == "details.class":
                    found.add(fact.about)
        except Malformed:
            return found
    return found


_MAGIC_BOX: Final = "/cgi-bin/magicBox.cgi?action="

WAYS: Final[Mapping[str, Way]] = {
    "Hikvision": Way(
        "isapi",
        (
            Page("/ISAPI/System/deviceInfo"),
            Page("/ISAPI/ContentMgmt/InputProxy/channels", recorders=True, listing=True),
            Page("/ISAPI/ContentMgmt/InputProxy/channels/status", recorders=True),
        ),
        _clean_isapi,
    ),
    "Dahua": Way(
        "dahua-cgi",
        (
            Page(f"{_MAGIC_BOX}getSystemInfo"),
            Page(f"{_MAGIC_BOX}getSoftwareVersion"),
            Page(f"{_MAGIC_BOX}getDeviceClass"),
            Page(f"{_MAGIC_BOX}getDeviceType"),
            Page(f"{_MAGIC_BOX}getVendor"),
            Page(
                "/cgi-bin/configManager.cgi?action=getConfig&name=RemoteDevice", recorders=True, listing=True
            ),
        ),
        _clean_dahua,
    ),
}
"""By maker, how its devices tell of themselves: ISAPI as in maciej-or/hikvision_next and Hikvision's ISAPI
guide; CGI as in Dahua's HTTP API 2.76 and rroller/dahua#9."""

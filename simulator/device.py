"""Reads simulated devices: what each one is, with the answers somebody recorded from it.

A device is one TOML file in ``devices/``. It holds the truth (maker, badge, class, model),
a MAC from a block that really belongs to its maker (the last three bytes are invented) and,
for each protocol, the recorded answer in our own data with its `source`. Serial numbers keep
their recorded form with other digits. A protocol that nobody recorded from a device is absent,
so the simulated device stays silent there too.

Texts may hold tokens that depend on where the device stands: ``{ip}``, ``{ip6}``, ``{mac}``
(``28:57:be:00:00:01``), ``{mac-}`` (dashes), ``{mac0}`` (bare), ``{MAC}``, ``{MAC-}``,
``{MAC0}`` (upper case) and ``{port:80}`` (where port 80 really is).
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

__all__ = [
    "DEVICES",
    "Account",
    "Answer",
    "Certificate",
    "Device",
    "DeviceError",
    "Dhcp",
    "Dhip",
    "DnsService",
    "Http",
    "LegacyDahua",
    "Mdns",
    "Onvif",
    "Place",
    "Route",
    "Rtsp",
    "Sadp",
    "Ssdp",
    "Tcp",
    "Tdp",
    "WsDiscovery",
    "another",
    "load",
    "load_all",
]

DEVICES: Final = Path(__file__).parent / "devices"

_TOKEN: Final = re.compile(r"\{(ip6?|(?:mac|MAC)[-0]?|port:(\d{1,5}))\}")
_MAC: Final = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")


class DeviceError(Exception):
    """A device file that cannot be read: names the file and what is wrong in it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One recorded answer of a request-and-reply protocol: `headers` are whole lines."""

    status: int = 200
    headers: tuple[str, ...] = ()
    body: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP path with its recorded answer; `method` GET also answers HEAD.

    `query` must be the same, if it is set; `login` asks for the device's account first.
    """

    path: str
    method: str = "GET"
    status: int = 200
    headers: tuple[str, ...] = ()
    body: str = ""
    query: str = ""
    login: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """Who may log in, by digest or with a UsernameToken; `realm` is what the device says it is.

    `basic` is for a device that offers nothing better.
    """

    username: str
    password: str
    realm: str
    basic: bool = False


@dataclass(frozen=True, slots=True)
class Certificate:
    """Names of a TLS certificate in RFC 4514 order and spelling; no `issuer` means self-signed."""

    subject: str
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Http:
    """A web server: `headers` stand in every answer, paths nobody recorded are 404 and empty."""

    port: int
    source: str
    headers: tuple[str, ...] = ()
    route: tuple[Route, ...] = ()
    tls: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Rtsp:
    """A stream server: what it answered to OPTIONS and DESCRIBE."""

    source: str
    port: int = 554
    options: Answer | None = None
    describe: Answer | None = None


@dataclass(frozen=True, slots=True)
class Onvif:
    """The ONVIF device service: the clock for everybody, the rest as recorded, else refused.

    With `login`, the device information is for the device's account alone.

    It stands on the device's plain web server of the same `port`, or makes one there.
    """

    source: str
    port: int = 80
    path: str = "/onvif/device_service"
    scopes: tuple[str, ...] = ()
    information: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    login: bool = False
    refusal: Answer | None = None


@dataclass(frozen=True, slots=True)
class Sadp:
    """Hikvision's discovery on UDP 37020: the elements of the ProbeMatch, in their order."""

    source: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Dhip:
    """Dahua's discovery on UDP 37810: `info` is the deviceInfo object of the notification."""

    source: str
    info: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LegacyDahua:
    """Dahua's older discovery on UDP 5050: `type` is the device type, `lines` the text section."""

    source: str
    type: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WsDiscovery:
    """WS-Discovery on UDP 3702; `one_line` devices drop a Probe that has a line break in it."""

    source: str
    types: str
    scopes: tuple[str, ...] = ()
    xaddrs: tuple[str, ...] = ()
    endpoint: str = "urn:uuid:5f5a69c2-e0ae-504f-829b-{mac0}"
    metadata_version: int = 1
    one_line: bool = False


@dataclass(frozen=True, slots=True)
class Ssdp:
    """SSDP on UDP 1900: `usn` by search target; `headers` are further lines of every answer."""

    source: str
    server: str
    location: str
    usn: Mapping[str, str]
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DnsService:
    """One service of multicast DNS: `type` such as ``_http._tcp``, TXT strings in their order."""

    type: str
    instance: str
    port: int
    txt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mdns:
    """Multicast DNS on UDP 5353: the host's name (without ``.local``) with its services."""

    source: str
    host: str
    service: tuple[DnsService, ...]


@dataclass(frozen=True, slots=True)
class Tdp:
    """TP-Link's discovery on UDP 20002: the `result` object of the answer."""

    source: str
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dhcp:
    """What the device tells DHCP servers; said in announcements only."""

    source: str
    vendor_class: str = ""
    hostname: str = ""
    parameters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Tcp:
    """An open port that says `banner`, or nothing, inside TLS if it has a certificate."""

    port: int
    source: str
    banner: str = ""
    tls: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One simulated device: the truth about it, then what it answers.

    `manufacturer` is None where the answers tell nobody who made it. `flagged` is the truth
    that the maker is Hikvision or Dahua. `hidden` names the truths that the answers do not tell
    (``brand``, ``model``, ``device_class``). `demo` is False where only the MAC tells the maker
    (loopback has none) or a demonstration would only repeat itself. `composed` says which parts were put together from several records.
    """

    id: str
    brand: str
    device_class: str
    mac: str
    manufacturer: str | None = None
    model: str | None = None
    flagged: bool = False
    hidden: tuple[str, ...] = ()
    demo: bool = True
    composed: str = ""
    account: Account | None = None
    http: tuple[Http, ...] = ()
    rtsp: Rtsp | None = None
    onvif: Onvif | None = None
    sadp: Sadp | None = None
    dhip: Dhip | None = None
    dahua_legacy: LegacyDahua | None = None
    ws_discovery: WsDiscovery | None = None
    ssdp: Ssdp | None = None
    mdns: Mdns | None = None
    tplink_tdp: Tdp | None = None
    dhcp: Dhcp | None = None
    tcp: tuple[Tcp, ...] = ()


def another(device: Device, number: int) -> Device:
    """One more of the same model: MAC and serial number end with `number` (below 10,000)."""
    stated = [
        device.sadp.fields.get("DeviceSN", "") if device.sadp else "",
        str(device.dhip.info.get("SerialNo", "")) if device.dhip else "",
        device.onvif.information.get("SerialNumber", "") if device.onvif else "",
    ]
    serials = {serial: f"{serial[:-4]}{number:04}" for serial in stated if len(serial) > 6}
    mac = f"{device.mac[:9]}{number.to_bytes(3).hex(':')}"
    return cast("Device", dataclasses.replace(_replaced(device, serials), mac=mac))


def _replaced(value: Any, texts: Mapping[str, str]) -> Any:
    """`value` with every one of `texts` replaced, however deep it stands."""
    if isinstance(value, str):
        for old, new in texts.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, tuple | list):
        return type(value)(_replaced(item, texts) for item in value)
    if isinstance(value, Mapping):
        return {key: _replaced(item, texts) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {part.name: _replaced(getattr(value, part.name), texts) for part in dataclasses.fields(value)}
        return dataclasses.replace(value, **parts)
    return value


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device stands: its addresses, the interface (None on loopback) and its real ports.

    `ports` maps a device's own port to the one it has here, for places that may not bind
    ports below 1024; a port that is not in it keeps its number.
    """

    ip: str
    mac: str
    ip6: str = "::1"
    interface: str | None = None
    ports: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))

    def port(self, port: int) -> int:
        """Where the device's `port` really is."""
        return self.ports.get(port, port)

    def fill(self, text: str) -> str:
        """`text` with its tokens replaced by what is true of this place."""
        return _TOKEN.sub(self._token, text)

    def _token(self, match: re.Match[str]) -> str:
        name = match[1]
        if match[2]:
            return str(self.port(int(match[2])))
        if name == "ip":
            return self.ip
        if name == "ip6":
            return self.ip6
        mac = self.mac.upper() if name[0] == "M" else self.mac
        joint = {"-": "-", "0": ""}.get(name[-1], ":")
        return mac.replace(":", joint)


_PARTS: Final[Mapping[tuple[type, str], type]] = MappingProxyType(
    {
        (Device, "account"): Account,
        (Device, "http"): Http,
        (Device, "rtsp"): Rtsp,
        (Device, "onvif"): Onvif,
        (Device, "sadp"): Sadp,
        (Device, "dhip"): Dhip,
        (Device, "dahua_legacy"): LegacyDahua,
        (Device, "ws_discovery"): WsDiscovery,
        (Device, "ssdp"): Ssdp,
        (Device, "mdns"): Mdns,
        (Device, "tplink_tdp"): Tdp,
        (Device, "dhcp"): Dhcp,
        (Device, "tcp"): Tcp,
        (Http, "route"): Route,
        (Http, "tls"): Certificate,
        (Tcp, "tls"): Certificate,
        (Rtsp, "options"): Answer,
        (Rtsp, "describe"): Answer,
        (Onvif, "refusal"): Answer,
        (Mdns, "service"): DnsService,
    }
)


def load(name: str, folder: Path = DEVICES) -> Device:
    """The device of ``<name>.toml`` in `folder`.

    Raises DeviceError, naming the file, where there is none or it is not valid.
    """
    path = folder / f"{name}.toml"
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise DeviceError(f"{path}: there is no such device") from None
    except tomllib.TOMLDecodeError as error:
        raise DeviceError(f"{path}: {error}") from None
    device = _part(Device, {"id": name, **table}, str(path))
    if not isinstance(device, Device) or not _MAC.fullmatch(device.mac):
        raise DeviceError(f"{path}: mac must look like 28:57:be:00:00:01")
    return device


def load_all(folder: Path = DEVICES) -> tuple[Device, ...]:
    """Every device of `folder`, in the order of their names. Raises DeviceError."""
    return tuple(load(path.stem, folder) for path in sorted(folder.glob("*.toml")))


def _part(kind: type, table: object, where: str) -> Any:
    if not isinstance(table, dict):
        raise DeviceError(f"{where}: a table was expected")
    known = {part.name for part in dataclasses.fields(kind)}
    for key in table:
        if key not in known:
            raise DeviceError(f"{where}: {key} is not known here")
    values = {key: _value(kind, key, value, f"{where}: {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise DeviceError(f"{where}: {error}") from None


def _value(kind: type, key: str, value: object, where: str) -> Any:
    part = _PARTS.get((kind, key))
    if isinstance(value, list):
        return tuple(_part(part, item, where) if part else item for item in value)
    if part:
        return _part(part, value, where)
    return MappingProxyType(value) if isinstance(value, dict) else value

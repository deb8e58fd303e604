"""The words every room shares: what was said, what it proves, what we conclude.

The path is one way: a `Fact` is recognised by rules as `Evidence`; the judge fuses
Evidence into a `Verdict`; a policy turns the Verdict into a `Finding`; a `Report`
carries `Device`s (verdict and finding of one host) beside what could not be seen.

Every value is frozen. Texts are what the network said, bounded by whoever read them;
addresses and MACs are lower-case canonical text (``192.0.2.7``, ``fe80::1``,
``28:57:be:00:00:01``); times are seconds since 1970 in UTC, or None when nobody knew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

__all__ = [
    "ATTACHED",
    "CLAIMS",
    "DEVICE_CLASSES",
    "MAX_TEXT",
    "Attachment",
    "Claim",
    "CloudContact",
    "Conflict",
    "Contact",
    "Device",
    "DeviceClass",
    "Evidence",
    "Fact",
    "Finding",
    "Level",
    "Location",
    "Observation",
    "PolicyMatch",
    "Problem",
    "Report",
    "Speaker",
    "Status",
    "Verdict",
]

MAX_TEXT: Final = 65_536
"""Longest text, in characters, that a Fact may carry; dissectors and importers cut at it."""

ATTACHED: Final = "channel:"
"""How `Fact.about` begins for a camera on a channel of the speaker."""

DeviceClass = Literal[
    "camera",
    "recorder",
    "doorbell",
    "access-control",
    "intercom",
    "encoder",
    "software",
    "not-surveillance",
    "unknown",
]
DEVICE_CLASSES: Final[tuple[DeviceClass, ...]] = (
    "camera",
    "recorder",
    "doorbell",
    "access-control",
    "intercom",
    "encoder",
    "software",
    "not-surveillance",
    "unknown",
)

Claim = Literal[
    "manufacturer", "brand", "device_class", "model", "firmware", "serial", "mac", "hostname", "channels"
]
CLAIMS: Final[tuple[Claim, ...]] = (
    "manufacturer",
    "brand",
    "device_class",
    "model",
    "firmware",
    "serial",
    "mac",
    "hostname",
    "channels",
)

Level = Literal["confirmed", "probable", "possible", "unknown"]
Status = Literal["flagged", "suspected", "clear", "unidentified"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was said, in the closed vocabulary of ``fields.toml``.

    `about` tells whom the text describes when it is not the sender of the bytes:
    ``"speaker"`` (the sender), ``"listener"`` (the host it was sent to, such as the
    path a client asked for), a MAC address (the client inside a relayed DHCP message) or
    ``"channel:3"`` (the camera on that channel of the speaker, a recorder).
    """

    field: str
    text: str
    about: str = "speaker"


@dataclass(frozen=True, slots=True)
class Speaker:
    """Where bytes came from on the network, as the frame or socket had it, not as claimed inside."""

    ip: str | None = None
    mac: str | None = None
    port: int | None = None
    vlan: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """A Fact with who it describes, when it was said, how it was read and where it stands recorded.

    `protocol` is the name of the probe that read it; `via` is ``"scan"``, an interface
    name or a file name; `frame` counts from 1 in that file.
    """

    fact: Fact
    subject: Speaker
    protocol: str = ""
    at: float | None = None
    via: str = ""
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A Fact that a rule recognised, with what it claims and how much that counts.

    `weight` is a log-likelihood ratio in nats for the manufacturer claim; `proof` marks
    a vendor's own protocol or an equally unforgeable sign; `about` is as in Fact.
    """

    rule: str
    family: str
    field: str
    text: str
    claims: Mapping[str, str]
    weight: float
    proof: bool = False
    status: str = "stable"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two things said of one device that cannot both be true: kept and shown, never averaged away."""

    claim: str
    kept: str
    against: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the network, a file or a device did wrong: a value in the report, not an exception.

    `where` names a file (with ``@offset``), a line, a host (with port) or an interface.
    """

    where: str
    what: str
    kind: str = "malformed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who made a device and which device it is, how sure that is, and why.

    `confidence` is a calibrated probability that `manufacturer` is right (0 when unknown).
    `line` is what the model's family is called (``thermal``, ``PTZ``); `channels` is how many
    video channels the device states.
    """

    manufacturer: str | None = None
    brand: str | None = None
    device_class: DeviceClass = "unknown"
    model: str | None = None
    firmware: str | None = None
    serial: str | None = None
    mac: str | None = None
    confidence: float = 0.0
    level: Level = "unknown"
    evidence: tuple[Evidence, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()
    line: str | None = None
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyMatch:
    """One policy that reaches a device: which entry, on what basis, from when."""

    policy: str
    entry: str
    basis: str
    in_force_from: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What the chosen policies say of a Verdict."""

    status: Status
    matches: tuple[PolicyMatch, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def policies(self) -> tuple[str, ...]:
        """The ids of the policies that match, in the order they were chosen."""
        return tuple(dict.fromkeys(match.policy for match in self.matches))


_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Location:
    """The switch port that a device is plugged into, or stands somewhere behind.

    `switch` and `port` are the switch's names, `description` what its owner wrote to the port.
    `macs` is how many MACs the port carries: 1 where the device is alone on it. `poe_watts` is the
    power it was measured to draw, `poe_class` its class of IEEE 802.3.
    """

    switch: str
    port: str
    description: str | None = None
    vlan: int | None = None
    macs: int | None = None
    poe_watts: float | None = None
    poe_class: int | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a camera is attached: the id of the recorder, with the channels that it feeds."""

    recorder: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """One host of the report: its verdict, its finding, where it was seen and where it is plugged in.

    `behind` are the recorders that name it as a camera of theirs. A `hidden` one is known from
    them alone: its addresses are what they state, on a network that may be the recorder's own.
    """

    id: str
    verdict: Verdict
    finding: Finding
    addresses: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    hostnames: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    vlans: tuple[int, ...] = ()
    first_seen: float | None = None
    last_seen: float | None = None
    site: str | None = None
    observations: tuple[Observation, ...] = ()
    problems: tuple[Problem, ...] = ()
    location: Location | None = None
    behind: tuple[Attachment, ...] = ()
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Contact:
    """One device that asked another, by their ids, with the protocols in which it did.

    ``tcp`` stands for connections of which nothing could be read.
    """

    asker: str
    asked: str
    protocols: tuple[str, ...]
    first_seen: float | None = None
    last_seen: float | None = None

    @property
    def records(self) -> bool:
        """Whether it fetched video: the asker is a recorder of the other, or a viewer."""
        return "rtsp" in self.protocols


@dataclass(frozen=True, slots=True)
class CloudContact:
    """One device's calls for one name of a maker's cloud.

    `addresses` are those it reached under that name, or was told for it, `fields` the fields in which it named it,
    `count` how many messages did. Of the connections opened with that name `measured` were seen from
    beginning to end; in these the device sent `bytes_sent` and got `bytes_received` (None where there
    is no such connection: how much it was is then unknown, not nothing).
    """

    device: str
    maker: str
    name: str
    addresses: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    count: int = 1
    first_seen: float | None = None
    last_seen: float | None = None
    measured: int = 0
    bytes_sent: int | None = None
    bytes_received: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one run learned, and what it could not learn.

    `coverage` and `run` are JSON-shaped mappings: coverage says what was asked, answered
    and missed; run says which tool, rules, registry and policies made the report, and when.
    """

    devices: tuple[Device, ...] = ()
    coverage: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    problems: tuple[Problem, ...] = ()
    run: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    contacts: tuple[Contact, ...] = ()
    phone_home: tuple[CloudContact, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for was covered (exit code 0 rather than 4)."""
        return not self.coverage.get("incomplete", False)

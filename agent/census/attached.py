"""Keeps what recorders say of the cameras attached to them, then tells which cameras those are.

A camera is one that was met on the network itself if the serial or the MAC is the same, or the
address where the recorder's own subnet holds it; otherwise it is hidden: known from the recorder
alone. Channels with one address are the lenses of one camera. What the recorder says of itself
never counts for a camera of its.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from agent.census.addresses import host_address, host_mac, is_invented
from agent.census.hosts import Host, Key, rows_of
from agent.census.identity import Group, serials_of
from fingerprints.model import Attachment, Observation
from fingerprints.oui import normalise_mac

__all__ = ["Attached", "Camera", "cameras_of", "meet"]

_MAX_CHANNELS: Final = 512
"""Most channels of one recorder: the largest that makers sell have 256."""
_MAX_ALL: Final = 16_384
_IPV4_BITS: Final = 24
_IPV6_BITS: Final = 64


class Attached(dict[tuple[Key, str], Host]):
    """What was said of each channel of each recorder; `forgotten` counts what was beyond the bounds."""

    def __init__(self) -> None:
        super().__init__()
        self._channels: dict[Key, int] = {}
        self.forgotten = 0

    def channel(self, key: Key, channel: str) -> Host | None:
        """What is known of a channel, new or known; None beyond the bounds."""
        host = self.get((key, channel))
        if host is None:
            count = self._channels.get(key, 0)
            if count >= _MAX_CHANNELS or len(self) >= _MAX_ALL:
                self.forgotten += 1
                return None
            self._channels[key] = count + 1
            host = self[key, channel] = Host()
        return host

    def merge(self, other: Attached) -> None:
        """Take in what was learned elsewhere."""
        for (key, channel), host in other.items():
            mine = self.channel(key, channel)
            if mine is not None:
                mine.merge(host)
        self.forgotten += other.forgotten


@dataclass(slots=True)
class Camera:
    """One attached camera: where it is attached, what recorders state of it."""

    behind: dict[str, list[str]]
    said: list[Observation]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses, as the recorders have them."""
        found = (host_address(text) for text in self._texts("details.address"))
        return tuple(dict.fromkeys(ip for ip in found if ip is not None))

    @property
    def macs(self) -> tuple[str, ...]:
        """Its MACs, as the recorders have them; no fillers."""
        found = (normalise_mac(text) for text in self._texts("details.mac"))
        return tuple(
            dict.fromkeys(
                mac for mac in found if mac and len(mac) == 17 and host_mac(mac) and not is_invented(mac)
            )
        )

    @property
    def serials(self) -> frozenset[str]:
        """Its serials that can be one device's own."""
        rows = [(row.fact.field, row.fact.text) for row in self.said]
        return frozenset(text.upper() for _, texts in serials_of(rows) for text in texts)

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """The recorders with their channels."""
        return tuple(
            Attachment(recorder, tuple(sorted(channels, key=_number)))
            for recorder, channels in sorted(self.behind.items())
        )

    def _texts(self, field: str) -> Iterator[str]:
        return (row.fact.text for row in self.said if row.fact.field == field)

    def join(self, other: Camera) -> None:
        """Become one with another."""
        for recorder, channels in other.behind.items():
            self.behind.setdefault(recorder, []).extend(channels)
        self.said += other.said


def cameras_of(attached: Mapping[tuple[Key, str], Host], ids: Mapping[Key, str]) -> list[Camera]:
    """The cameras behind recorders in a fixed order; `ids` names the recorder that a host is."""
    found: list[Camera] = []
    by_address: dict[tuple[str, str], Camera] = {}
    by_serial: dict[str, Camera] = {}
    for (key, channel), host in sorted(
        attached.items(), key=lambda row: (ids.get(row[0][0], ""), _number(row[0][1]))
    ):
        recorder = ids.get(key)
        if recorder is None:
            continue
        camera = Camera({recorder: [channel]}, list(rows_of(host.said)))
        names = [(recorder, ip) for ip in camera.addresses]
        near = next((by_address[name] for name in names if name in by_address), None)
        if near is not None and (not near.serials or not camera.serials or near.serials & camera.serials):
            near.join(camera)
            continue
        # The serial of a camera on two recorders is one; equal ones on one recorder are fillers.
        twin = next((by_serial[text] for text in sorted(camera.serials) if text in by_serial), None)
        if twin is not None and recorder not in twin.behind:
            twin.join(camera)
            by_address |= dict.fromkeys(names, twin)
            continue
        found.append(camera)
        by_address |= dict.fromkeys(names, camera)
        for text in camera.serials:
            by_serial.setdefault(text, camera)
    return found


def meet(
    cameras: Sequence[Camera], groups: Sequence[Group], ids: Sequence[str]
) -> tuple[dict[int, Camera], list[Camera]]:
    """Which groups, by their place, are attached cameras, and the cameras that are hidden."""
    of_mac: dict[str, set[int]] = {}
    of_serial: dict[str, set[int]] = {}
    of_address: dict[str, set[int]] = {}
    serials: dict[int, set[str]] = {}
    for at, group in enumerate(groups):
        for mac in group.macs:
            of_mac.setdefault(mac, set()).add(at)
        for ip in group.addresses:
            of_address.setdefault(ip, set()).add(at)
        rows = [(row.fact.field, row.fact.text) for _, host in group.members for row in rows_of(host.said)]
        for _, texts in serials_of(rows):
            for text in texts:
                of_serial.setdefault(text.upper(), set()).add(at)
                serials.setdefault(at, set()).add(text.upper())
    places = {name: at for at, name in enumerate(ids)}
    met: dict[int, Camera] = {}
    hidden: list[Camera] = []
    for camera in cameras:
        near = {
            at
            for ip in camera.addresses
            for at in of_address.get(ip, ())
            if _beside(ip, camera, groups, places)
        }
        agree = {
            at for at in near if not (camera.serials and serials.get(at)) or camera.serials & serials[at]
        }
        place = _only(
            [of_serial.get(text, set()) for text in sorted(camera.serials)]
            + [of_mac.get(mac, set()) for mac in camera.macs]
            + [agree]
        )
        if place is None or ids[place] in camera.behind:
            hidden.append(camera)
        elif place in met:
            met[place].join(camera)
        else:
            met[place] = camera
    return met, hidden


def _beside(ip: str, camera: Camera, groups: Sequence[Group], places: Mapping[str, int]) -> bool:
    """Whether a recorder of the camera stands in the subnet of `ip`: elsewhere it may be another network's."""
    bits = _IPV4_BITS if ip_address(ip).version == 4 else _IPV6_BITS
    net = ip_network(f"{ip}/{bits}", strict=False)
    return any(
        ip_address(own) in net
        for recorder in camera.behind
        if recorder in places
        for own in groups[places[recorder]].addresses
    )


def _only(choices: Sequence[set[int]]) -> int | None:
    """The one place that the first telling sign points to."""
    return next((next(iter(choice)) for choice in choices if len(choice) == 1), None)


def _number(channel: str) -> tuple[int, str]:
    return (int(channel), "") if channel.isdecimal() else (1 << 30, channel)

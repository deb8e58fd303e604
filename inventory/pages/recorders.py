"""Knows which camera is at which channel of a site's recorders, as far as anybody does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q

from inventory.api.lists import selected
from inventory.api.reads import DEVICES
from inventory.models import Device, Facts, Run, Site
from inventory.naming import named
from inventory.pages.frame import Visitor

__all__ = ["Channel", "Place", "Recorder", "attached", "places_of", "recorders"]

_MOST_ATTACHED: Final = 5_000
_MOST_RECORDERS: Final = 100


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a recorder with the camera that feeds it; `hidden`: the recorder alone knows it."""

    name: str
    camera: Device
    hidden: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A recorder that a camera is attached to, as its report calls it; `device` where that is known here."""

    name: str
    channels: str
    device: Device | None


@dataclass(frozen=True, slots=True)
class Recorder:
    """A recorder with how many of its channels are matched to a camera; `channels` None: it does not say."""

    name: str
    device: Device | None
    channels: int | None
    cameras: int
    hidden: int
    """Cameras that it alone knows."""

    @property
    def unmatched(self) -> int:
        """Channels of which nobody knows what feeds them."""
        return max(0, (self.channels or 0) - self.cameras)


def recorders(visitor: Visitor, found: Site, runs: Iterable[Run]) -> list[Recorder]:
    """The recorders of the first of `runs` that met any, those with most channels in the dark first."""
    rows: list[dict[str, Any]] = []
    for run in runs:
        told = run.coverage.get("recorders")
        if rows := [row for row in told if isinstance(row, dict)] if isinstance(told, list) else []:
            break
    names = {text for row in rows if isinstance(text := row.get("id"), str)}
    known = named(names, found.pk)
    devices = {row.pk: row for row in selected(DEVICES, visitor.reach, Q(pk__in=known.values()))}
    hidden = {
        key: len({row.camera.pk for row in channels if row.hidden})
        for key, channels in (attached(found.pk) if rows else {}).items()
    }
    shown = [
        Recorder(
            str(row.get("id", "")),
            devices.get(known.get(str(row.get("id", "")), 0)),
            _whole(row.get("channels")),
            _whole(row.get("cameras")) or 0,
            hidden.get(known.get(str(row.get("id", "")), 0), 0),
        )
        for row in rows
    ]
    return sorted(shown, key=lambda row: (-row.unmatched, row.channels is not None, row.name))[
        :_MOST_RECORDERS
    ]


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 100_000 else None


def places_of(visitor: Visitor, found: Device, facts: Facts | None) -> list[Place]:
    """The recorders that a camera is attached to."""
    rows = ((facts.behind or {}).get("recorders") if facts else None) or []
    known = named([row["recorder"] for row in rows], found.site_id)
    devices = {row.pk: row for row in selected(DEVICES, visitor.reach, Q(pk__in=known.values()))}
    return [
        Place(row["recorder"], ", ".join(row["channels"]), devices.get(known.get(row["recorder"], 0)))
        for row in rows
    ]


def attached(site: int) -> dict[int, list[Channel]]:
    """The cameras at the channels of each recorder at a site, by the recorder's id."""
    rows = Facts.objects.filter(device__site=site, behind__isnull=False).select_related("device")
    rows = rows.defer("observations", "hostnames", "ports", "location")
    cameras = list(rows.order_by("device__address", "device_id")[:_MOST_ATTACHED])
    places = [(row, place) for row in cameras for place in (row.behind or {}).get("recorders", ())]
    known = named({place["recorder"] for _, place in places}, site)
    found: dict[int, list[Channel]] = {}
    for row, place in places:
        recorder = known.get(place["recorder"])
        if recorder is not None:
            channels = [
                Channel(name, row.device, bool((row.behind or {}).get("hidden")))
                for name in place["channels"] or [""]
            ]
            found.setdefault(recorder, []).extend(channels)
    for channels in found.values():
        channels.sort(key=lambda row: (len(row.name), row.name))
    return found

"""Has the recorders that a scan found read, with the logins that the user supplied."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from agent.config import ConfigError, Settings
from agent.credentials import Attempts, Credentials, load_credentials
from agent.details import Details, Place, Subject, read_details
from agent.http_wire import split_url
from agent.pace import Pace, Profile
from agent.scope import Scope
from agent.wire import Message
from fingerprints.model import Device, Problem, Report

__all__ = ["WhichDetails", "chosen_logins", "read_recorders", "subjects_of"]

_CAMERAS: Final = frozenset({"camera", "doorbell", "intercom", "encoder", "access-control"})
_WEB: Final = frozenset({"http", "onvif"})
_SURE: Final = frozenset({"confirmed", "probable"})
_NEEDED: Final = ("httpx", "onvif")


class WhichDetails(StrEnum):
    """Which devices are read with the user's logins."""

    RECORDERS = "recorders"
    ALL = "all"
    NONE = "none"


def chosen_logins(
    settings: Settings, which: WhichDetails, load: Callable[[Path], Credentials] = load_credentials
) -> Credentials | None:
    """The credentials, if there are logins in them and details are wanted. Raises ConfigError."""
    if which is WhichDetails.NONE or settings.credentials is None:
        if which is WhichDetails.ALL:
            raise ConfigError("--details all: needs --credentials with a login")
        return None
    known = load(settings.credentials)
    if not known.logins:
        if which is WhichDetails.ALL:
            raise ConfigError(f"{settings.credentials}: has no [[login]], which --details all needs")
        return None
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise ConfigError("--credentials: logins need the extra: pip install 'camcensus[details]'")
    return known


def read_recorders(
    report: Report,
    scope: Scope,
    credentials: Credentials,
    which: WhichDetails,
    emit: Callable[[Message], object],
    note: Callable[[Problem], None],
    *,
    profile: Profile,
    seconds: float | None,
) -> dict[str, Any]:
    """Read the devices of `report` that are meant, for so many `seconds`; the part of the coverage on it."""
    subjects = list(subjects_of(report, scope, every=which is WhichDetails.ALL))
    found = Details()
    try:
        asyncio.run(
            read_details(
                subjects, credentials, Attempts(), emit, note, found, pace=Pace(profile), seconds=seconds
            )
        )
    except KeyboardInterrupt:
        note(Problem("details", "interrupted: not every recorder was read", "interrupted"))
    return found.to_json()


def subjects_of(report: Report, scope: Scope, *, every: bool = False) -> Iterator[Subject]:
    """Recorders of a report, with `every` cameras, too: one address each, and only in the scope."""
    for device in report.devices:
        kind = device.verdict.device_class
        if device.hidden or not (kind == "recorder" or (every and kind in _CAMERAS)):
            continue
        ip = next((ip for ip in device.addresses if scope.allows(ip)), None)
        if ip is not None:
            yield _subject(device, ip, scope)


def _subject(device: Device, ip: str, scope: Scope) -> Subject:
    zone = scope.zones.get(ip)
    host = f"{ip}%{zone}" if zone else ip
    rows = [row for row in device.observations if row.subject.ip == ip]
    inside = {row.subject.port for row in rows if row.protocol == "tls"}
    ports = {row.subject.port for row in rows if row.protocol in _WEB} | (inside & {443, 8443})
    places = [Place(host, port, port in inside) for port in ports if port is not None]
    places.sort(key=lambda place: (not place.tls, place.port != 80, place.port))
    services = []
    for row in rows:
        url = split_url(row.fact.text) if row.fact.field == "onvif.xaddr" else None
        if url is not None:
            services.append((Place(host, url[2], url[0] == "tls"), url[3]))
    sure = device.verdict.level in _SURE
    return Subject(
        host,
        device.verdict.manufacturer if sure else None,
        device.verdict.device_class == "recorder",
        tuple(places) or (Place(host, 80),),
        tuple(dict.fromkeys(services)),
    )

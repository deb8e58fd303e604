"""Reads recorders, and on request cameras, with the logins that the user supplied.

Light: a device gets one question after the other at the pace of the scan, everything is bounded, and
every question only reads. What devices answer leaves as Messages, on the one path that all bytes take,
cleaned of any account in them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from agent.credentials import Attempts, Credentials
from agent.details.makers import WAYS, Way, channels_in
from agent.details.onvif import read_onvif
from agent.details.web import Place, Refused, Silent, Web
from agent.pace import Allowance, Pace
from agent.wire import Message
from fingerprints.model import Problem, Speaker

__all__ = ["Details", "Place", "Subject", "read_details"]

_AT_ONCE: Final = 8
_HOST_SECONDS: Final = 60.0
_MOST_PLACES: Final = 3
_ONVIF_PATH: Final = "/onvif/device_service"


@dataclass(frozen=True, slots=True)
class Subject:
    """A device to read: who made it by what is known, where its web servers are, best first.

    `onvif` holds further places with the path of an ONVIF service there.
    """

    ip: str
    maker: str | None
    recorder: bool
    places: tuple[Place, ...]
    onvif: tuple[tuple[Place, str], ...] = ()


@dataclass(slots=True)
class Details:
    """What came of it: `channels` tells by address how many channels a recorder lists.

    `not_reached` are those with a login that there was no time for, or not enough.
    """

    asked: int = 0
    read: int = 0
    refused: list[str] = field(default_factory=list)
    without_login: int = 0
    silent: int = 0
    not_reached: list[str] = field(default_factory=list)
    ended: str = "finished"
    channels: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The same for the coverage of a report."""
        return {
            "asked": self.asked,
            "read": self.read,
            "refused": len(self.refused),
            "refused_hosts": sorted(self.refused),
            "without_login": self.without_login,
            "silent": self.silent,
            "ended": self.ended,
            "not_reached": len(self.not_reached),
            "not_reached_hosts": sorted(self.not_reached),
            "channels_listed": dict(sorted(self.channels.items())),
        }


async def read_details(
    subjects: Iterable[Subject],
    credentials: Credentials,
    attempts: Attempts,
    emit: Callable[[Message], object],
    note: Callable[[Problem], None],
    found: Details,
    *,
    pace: Pace,
    seconds: float | None = None,
) -> None:
    """Read every subject that there is a login for: what they say goes to `emit`, what came of it to `found`.

    At most `seconds`, and no address by two conversations at once. Whoever was not read to the end
    when the time was over, or when the work was cancelled, stands in `found.not_reached`.
    """
    gate = asyncio.Semaphore(min(_AT_ONCE, pace.profile.hosts))
    waiting: dict[str, list[Subject]] = {}
    for subject in subjects:
        if credentials.login(subject.ip) is None:
            found.without_login += 1
        else:
            waiting.setdefault(subject.ip, []).append(subject)

    async def host(ip: str) -> None:
        async with gate:
            allowance = pace.host(ip)
            for subject in waiting[ip]:
                try:
                    await _Visit(subject, credentials, attempts, emit, note, found, allowance).run()
                except Exception as error:  # noqa: BLE001 - what one device makes a library do costs no other
                    found.silent += 1
                    note(Problem(ip, f"details: cannot be read ({type(error).__name__})", "unread"))
        del waiting[ip]

    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for ip in list(waiting):
                group.create_task(host(ip))
    except TimeoutError:
        found.ended = "time limit"
    except asyncio.CancelledError:
        found.ended = "interrupted"
        raise
    finally:
        found.not_reached += waiting


@dataclass(frozen=True, slots=True)
class _Visit:
    """One device."""

    subject: Subject
    credentials: Credentials
    attempts: Attempts
    emit: Callable[[Message], object]
    note: Callable[[Problem], None]
    found: Details
    allowance: Allowance
    reasons: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Read it in its maker's way or, where that is not there, by ONVIF."""
        self.found.asked += 1
        try:
            async with asyncio.timeout(_HOST_SECONDS):
                way = WAYS.get(self.subject.maker or "")
                done = way is not None and await self._in_the_makers_way(way)
                if done or await self._by_onvif():
                    self.found.read += 1
                else:
                    self.found.silent += 1
                    why = (
                        "; ".join(dict.fromkeys(self.reasons)) or "nothing that tells of devices stands there"
                    )
                    self.note(Problem(self.subject.ip, f"details: {why}", "unread"))
        except Refused as refusal:
            self.found.refused.append(self.subject.ip)
            self.note(Problem(self.subject.ip, f"details: {refusal}", "refused"))
        except TimeoutError:
            self.found.silent += 1
            self.note(Problem(self.subject.ip, f"details: not read within {_HOST_SECONDS:g} s", "timeout"))

    async def _in_the_makers_way(self, way: Way) -> bool:
        for place in self.subject.places[:_MOST_PLACES]:
            try:
                if await self._pages(way, place):
                    return True
            except Silent as silence:
                self.reasons.append(f"port {place.port}: {silence}")
        return False

    async def _pages(self, way: Way, place: Place) -> bool:
        """Read all pages at one place; whether the first of them was there."""
        login = self.credentials.login(self.subject.ip)
        if login is None:
            return False
        listed: set[str] = set()
        complete = False
        async with Web(place, login, self.attempts, self.allowance) as web:
            for at, page in enumerate(way.pages):
                if page.recorders and not self.subject.recorder:
                    continue
                answer = await web.get(page.path)
                if answer.status != 200:
                    if at == 0:
                        return False
                    continue
                for part in way.clean(answer.body):
                    self._say(way.protocol, part, place)
                    listed |= channels_in(way.protocol, part) if page.listing else set()
                complete |= page.listing
        if complete:
            self.found.channels[self.subject.ip] = len(listed)
        return True

    async def _by_onvif(self) -> bool:
        login = self.credentials.login(self.subject.ip)
        if login is None:
            return False
        places = [*self.subject.onvif, *((place, _ONVIF_PATH) for place in self.subject.places)]
        for place, path in list(dict.fromkeys(places))[:_MOST_PLACES]:
            try:
                async with Web(place, login, self.attempts, self.allowance) as web:
                    answer = await read_onvif(web, self.attempts, path, recorder=self.subject.recorder)
            except Silent as silence:
                self.reasons.append(f"port {place.port}: {silence}")
                continue
            for envelope in answer.envelopes:
                self._say("onvif", envelope, place)
            if answer.sources is not None:
                self.found.channels[self.subject.ip] = answer.sources
            return True
        return False

    def _say(self, protocol: str, payload: bytes, place: Place) -> None:
        ip = place.ip.partition("%")[0]
        speaker = Speaker(ip, None, place.port)
        self.emit(Message("tcp", payload, speaker, Speaker(), protocol=protocol, at=time.time(), via="scan"))

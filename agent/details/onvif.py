"""Reads a device by ONVIF with a login, through onvif-zeep and its own descriptions, offline.

`ONVIFCamera` of that package subscribes to events when it is made, which changes a device, so the
services are used one by one. The clock is asked first, without the login, since a token with a
wrong time is refused like a wrong password. What is said goes through `Web`, which bounds it;
answers are read by zeep and, as they came, by `agent.probes.onvif`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from agent.credentials import Attempts
from agent.details.web import Answer, Refused, Silent, Web
from agent.http_wire import split_url

__all__ = ["READS", "OnvifRead", "read_onvif"]

_DEVICE: Final = "{http://www.onvif.org/ver10/device/wsdl}DeviceBinding"
_MEDIA: Final = "{http://www.onvif.org/ver10/media/wsdl}MediaBinding"
READS: Final = (
    "GetSystemDateAndTime",
    "GetDeviceInformation",
    "GetNetworkInterfaces",
    "GetCapabilities",
    "GetVideoSources",
)
"""Every operation that is ever called: each only reads (ONVIF Core access classes PRE_AUTH, READ_SYSTEM, READ_MEDIA)."""
_SECONDS: Final = 10.0
_MOST_SKEW: Final = timedelta(days=40 * 365)


@dataclass(frozen=True, slots=True)
class OnvifRead:
    """Envelopes that answered, as they came, and how many video sources the device lists."""

    envelopes: tuple[bytes, ...]
    sources: int | None


async def read_onvif(web: Web, attempts: Attempts, path: str, *, recorder: bool) -> OnvifRead:
    """Log in to the device service at `path`, then read. Raises Refused or Silent."""
    loop = asyncio.get_running_loop()
    left = threading.Event()

    def send(target: str, body: bytes, headers: dict[str, str]) -> Answer:
        if left.is_set():
            raise Silent("nobody waits for it any more")
        # Called in the thread: the conversation itself stays in the loop, where it is bounded.
        return asyncio.run_coroutine_threadsafe(web.post(target, body, headers), loop).result(_SECONDS)

    reading = _Reading(web, attempts, send)
    try:
        return await asyncio.to_thread(reading.run, path, recorder)
    finally:
        # The thread cannot be stopped, but it asks nothing more.
        left.set()


class _Reading:
    """One device, read from a thread, because onvif-zeep waits for each answer."""

    def __init__(
        self, web: Web, attempts: Attempts, send: Callable[[str, bytes, dict[str, str]], Answer]
    ) -> None:
        self._web = web
        self._attempts = attempts
        self._send = send
        self._envelopes: list[bytes] = []
        self._speaks = False

    def run(self, path: str, recorder: bool) -> OnvifRead:
        """Everything there is to read."""
        skew = self._skew(path)
        host, login = self._web.place.ip, self._web.login
        if not self._attempts.begin(host, login):
            raise Refused("this login was tried here before")
        device = self._service("devicemgmt.wsdl", _DEVICE, path, skew)
        with self._answers():
            device.GetDeviceInformation()
        self._attempts.accepted(host, login)
        sources = None
        self._further(device.GetNetworkInterfaces)
        if recorder:
            sources = self._sources(device, skew)
        return OnvifRead(tuple(self._envelopes), sources)

    def _further(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """What one more operation gives; None where the device has it not, which is no refusal."""
        with contextlib.suppress(Silent), self._answers(login=False):
            return call(*arguments)
        return None

    def _sources(self, device: Any, skew: timedelta) -> int | None:
        capabilities = self._further(device.GetCapabilities, {"Category": "Media"})
        media = getattr(capabilities, "Media", None)
        url = split_url(str(getattr(media, "XAddr", "") or ""))
        if url is None:
            return None
        # Only the path is taken: the address in it may be one that the device had before.
        found = self._further(self._service("media.wsdl", _MEDIA, url[3], skew).GetVideoSources)
        return len(found) if isinstance(found, list) else None

    def _skew(self, path: str) -> timedelta:
        """How far the device's clock is ahead of ours. Raises Silent where no ONVIF service answers."""
        service = self._service("devicemgmt.wsdl", _DEVICE, path, None)
        try:
            with self._answers(login=False):
                clock = service.GetSystemDateAndTime()
        except Silent:
            # Some, such as Axis's, tell even the time to nobody without a login.
            if self._speaks:
                return timedelta()
            raise
        try:
            said = clock.UTCDateTime
            time, day = said.Time, said.Date
            theirs = datetime(
                day.Year, day.Month, day.Day, time.Hour, time.Minute, min(time.Second, 59), tzinfo=UTC
            )
        except (AttributeError, TypeError, ValueError):
            return timedelta()
        skew = theirs - datetime.now(UTC)
        return skew if abs(skew) < _MOST_SKEW else timedelta()

    def _service(self, description: str, binding: str, path: str, skew: timedelta | None) -> Any:
        """A service of onvif-zeep's; with `skew`, its questions carry the login's token."""
        onvif, zeep = _onvif(), import_module("zeep")
        login = self._web.login
        token = None
        if skew is not None:
            token = onvif.client.UsernameDigestTokenDtDiff(
                login.username, login.password.reveal(), dt_diff=skew, use_digest=True
            )
        client = zeep.Client(
            str(_descriptions() / description),
            wsse=token,
            transport=_bridge(self._send, self._envelopes.append),
            settings=zeep.Settings(strict=False, xml_huge_tree=False, forbid_dtd=True, forbid_entities=True),
        )
        return onvif.ONVIFService(
            self._web.place.origin + path,
            "",
            "",
            str(_descriptions() / description),
            zeep_client=client,
            binding_name=binding,
        )

    @contextlib.contextmanager
    def _answers(self, *, login: bool = True) -> Iterator[None]:
        """Turn whatever zeep and onvif-zeep raise into Refused or Silent; their texts are not kept."""
        onvif = _onvif()
        kept = len(self._envelopes)
        try:
            yield
        except onvif.ONVIFError as error:
            reason = error.__cause__ or error.__context__ or error.reason
            status = self._envelopes[kept:]
            del self._envelopes[kept:]
            self._speaks |= any(b"Envelope" in envelope for envelope in status)
            if isinstance(reason, Silent):
                raise Silent(str(reason)) from None
            if login and status:
                self._note_refusal()
                raise Refused(f"the device refused {self._web.login.name!r} by ONVIF") from None
            raise Silent("no ONVIF service answers there") from None

    def _note_refusal(self) -> None:
        self._attempts.refused(self._web.place.ip)


@lru_cache(1)
def _onvif() -> Any:
    """The package; it sets up the root logger as it is imported, which is undone."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    # Half a second, and only where credentials were given.
    onvif = import_module("onvif")

    root.handlers[:] = handlers
    root.setLevel(level)
    return onvif


def _descriptions() -> Path:
    """The folder of ONVIF's own service descriptions that comes with onvif-zeep."""
    return Path(_onvif().__file__).parent.parent / "wsdl"


def _bridge(send: Callable[[str, bytes, dict[str, str]], Answer], keep: Callable[[bytes], None]) -> Any:
    """A transport for zeep over `send`; it loads nothing from any network."""

    def post(address: str, message: Any, headers: dict[str, str]) -> _Response:
        url = split_url(address)
        body = message if isinstance(message, bytes) else str(message).encode()
        answer = send(url[3] if url else "/", body, headers)
        keep(answer.body)
        return _Response(answer.status, answer.body, {"Content-Type": answer.kind})

    def refuse(url: str) -> bytes:
        raise Silent(f"a description lies elsewhere: {url}")

    transport = import_module("zeep.transports").Transport()
    transport.post, transport._load_remote_data = post, refuse  # noqa: SLF001 - zeep has no other hook
    return transport


@dataclass(frozen=True, slots=True)
class _Response:
    """What zeep looks at in an answer."""

    status_code: int
    content: bytes
    headers: dict[str, str]
    encoding: str = "utf-8"

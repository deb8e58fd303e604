"""Keeps on disk what a scan has learned, so that one that was stopped can be gone on with.

One JSON object a line, appended only: ``begin`` (what is scanned, how), ``message`` (what a host
said), ``done`` (a host that has been asked everything), ``mark`` (how far the sweep has come). A
line that a crash cut short is left out. The file belongs to its scan while that runs: a lock
tells. It is made for its owner alone, since it says what stands in a network.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TextIO

from agent.wire import MAX_PAYLOAD, Message, Transport
from fingerprints.model import Speaker

__all__ = ["Journal", "JournalError", "Stopped", "named", "newest", "read_journal"]

_VERSION: Final = 1
_SUFFIX: Final = ".scan"
_MAX_LINE: Final = 4 * MAX_PAYLOAD
_MAX_FILE: Final = 1 << 30
_SYNC_SECONDS: Final = 1.0
_TRANSPORTS: Final[Mapping[str, Transport]] = {
    "udp": "udp",
    "tcp": "tcp",
    "tls": "tls",
    "ethernet": "ethernet",
    "icmp6": "icmp6",
}


class JournalError(Exception):
    """A journal that cannot be gone on with; the text names the file, with the line where there is one."""


@dataclass(slots=True)
class Stopped:
    """What a stopped scan had learned: `begin` is what it was told, `messages` reads the file again.

    `met` are the hosts that were alive, with their MACs; `done` those that had been asked everything.
    """

    path: Path
    begin: Mapping[str, Any]
    met: dict[str, str | None] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    marks: dict[str, tuple[int, int]] = field(default_factory=dict)

    def messages(self) -> Iterator[Message]:
        """Every message that was kept, in order."""
        for kind, value, _ in _lines(self.path):
            if kind == "message":
                yield _message(value)


class Journal:
    """A file that grows while a scan runs; a context manager.

    Leaving the block keeps the file; `discard` removes it. Raises OSError where it cannot be
    made, JournalError where another scan has it. What cannot be written later (a full disk)
    is told to `failed` once; the scan goes on without.
    """

    def __init__(
        self, path: Path, failed: Callable[[OSError], None], begin: Mapping[str, Any] | None
    ) -> None:
        self.path: Final = path
        self._failed = failed
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise JournalError(f"{path}: its scan is still running") from None
        self._out: TextIO | None = os.fdopen(descriptor, "a", encoding="utf-8")
        self._synced = time.monotonic()
        self._size = path.stat().st_size
        if begin is not None:
            self._write("begin", {"version": _VERSION, **begin}, now=True)
        else:
            # A line that a crash cut short must not swallow the next one.
            self._put("\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def message(self, message: Message) -> None:
        """Keep what a host said."""
        self._write("message", _packed(message))

    def done(self, ip: str) -> None:
        """Keep that a host has been asked everything."""
        self._write("done", ip)

    def marks(self, marks: Mapping[str, tuple[int, int]]) -> None:
        """Keep how far the sweep has come."""
        self._write("mark", {way: list(mark) for way, mark in marks.items()})

    def discard(self) -> None:
        """Remove the file: the scan came to its end."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _write(self, kind: str, value: object, *, now: bool = False) -> None:
        self._put(json.dumps({kind: value}, separators=(",", ":")) + "\n", now=now)

    def _put(self, text: str, *, now: bool = False) -> None:
        if self._out is None or self._size > _MAX_FILE:
            return
        try:
            self._out.write(text)
            self._size += len(text)
            if now or time.monotonic() - self._synced > _SYNC_SECONDS:
                self._out.flush()
                os.fsync(self._out.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        out, self._out = self._out, None
        if out is not None:
            # Its buffer cannot be written either.
            with contextlib.suppress(OSError):
                out.close()
            self._failed(error)

    def _close(self) -> None:
        if self._out is not None:
            try:
                self._out.flush()
                os.fsync(self._out.fileno())
                self._out.close()
            except OSError as error:
                self._give_up(error)
            self._out = None


def read_journal(path: Path) -> Stopped:
    """What the scan of this file had learned. Raises JournalError, OSError."""
    stopped: Stopped | None = None
    for kind, value, number in _lines(path):
        try:
            if stopped is None:
                stopped = Stopped(path, _begin(kind, value))
            elif kind == "message":
                message = _message(value)
                if message.sender.ip is not None:
                    known = stopped.met.get(message.sender.ip)
                    stopped.met[message.sender.ip] = known or message.sender.mac
            elif kind == "done":
                stopped.done.add(str(value))
            elif kind == "mark":
                stopped.marks.update({str(way): (int(mark[0]), int(mark[1])) for way, mark in value.items()})
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise JournalError(f"{path} line {number}: {error}") from None
    if stopped is None:
        raise JournalError(f"{path}: holds no scan")
    return stopped


def _begin(kind: str, value: Any) -> Mapping[str, Any]:
    if kind != "begin" or not isinstance(value, dict) or value.get("version") != _VERSION:
        raise ValueError("is not the journal of a scan of this version")
    return value


def newest(folder: Path) -> Path | None:
    """The journal of the scan that was stopped last; None where none was."""
    found = sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else []
    for path in reversed(found):
        with contextlib.suppress(OSError), path.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return path
    return None


def named(folder: Path, now: float) -> Path:
    """Where a scan that begins `now` (seconds since 1970) keeps its journal."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    return folder / f"{stamp}-{os.getpid()}{_SUFFIX}"


def _lines(path: Path) -> Iterator[tuple[str, Any, int]]:
    with path.open("rb") as opened:
        number = 0
        while line := opened.readline(_MAX_LINE + 1):
            number += 1
            if len(line) > _MAX_LINE:
                raise JournalError(f"{path} line {number}: is too long")
            if not line.strip():
                continue
            try:
                ((kind, value),) = json.loads(line).items()
            except (ValueError, AttributeError, RecursionError):
                if number == 1:
                    raise JournalError(f"{path}: is not the journal of a scan") from None
                # Cut short by a crash: what it would have said is asked again.
                continue
            yield kind, value, number


def _packed(message: Message) -> dict[str, Any]:
    sender = message.sender
    packed = {
        "transport": message.transport,
        "protocol": message.protocol,
        "ip": sender.ip,
        "mac": sender.mac,
        "port": sender.port,
        "at": message.at,
        "payload": base64.b64encode(message.payload).decode("ascii"),
        "asked": base64.b64encode(message.asked).decode("ascii"),
        "cut": not message.whole,
    }
    return {key: value for key, value in packed.items() if value is not None and value not in ("", False)}


def _message(value: Mapping[str, Any]) -> Message:
    """Raises ValueError, KeyError or TypeError for what is none."""
    try:
        payload, asked = (
            base64.b64decode(value.get(key, ""), validate=True)[:MAX_PAYLOAD] for key in ("payload", "asked")
        )
    except binascii.Error:
        raise ValueError("bytes that are no base64") from None
    port = value.get("port")
    at = value.get("at")
    texts = [value.get(key) for key in ("ip", "mac")]
    if any(text is not None and not isinstance(text, str) for text in texts):
        raise ValueError("an address that is no text")
    return Message(
        _TRANSPORTS[value["transport"]],
        payload,
        Speaker(texts[0], texts[1], int(port) if port is not None else None),
        Speaker(),
        asked,
        str(value.get("protocol", "")),
        float(at) if at is not None else None,
        "scan",
        whole=not value.get("cut", False),
    )

"""Reads the lease file of ISC dhcpd (``dhcpd.leases``).

A lease is a block ``lease ADDRESS { ... }`` of statements that end with a semicolon; a later block of
an address replaces an earlier one, and only ``binding state active`` is in use (dhcpd.leases(5)).
Times are UTC, or seconds since 1970 behind ``epoch``. Texts are quoted, with octal escapes.
"""

from __future__ import annotations

import calendar
import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from agent.importers.format import Format, Line, Unreadable, named
from agent.tables import Row, unicast_mac
from fingerprints.model import Fact, Problem

__all__ = ["ISC_LEASES"]

_LEASE: Final = re.compile(r"lease\s+(\S{2,64})")
_STATEMENT: Final = re.compile(r'\s*+((?:"(?:[^"\\]|\\.)*+"|[^";{}])*+)([;{}])')
_TIME: Final = re.compile(
    r"(?:\d\s+(\d{4})/(\d\d)/(\d\d)\s+(\d\d):(\d\d):(\d\d)|epoch\s+(\d{1,12}))", re.ASCII
)
_HARDWARE: Final = re.compile(r"ethernet\s+((?:[0-9a-fA-F]{1,2}:){5}[0-9a-fA-F]{1,2})")
_VARIABLE: Final = re.compile(r"([\w-]{1,64})\s*=\s*(.*)", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\([0-7]{3}|.)", re.DOTALL)
_MAX_LEASES: Final = 1_000_000
_MAX_DEPTH: Final = 32


@dataclass(slots=True)
class _Lease:
    ip: str
    line: int
    mac: str | None = None
    active: bool = True
    at: float | None = None
    facts: list[Fact] = field(default_factory=list)


def _mine(head: str) -> bool:
    return (
        re.search(r"^(?:lease\s+\S+\s*\{|authoring-byte-order\s|# .*dhcpd\.leases)", head, re.MULTILINE)
        is not None
    )


def _statements(lines: Iterable[Line]) -> Iterator[tuple[int, str, str]]:
    """Line, words and end (``;``, ``{`` or ``}``) of each statement; the end is empty for what is none."""
    for number, text in lines:
        line = text.strip()
        at = 0
        while not line.startswith("#", at) and (found := _STATEMENT.match(line, at)):
            yield number, found[1].strip(), found[2]
            at = found.end()
        rest = line[at:].strip()
        if rest and not rest.startswith("#"):
            yield number, rest, ""


def _read(lines: Iterable[Line], name: str) -> Iterator[Row | Problem]:
    leases: dict[str, _Lease] = {}
    lease: _Lease | None = None
    depth = 0
    number = 0
    for number, words, end in _statements(lines):
        if end == "{":
            depth += 1
            if depth > _MAX_DEPTH:
                raise Unreadable("blocks within blocks without end", number)
            if depth == 1:
                lease = _opened(words, number)
                if lease is None and words.startswith("lease"):
                    yield Problem(f"{name}:{number}", "is no lease of an address", "malformed")
        elif end == "}":
            depth = max(0, depth - 1)
            if depth == 0 and lease is not None:
                _close(leases, lease)
                lease = None
        elif not end:
            yield Problem(f"{name}:{number}", "is not a statement of a lease file", "malformed")
        elif lease is not None and depth == 1:
            _learn(lease, words)
    if lease is not None:
        yield Problem(f"{name}:{number}", f"ends within the lease of {lease.ip}", "malformed")
    for kept in leases.values():
        yield Row("dhcp-lease", kept.mac, kept.ip, tuple(kept.facts), at=kept.at, via=name, line=kept.line)


def _opened(words: str, number: int) -> _Lease | None:
    found = _LEASE.fullmatch(words)
    ip = _address(found[1]) if found else None
    return None if ip is None else _Lease(ip, number)


def _close(leases: dict[str, _Lease], lease: _Lease) -> None:
    """The last word on an address counts."""
    leases.pop(lease.ip, None)
    if lease.active:
        leases[lease.ip] = lease
    if len(leases) > _MAX_LEASES:
        raise Unreadable("more leases than are read", lease.line)


def _learn(lease: _Lease, words: str) -> None:
    """Take one statement of a lease."""
    verb, _, rest = words.partition(" ")
    rest = rest.strip()
    if verb == "binding":
        lease.active = rest == "state active"
    elif verb == "hardware" and (found := _HARDWARE.fullmatch(rest)):
        lease.mac = unicast_mac(bytes(int(part, 16) for part in found[1].split(":")))
    elif verb == "cltt" or (verb == "starts" and lease.at is None):
        lease.at = _time(rest)
    elif verb == "uid" and (raw := _quoted(rest)):
        lease.facts.append(Fact("dhcp.client-id", raw.hex()))
    elif verb == "client-hostname":
        lease.facts += named(_quoted(rest).decode("utf-8", "replace").replace("\0", ""))
    elif verb == "set" and (found := _VARIABLE.fullmatch(rest)) and found[1] == "vendor-class-identifier":
        text = _quoted(found[2]).decode("utf-8", "replace").replace("\0", "").strip()
        if text:
            lease.facts.append(Fact("dhcp.vendor-class", text))


def _quoted(text: str) -> bytes:
    """The bytes of a quoted text, or of bytes in hexadecimal with colons; empty for anything else."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return b"".join(_parts(text[1:-1]))[:1024]
    if re.fullmatch(r"[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){0,254}", text):
        return bytes(int(part, 16) for part in text.split(":"))
    return b""


def _parts(text: str) -> Iterator[bytes]:
    at = 0
    for found in _ESCAPE.finditer(text):
        yield text[at : found.start()].encode("utf-8", "replace")
        escaped = found[1]
        # Three octal digits are one byte; dhcpd writes no other escape but a quote and a backslash.
        yield bytes([int(escaped, 8) & 0xFF]) if len(escaped) == 3 else escaped.encode("utf-8", "replace")
        at = found.end()
    yield text[at:].encode("utf-8", "replace")


def _time(text: str) -> float | None:
    found = _TIME.match(text)
    if found is None:
        return None
    if found[7]:
        return float(found[7])
    return float(calendar.timegm(tuple(map(int, found.groups()[:6]))))


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


ISC_LEASES: Final = Format("isc-dhcpd", "ISC dhcpd leases", _mine, _read, "dhcpd.leases(5)")

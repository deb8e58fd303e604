"""The words of importers: a numbered Line, a Format, and what makes the rest of a file unreadable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from agent.tables import Row, unicast_mac
from fingerprints.model import Fact, Problem

__all__ = ["Format", "Line", "Unreadable", "duid_mac", "named", "plain_name"]

Line = tuple[int, str]
"""Its number, from 1, with its text without the line's end."""

_DUID_LLT: Final = 1
_DUID_LL: Final = 3
_ETHERNET: Final = 1
_NO_NAMES: Final = frozenset({"", "*", "-", "?", "unknown", "localhost"})


class Unreadable(Exception):  # noqa: N818 - it says what the rest of a file is
    """A file that makes no sense from `line` on."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


@dataclass(frozen=True, slots=True)
class Format:
    """One format: `mine` knows it by its first lines, `read` gives its rows with their Problems.

    `says` names it for people; `source` is where its layout is described.
    """

    name: str
    says: str
    mine: Callable[[str], bool]
    read: Callable[[Iterable[Line], str], Iterator[Row | Problem]]
    source: str


def named(text: str) -> tuple[Fact, ...]:
    """The Fact that a client of DHCP calls itself so, if it is a name."""
    name = plain_name(text)
    return (Fact("dhcp.hostname", name),) if name else ()


def plain_name(text: str) -> str:
    """A host name without the dot at its end; empty for what stands for none."""
    name = text.strip().rstrip(".")[:255]
    return "" if name.lower() in _NO_NAMES else name


def duid_mac(duid: bytes) -> str | None:
    """The MAC in a DHCP unique identifier that was built of one (RFC 8415 sections 11.2, 11.4)."""
    kind, hardware = int.from_bytes(duid[:2]), int.from_bytes(duid[2:4])
    if hardware != _ETHERNET or kind not in {_DUID_LLT, _DUID_LL}:
        return None
    return unicast_mac(duid[8:] if kind == _DUID_LLT else duid[4:])

"""Knows makers' clouds by the names that devices call.

The names stand in ``clouds.toml``. That a device calls one of them is weak evidence of who
made it: apps on phones call them, too. It is told beside the verdict, never in its place.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

from fingerprints.rules import RuleError

__all__ = ["Cloud", "CloudNames", "Confidence", "load_clouds", "maker_of"]

Confidence = Literal["recorded", "documented", "reported"]
"""How a name was learnt: seen in a recording, stated by the source, or only said there."""

_FILE: Final = "clouds.toml"
_KEYS: Final = frozenset({"maker", "purpose", "domains", "source", "confidence"})
_DOMAIN: Final = re.compile(
    r"(?=.{3,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
)
_MAX_LABELS: Final = 127


@dataclass(frozen=True, slots=True)
class Cloud:
    """One name of a maker's cloud: whose, for what, who says so, how that is known."""

    domain: str
    maker: str
    purpose: str
    source: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class CloudNames:
    """Clouds by their names, which are lower case and without a dot at the end."""

    by_domain: Mapping[str, Cloud]

    def maker_of(self, name: str) -> Cloud | None:
        """The cloud with the longest name that `name` is or stands below."""
        labels = name.strip().rstrip(".").lower().split(".")[-_MAX_LABELS:]
        suffixes = (".".join(labels[start:]) for start in range(len(labels)))
        return next((self.by_domain[suffix] for suffix in suffixes if suffix in self.by_domain), None)


def load_clouds(folder: Path | None = None, makers: Iterable[str] | None = None) -> CloudNames:
    """The clouds of a knowledge folder (the shipped one if None); raises `RuleError` with file and line.

    `makers` are the manufacturers that may be named; None lets every name pass.
    """
    path = (folder or Path(__file__).parent) / _FILE
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RuleError(path, 0, "", str(error)) from None
    rows = document.pop("cloud", [])
    if document or not isinstance(rows, list):
        raise RuleError(path, 0, "", "holds something else than [[cloud]] tables")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip() == "[[cloud]]"]
    if len(lines) != len(rows):
        raise RuleError(path, 0, "", "[[cloud]] does not stand on a line of its own")
    known = None if makers is None else frozenset(makers)
    found: dict[str, Cloud] = {}
    for row, line in zip(rows, lines, strict=True):
        for cloud in _clouds(path, line, row, known):
            if cloud.domain in found:
                raise RuleError(
                    path, line, cloud.domain, f"stands twice, for {found[cloud.domain].maker} before"
                )
            found[cloud.domain] = cloud
    return CloudNames(found)


def _clouds(path: Path, line: int, row: Mapping[str, Any], makers: frozenset[str] | None) -> list[Cloud]:
    name = str(row.get("maker", "cloud"))
    if row.keys() != _KEYS:
        raise RuleError(path, line, name, f"must have just {', '.join(sorted(_KEYS))}")
    domains = row["domains"]
    for key in _KEYS - {"domains"}:
        if not isinstance(row[key], str) or not row[key].strip():
            raise RuleError(path, line, name, f"`{key}` is not a text")
    if not isinstance(domains, list) or not domains:
        raise RuleError(path, line, name, "`domains` is not a list of names")
    if row["confidence"] not in get_args(Confidence):
        raise RuleError(path, line, name, f"`confidence` is none of {', '.join(get_args(Confidence))}")
    if makers is not None and name not in makers:
        raise RuleError(path, line, name, "is a manufacturer that no file introduces")
    for domain in domains:
        if not isinstance(domain, str) or not _DOMAIN.fullmatch(domain):
            raise RuleError(path, line, name, f"{domain!r} is not a domain in lower case")
    return [Cloud(domain, name, row["purpose"], row["source"], row["confidence"]) for domain in domains]


def maker_of(name: str) -> Cloud | None:
    """The shipped cloud with the longest name that `name` is or stands below; raises as `load_clouds`."""
    return _shipped().maker_of(name)


@cache
def _shipped() -> CloudNames:
    """The shipped file, which does not change while we run, read once."""
    return load_clouds()

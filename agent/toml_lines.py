"""A TOML file whose every key knows its line, so that a mistake can be shown where it was made."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["TomlError", "TomlFile", "read_toml"]

_MAX_FILE: Final = 1 << 20
_AT: Final = re.compile(r"\(at (?:line (\d+), column \d+|end of document)\)")
_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED: Final = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER: Final = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_DOTTED})[ \t]*\]")
_SETTING: Final = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_QUOTES: Final = re.compile(r'"""|\'\'\'')

Keys = tuple[str | int, ...]


class TomlError(Exception):
    """A file that cannot be read as TOML; the text says the file, with the line where there is one."""


@dataclass(frozen=True, slots=True)
class TomlFile:
    """What a TOML file says: `table`, with the line of each key by its path."""

    path: Path
    table: Mapping[str, Any]
    lines: Mapping[Keys, int]

    def place(self, *keys: str | int) -> str:
        """``FILE line N`` of a key, or of the table that it would stand in."""
        for end in range(len(keys), 0, -1):
            if keys[:end] in self.lines:
                return f"{self.path} line {self.lines[keys[:end]]}"
        return f"{self.path} line 1"


def read_toml(path: Path) -> TomlFile:
    """Read a file of at most 1 MiB; raises TomlError."""
    try:
        with path.open("rb") as opened:
            content = opened.read(_MAX_FILE + 1)
    except OSError as error:
        raise TomlError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > _MAX_FILE:
        raise TomlError(f"{path}: longer than {_MAX_FILE >> 20} MiB")
    try:
        text = content.decode("utf-8")
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TomlError(f"{path} line {line}: not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        found = _AT.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        raise TomlError(f"{path} line {line}: {_AT.sub('', str(error)).strip()}") from None
    except RecursionError:
        raise TomlError(f"{path}: nested too deeply") from None
    return TomlFile(path, table, _lines(text))


def _lines(text: str) -> dict[Keys, int]:
    """Where each header and key stands. The text is sound TOML by now, so a rough look is enough."""
    found: dict[Keys, int] = {}
    counts: dict[Keys, int] = {}
    here: Keys = ()
    inside = ""
    for number, line in enumerate(text.split("\n"), 1):
        if inside:
            inside = "" if inside in line else inside
            continue
        if header := _HEADER.match(line):
            here = _entered(_names(header[2]), header[1] == "[[", counts)
            found.setdefault(here, number)
            if header[1] == "[[":
                found.setdefault(here[:-1], number)
        elif setting := _SETTING.match(line):
            found.setdefault((*here, *_names(setting[1])), number)
            quotes = _QUOTES.findall(line)
            inside = quotes[0] if len(quotes) == 1 else ""
    return found


def _entered(names: tuple[str, ...], element: bool, counts: dict[Keys, int]) -> Keys:
    """The path of a table; in an array of tables it is the newest element that is meant."""
    path: Keys = ()
    for place, name in enumerate(names):
        path = (*path, name)
        last = place == len(names) - 1
        if path in counts and not (element and last):
            path = (*path, counts[path])
    if element:
        counts[path] = counts.get(path, -1) + 1
        return (*path, counts[path])
    return path


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in re.findall(_KEY, dotted))

"""What the user set: flags, environment, agent.toml, as one frozen Settings.

A flag outranks the environment (``CAMCENSUS_PROFILE``), which outranks the file. Every mistake
is a ConfigError that names the flag, the variable, or the file with its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from agent.toml_lines import TomlError, read_toml

__all__ = ["AGENT_TABLES", "ConfigError", "Settings", "checked", "load_settings"]

_PREFIX: Final = "CAMCENSUS_"
AGENT_TABLES: Final = frozenset({"agent", "inventory", "site"})
"""Tables of the same file that `agent.schedule` reads."""
_MAX_PORTS: Final = 256
_PORTS: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_SECONDS: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([smh]?)", re.ASCII)
_RATE: Final = re.compile(r"\d{1,7}(?:\.\d{1,3})?", re.ASCII)
_MAX_RATE: Final = 1_000_000
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}


class ConfigError(Exception):
    """A setting that cannot be used; the text says where it was made."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a scan, a replay or an identification can be told.

    `ports` empty means the default ports; `rate` is in packets a second, in place of the
    profile's, `passes` as well; `time_limit` is in seconds; `record`: into the inventory. The TOML file has the
    same names, with ``-`` or ``_``.
    """

    targets: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allow_public: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    profile: str = "standard"
    ports: tuple[int, ...] = ()
    rate: float | None = None
    passes: int | None = None
    time_limit: float | None = None
    site: str | None = None
    policies: tuple[str, ...] = ()
    oui: Path | None = None
    switches: tuple[str, ...] = ()
    vlans: tuple[str, ...] = ()
    credentials: Path | None = None
    record: bool = True


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str], file: Path | None = None) -> Settings:
    """Put the three sources together.

    `flags` maps names of `Settings` to what the command line gave; None means not given. From
    the environment and the file, lists may be texts with commas. Raises ConfigError.
    """
    chosen: dict[str, Any] = {}
    if file is not None:
        for name, value, place in _from_file(file):
            chosen[name] = checked(name, value, place)
    for name in _CHECKS:
        variable = f"{_PREFIX}{name.upper()}"
        if environ.get(variable):
            chosen[name] = checked(name, environ[variable], variable)
    for name, value in flags.items():
        if value is not None:
            chosen[name] = checked(name, value, f"--{name.replace('_', '-')}")
    return Settings(**chosen)


def _from_file(path: Path) -> list[tuple[str, Any, str]]:
    """Name, value and place of every setting in the file; the tables of a scheduled agent are not ours."""
    try:
        file = read_toml(path)
    except TomlError as error:
        raise ConfigError(str(error)) from None
    settings = []
    for key, value in file.table.items():
        name = key.replace("-", "_")
        if name in AGENT_TABLES and (isinstance(value, dict) or _are_tables(value)):
            continue
        if name not in _CHECKS:
            known = ", ".join(field.name.replace("_", "-") for field in fields(Settings))
            raise ConfigError(f"{file.place(key)}: unknown setting {key!r}; there are {known}")
        settings.append((name, value, f"{file.place(key)}, {key}"))
    return settings


def _are_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def checked(name: str, value: object, place: str) -> Any:
    """The value of the setting `name` as `Settings` has it; raises ConfigError that says the place."""
    try:
        return _CHECKS[name](value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{place}: {error}") from None


def _texts(value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise TypeError(f"{value!r} is not a list of texts")
    return tuple(item.strip() for item in items if item.strip())


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{value!r} is not a text")
    return value.strip()


def _profile(value: object) -> str:
    from agent.pace import PROFILES  # noqa: PLC0415 - it brings asyncio, and captures are read with settings, too

    if value not in PROFILES:
        raise ValueError(f"{value!r} is not one of {', '.join(PROFILES)}")
    return str(value)


def _ports(value: object) -> tuple[int, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise TypeError(f"{value!r} is not a list of ports, such as 80,554,8000-8010")
    ports: dict[int, None] = {}
    for item in items:
        found = _PORTS.fullmatch(str(item).strip())
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 0 < first <= last < 65_536:
            raise ValueError(f"{item!r} is not a port or a range of ports")
        if last - first >= _MAX_PORTS or len(ports | dict.fromkeys(range(first, last + 1))) > _MAX_PORTS:
            raise ValueError(f"more than {_MAX_PORTS} ports are no light touch")
        ports |= dict.fromkeys(range(first, last + 1))
    return tuple(ports)


def _seconds(value: object) -> float:
    found = _SECONDS.fullmatch(str(value).strip())
    if not found or isinstance(value, bool) or float(found[1]) <= 0:
        raise ValueError(f"{value!r} is not a time such as 90s, 10m or 2h")
    return float(found[1]) * _UNITS[found[2]]


def _rate(value: object) -> float:
    text = str(value).strip()
    if isinstance(value, bool) or not _RATE.fullmatch(text) or not 1 <= float(text) <= _MAX_RATE:
        raise ValueError(f"{value!r} is not a rate from 1 to {_MAX_RATE:,} packets a second")
    return float(text)


def _passes(value: object) -> int:
    if isinstance(value, bool) or str(value) not in {str(number) for number in range(1, 11)}:
        raise ValueError(f"{value!r} is not a number of passes from 1 to 10")
    return int(str(value))


def _flag(value: object) -> bool:
    words = {
        "1": True,
        "yes": True,
        "true": True,
        "on": True,
        "0": False,
        "no": False,
        "false": False,
        "off": False,
    }
    found = words.get(str(value).strip().lower())
    if found is None:
        raise ValueError(f"{value!r} is neither yes nor no")
    return found


def _path(value: object) -> Path:
    return (value if isinstance(value, Path) else Path(_text(value))).expanduser()


_CHECKS: Final[Mapping[str, Callable[[object], Any]]] = {
    "targets": _texts,
    "exclude": _texts,
    "allow_public": _texts,
    "interfaces": _texts,
    "profile": _profile,
    "ports": _ports,
    "rate": _rate,
    "passes": _passes,
    "time_limit": _seconds,
    "site": _text,
    "policies": _texts,
    "oui": _path,
    "switches": _texts,
    "vlans": _texts,
    "credentials": _path,
    "record": _flag,
}

"""Reads agent.toml: which sites are scanned how and when, and where results go.

Every mistake is a ConfigError that names the file with its line. What stands at the top of the file
is meant for every scope that does not say otherwise (the names are those of `agent.config`).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from agent.config import AGENT_TABLES, ConfigError, Settings, checked
from agent.schedule.times import Cron, Window, window, zone
from agent.toml_lines import TomlError, TomlFile, read_toml
from exchange.nats_credentials import BadCredentials, nats_credentials

__all__ = ["AgentSettings", "Central", "Listening", "ScopePlan", "read_settings"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SIZE: Final = re.compile(r"(\d{1,6})\s*(KiB|MiB|GiB)")
_SIZES: Final = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_TIME: Final = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_MAX_SECRET: Final = 10_000
_VLANS: Final = re.compile(r"\d{1,4}(?:-\d{1,4})?(?:,\d{1,4}(?:-\d{1,4})?)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Central:
    """How to reach the inventory: ``https://`` or ``nats://`` (several servers with commas)."""

    url: str
    token: str = field(default="", repr=False)
    ca: Path | None = None
    pinned: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    proxy: str | None = None
    credentials: Path | None = None
    """The credentials file of NATS."""
    domain: str = ""
    """The domain of JetStream, where a leaf node stands between."""
    poll: float = 60.0
    """Seconds between two looks for jobs."""


@dataclass(frozen=True, slots=True)
class ScopePlan:
    """One scope of a site: what `settings` say, at the times of `cron`, not inside `blackout`.

    `jitter` and `longest` are in seconds. Without `cron` it is scanned when somebody asks for it.
    """

    site: str
    name: str
    settings: Settings
    cron: Cron | None = None
    zone: tzinfo = UTC
    jitter: float = 0.0
    blackout: tuple[Window, ...] = ()
    longest: float | None = None
    vlans: str = ""
    credentials: Path | None = None

    @property
    def id(self) -> str:
        """What the scope is known by in this agent."""
        return f"{self.site}.{self.name}"


@dataclass(frozen=True, slots=True)
class Listening:
    """Interfaces of a site to listen on, with a report every `every` seconds."""

    site: str
    interfaces: tuple[str, ...]
    every: float = 86_400.0


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Everything a scheduled agent is told. `outbox_size` in bytes, `outbox_days` in days."""

    path: Path
    name: str
    state: Path
    central: Central | None = None
    scopes: tuple[ScopePlan, ...] = ()
    listening: tuple[Listening, ...] = ()
    parallel: int = 1
    outbox_size: int = 2 << 30
    outbox_days: float = 400.0
    metrics_file: Path | None = None
    metrics_listen: tuple[str, int] | None = None


def read_settings(path: Path, state: Path) -> AgentSettings:
    """Read agent.toml; `state` is the folder of an agent that names none. Raises ConfigError."""
    try:
        file = read_toml(path)
    except TomlError as error:
        raise ConfigError(str(error)) from None
    top = _Table(file, (), file.table)
    common = {name: value for name, value in file.table.items() if name not in AGENT_TABLES}
    agent = top.table("agent")
    settings = AgentSettings(
        path,
        agent.take("name", _name, ""),
        agent.take("state", _path, state),
        _central(top.table("inventory")) if "inventory" in file.table else None,
        parallel=agent.take("parallel", _number(1, 16), 1),
        outbox_size=agent.take("outbox-size", _size, 2 << 30),
        outbox_days=agent.take("outbox-age", _seconds, 400 * 86_400.0) / 86_400.0,
        metrics_file=agent.take("metrics-file", _path, None),
        metrics_listen=agent.take("metrics-listen", _listen, None),
    )
    if not settings.name:
        raise ConfigError(f"{agent.place('name')}: [agent] needs a name, the same as in the inventory")
    agent.done()
    scopes: list[ScopePlan] = []
    listening: list[Listening] = []
    for site in top.tables("site"):
        code = site.take("code", _name, "")
        if not code:
            raise ConfigError(
                f"{site.place('code')}: a [[site]] needs its code, the same as in the inventory"
            )
        where = site.take("time-zone", lambda value: zone(_text(value)), UTC)
        scopes += [_scope(row, code, where, common) for row in site.tables("scope")]
        listening += [_listening(row, code) for row in site.tables("listen")]
        site.done()
    if not scopes and not listening:
        raise ConfigError(f"{path}: names no [[site.scope]] and no [[site.listen]]: there is nothing to do")
    twice = {plan.id for number, plan in enumerate(scopes) if plan.id in {row.id for row in scopes[:number]}}
    if twice:
        raise ConfigError(f"{path}: two scopes are called {min(twice)}")
    for key, value in common.items():
        if key.replace("-", "_") not in _COMMON:
            _unknown(file.place(key), key, {name.replace("_", "-") for name in _COMMON} | AGENT_TABLES)
        checked(key.replace("-", "_"), value, f"{file.place(key)}, {key}")
    return replace(settings, scopes=tuple(scopes), listening=tuple(listening))


_OF_A_SCAN: Final = frozenset(
    {
        "targets",
        "exclude",
        "allow_public",
        "interfaces",
        "profile",
        "ports",
        "rate",
        "passes",
        "policies",
        "oui",
    }
)
_COMMON: Final = _OF_A_SCAN - {"targets"}
"""What may stand at the top of the file for every scope."""


class _Table:
    """One table of the file, from which settings are taken; what is left over is a mistake."""

    def __init__(self, file: TomlFile, keys: tuple[str | int, ...], value: object) -> None:
        if not isinstance(value, dict):
            raise ConfigError(f"{file.place(*keys)}: {keys[-1] if keys else file.path} is not a table")
        self._file, self._keys, self._rest = file, keys, dict(value)
        self._known: list[str] = []

    def place(self, name: str) -> str:
        return self._file.place(*self._keys, name)

    def take(self, name: str, check: Callable[[object], Any], default: Any) -> Any:
        """The value of a setting, or the default."""
        self._known.append(name)
        if name not in self._rest:
            return default
        try:
            return check(self._rest.pop(name))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self.place(name)}, {name}: {error}") from None

    def take_scan(self, common: Mapping[str, Any], site: str) -> Settings:
        """What a scan can be told: here, or at the top of the file."""
        found: dict[str, Any] = {"site": site}
        for name in _OF_A_SCAN:
            key = next((key for key in self._rest if key.replace("-", "_") == name), None)
            if key is not None:
                found[name] = checked(name, self._rest.pop(key), f"{self.place(key)}, {key}")
                continue
            key = next((key for key in common if key.replace("-", "_") == name), None)
            if key is not None and name in _COMMON:
                found[name] = checked(name, common[key], f"{self._file.place(key)}, {key}")
        self._known += [name.replace("_", "-") for name in sorted(_OF_A_SCAN)]
        return Settings(**found)

    def table(self, name: str) -> _Table:
        return _Table(self._file, (*self._keys, name), self._rest.pop(name, {}))

    def tables(self, name: str) -> list[_Table]:
        self._known.append(name)
        rows = self._rest.pop(name, [])
        if not isinstance(rows, list):
            raise ConfigError(f"{self.place(name)}: write [[{'.'.join((*self._names(), name))}]]")
        return [_Table(self._file, (*self._keys, name, number), row) for number, row in enumerate(rows)]

    def done(self) -> None:
        for name in self._rest:
            _unknown(self.place(name), name, self._known)

    def _names(self) -> list[str]:
        return [key for key in self._keys if isinstance(key, str)]


def _unknown(place: str, name: str, known: Any) -> None:
    raise ConfigError(f"{place}: unknown setting {name!r}; there are {', '.join(sorted(known))}")


def _central(table: _Table) -> Central:
    url = table.take("url", _url, "")
    if not url:
        raise ConfigError(f"{table.place('url')}: [inventory] needs its url")
    token = table.take("token-file", lambda value: _secret(_path(value)), "")
    variable = table.take("token-variable", _text, "")
    if variable:
        token = os.environ.get(variable, "")
        if not token:
            raise ConfigError(f"{table.place('token-variable')}: {variable} is not set")
    central = Central(
        url,
        token,
        ca=table.take("ca", _readable, None),
        pinned=table.take("pinned", _readable, None),
        certificate=table.take("certificate", _readable, None),
        key=table.take("key", _readable, None),
        proxy=table.take("proxy", _text, None),
        credentials=table.take("credentials", _nats_credentials, None),
        domain=table.take("domain", _name, ""),
        poll=table.take("poll", _seconds, 60.0),
    )
    table.done()
    return central


def _scope(table: _Table, site: str, where: tzinfo, common: Mapping[str, Any]) -> ScopePlan:
    place = table.place("targets")
    settings = table.take_scan(common, site)
    if not settings.targets:
        raise ConfigError(f"{place}: a [[site.scope]] needs its targets")
    where = table.take("time-zone", lambda value: zone(_text(value)), where)
    plan = ScopePlan(
        site,
        table.take("name", _name, "all"),
        settings,
        table.take("schedule", lambda value: Cron(_text(value), where), None),
        where,
        table.take("jitter", _seconds, 0.0),
        table.take("blackout", lambda value: tuple(window(_text(row)) for row in _list(value)), ()),
        table.take("longest", _seconds, None),
        table.take("vlans", _vlans, ""),
        table.take("credentials", _readable, None),
    )
    table.done()
    return plan


def _listening(table: _Table, site: str) -> Listening:
    names = table.take("interfaces", lambda value: tuple(_text(row) for row in _list(value)), ())
    if not names:
        raise ConfigError(f"{table.place('interfaces')}: a [[site.listen]] needs its interfaces")
    every = table.take("every", _seconds, 86_400.0)
    table.done()
    return Listening(site, names, every)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{value!r} is not a text")
    return value.strip()


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def _name(value: object) -> str:
    text = _text(value)
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a name of letters, digits, dots, dashes and underscores")
    return text


def _path(value: object) -> Path:
    path = Path(_text(value)).expanduser()
    if not path.is_absolute():
        raise ValueError(f"{str(path)!r} is not a whole path")
    return path


def _readable(value: object) -> Path:
    path = _path(value)
    if not os.access(path, os.R_OK):
        raise ValueError(f"{path} cannot be read")
    return path


def _nats_credentials(value: object) -> Path:
    path = _path(value)
    try:
        nats_credentials(path)
    except BadCredentials as error:
        raise ValueError(str(error)) from None
    return path


def _secret(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            if stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077:
                raise ValueError(f"others may read {path}: chmod 600 it")
            text = opened.read(_MAX_SECRET).decode("ascii").strip()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} holds no token") from None
    return text


def _number(first: int, last: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not first <= value <= last:
            raise ValueError(f"{value!r} is not a number from {first} to {last}")
        return value

    return check


def _size(value: object) -> int:
    found = _SIZE.fullmatch(_text(value))
    if found is None or not int(found[1]):
        raise ValueError(f"{value!r} is not a size such as 500 MiB or 2 GiB")
    return int(found[1]) * _SIZES[found[2]]


def _seconds(value: object) -> float:
    found = _TIME.fullmatch(_text(value))
    if found is None or not int(found[1]):
        raise ValueError(f"{value!r} is not a time such as 90s, 10m, 2h or 14d")
    return float(found[1]) * _SECONDS[found[2]]


def _url(value: object) -> str:
    text = _text(value)
    for one in text.split(","):
        parts = urlsplit(one)
        if parts.scheme not in {"https", "http", "nats", "tls"} or not parts.hostname:
            raise ValueError(f"{one!r} is not an address such as https://inventory.example or nats://...")
    return text


def _listen(value: object) -> tuple[str, int]:
    host, _, port = _text(value).rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError(f"{value!r} is not an address with a port, such as 127.0.0.1:9117")
    return host.strip("[]"), int(port)


def _vlans(value: object) -> str:
    text = "".join(_text(value).split())
    if not _VLANS.fullmatch(text):
        raise ValueError(f"{value!r} is not a list of VLANs such as 10,20-29")
    return text

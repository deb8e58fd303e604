"""Reads where the inventory keeps its things from environment variables.

Nothing here imports Django, so that a command can look at its surroundings first.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = [
    "ROLES",
    "EnvironmentMistake",
    "GroupRole",
    "SignOn",
    "database",
    "embedded",
    "flag",
    "is_safe",
    "keep_secret_key",
    "number",
    "origin",
    "secret_key",
    "sign_on",
    "state_folder",
    "words",
]

ROLES: Final = ("viewer", "technician", "planner", "administrator")
"""The roles that a group of a provider may give."""

_URL: Final = "CAMCENSUS_DATABASE_URL"
_BUSY_SECONDS: Final = 20
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class EnvironmentMistake(Exception):  # noqa: N818 - it is the user's mistake, and says so
    """A variable of the environment does not say what it should: names it."""


@dataclass(frozen=True, slots=True)
class GroupRole:
    """The role that a group of the provider has in an organisation, which is named by its name or id."""

    group: str
    role: str
    organisation: str


@dataclass(frozen=True, slots=True)
class SignOn:
    """The provider of OpenID Connect whose people may sign in; `origin` is where its addresses begin."""

    issuer: str
    client: str
    secret: str
    name: str
    scopes: tuple[str, ...]
    claim: str
    """The claim that lists a person's groups."""
    roles: tuple[GroupRole, ...]

    @property
    def origin(self) -> str:
        """Scheme, host and port of the issuer."""
        return origin(self.issuer)


def state_folder(env: Mapping[str, str] = os.environ) -> Path:
    """``$XDG_STATE_HOME/camcensus``, where the embedded inventory lives."""
    named = env.get("XDG_STATE_HOME", "")
    base = Path(named) if named.startswith("/") else Path(env.get("HOME", "/nonexistent"), ".local/state")
    return base / "camcensus"


def embedded(env: Mapping[str, str] = os.environ) -> bool:
    """Whether this is one person's inventory in a file, rather than a central service."""
    return not env.get(_URL, "")


def database(env: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Django's description of the database; raises `EnvironmentMistake` for a URL it cannot read.

    ``postgresql://user:password@host:5432/name?sslmode=require`` is the central service;
    ``sqlite:///path`` or nothing at all is a file.
    """
    url = env.get(_URL, "")
    parts = urlsplit(url)
    if not url or parts.scheme == "sqlite":
        path = unquote(parts.path) if url else str(state_folder(env) / "inventory.sqlite3")
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": path,
            "OPTIONS": {
                "timeout": _BUSY_SECONDS,
                # A writer that starts as a reader cannot wait its turn, so it starts as a writer.
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536;",
            },
        }
    if parts.scheme not in {"postgresql", "postgres"}:
        raise EnvironmentMistake(f"{_URL} starts with {parts.scheme!r}, not with postgresql: or sqlite:")
    try:
        port = parts.port
    except ValueError:
        raise EnvironmentMistake(f"{_URL} names a port that is no number") from None
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    host = options.pop("host", None) or unquote(parts.hostname or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.removeprefix("/")) or "camcensus",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or "") or _password(env),
        "HOST": host,
        "PORT": str(port or ""),
        "OPTIONS": options,
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
    }


def _password(env: Mapping[str, str]) -> str:
    path = env.get("CAMCENSUS_DATABASE_PASSWORD_FILE", "")
    return _secret(path, "password") if path else ""


def _secret(path: str, what: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentMistake(f"the {what} in {path} cannot be read: {error}") from None


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_safe(url: str) -> bool:
    """Whether nobody on the way reads what is sent there: HTTPS, or this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))


def sign_on(env: Mapping[str, str] = os.environ) -> SignOn | None:
    """The provider whose people may sign in; None where none is named. Raises `EnvironmentMistake`."""
    issuer = env.get("CAMCENSUS_OIDC_ISSUER", "").strip()
    if not issuer:
        return None
    if not is_safe(issuer):
        raise EnvironmentMistake("CAMCENSUS_OIDC_ISSUER is no https: address")
    client = env.get("CAMCENSUS_OIDC_CLIENT_ID", "").strip()
    path = env.get("CAMCENSUS_OIDC_CLIENT_SECRET_FILE", "").strip()
    if not client or not path:
        raise EnvironmentMistake(
            "CAMCENSUS_OIDC_ISSUER wants CAMCENSUS_OIDC_CLIENT_ID and CAMCENSUS_OIDC_CLIENT_SECRET_FILE, too"
        )
    return SignOn(
        issuer,
        client,
        _secret(path, "client secret"),
        env.get("CAMCENSUS_OIDC_NAME", "").strip()[:60] or "the account of your organisation",
        tuple(dict.fromkeys(["openid", *words("CAMCENSUS_OIDC_SCOPES", "profile", env)])),
        env.get("CAMCENSUS_OIDC_GROUPS_CLAIM", "").strip() or "groups",
        tuple(_group_roles(env)),
    )


def _group_roles(env: Mapping[str, str]) -> Iterator[GroupRole]:
    for word in words("CAMCENSUS_OIDC_ROLES", "", env):
        group, _, given = word.rpartition("=")
        role, _, organisation = given.partition("@")
        if not group or role not in ROLES or not organisation:
            raise EnvironmentMistake(
                f"CAMCENSUS_OIDC_ROLES holds {word[:80]!r}: write GROUP=ROLE@ORGANISATION, "
                f"where ROLE is {', '.join(ROLES)}"
            )
        yield GroupRole(group.strip(), role, organisation.strip())


def secret_key(env: Mapping[str, str] = os.environ) -> str:
    """The key that signs sessions: from the environment, a file, or made for this process alone."""
    if key := env.get("CAMCENSUS_SECRET_KEY", ""):
        return key
    path = Path(env.get("CAMCENSUS_SECRET_KEY_FILE", "") or state_folder(env) / "inventory.key")
    try:
        return path.read_text(encoding="ascii").strip() or secrets.token_urlsafe(64)
    except FileNotFoundError:
        return secrets.token_urlsafe(64)
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentMistake(f"the secret key in {path} cannot be read: {error}") from None


def keep_secret_key(env: Mapping[str, str] = os.environ) -> Path:
    """Write a new secret key into the state folder, for its owner alone, unless one is there."""
    folder = state_folder(env)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "inventory.key"
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    with os.fdopen(made, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(64))
    return path


def flag(name: str, default: bool, env: Mapping[str, str] = os.environ) -> bool:
    """Whether the variable `name` says yes."""
    said = env.get(name, "").strip().lower()
    if said not in {"", "0", "1", "no", "yes", "false", "true", "off", "on"}:
        raise EnvironmentMistake(f"{name} is {said!r}: say 1 or 0")
    return said in {"1", "yes", "true", "on"} if said else default


def number(name: str, default: int, env: Mapping[str, str] = os.environ) -> int:
    """The whole number, one or more, that the variable `name` gives."""
    said = env.get(name, "").strip()
    if not said:
        return default
    if not said.isascii() or not said.isdigit() or not 1 <= int(said[:12]) <= 10**9:
        raise EnvironmentMistake(f"{name} is {said[:40]!r}: it takes a whole number from 1 on")
    return int(said)


def words(name: str, default: str, env: Mapping[str, str] = os.environ) -> list[str]:
    """The words, parted by commas, of the variable `name`."""
    return [word.strip() for word in (env.get(name) or default).split(",") if word.strip()]

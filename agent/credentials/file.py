"""Reads the file of credentials (TOML), whose secrets stand in it, in the environment or in the keyring.

::

    [[login]]                               # HTTP digest, or WS-Security for ONVIF
    hosts = ["10.0.20.0/24", "10.0.30.5"]
    username = "viewer"
    password = "..."                        # or password-env = "NAME", or password-keyring = "SERVICE"
    basic-in-clear = false                  # the default: a password is never sent in clear

    [[snmp-community]]                      # SNMP v2c
    hosts = ["10.0.0.0/24"]
    community-env = "SWITCH_COMMUNITY"

    [[snmp-user]]                           # SNMP v3
    hosts = ["10.0.0.0/24"]
    username = "monitor"
    authentication = "sha256"
    authentication-password-keyring = "switches"
    privacy = "aes"
    privacy-password-keyring = "switches-privacy"

A `name` is shown in reports; without one it is the table with its number. The keyring is asked
for the service and the entry's user name (its `name` for a community).
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.config import ConfigError
from agent.credentials.grants import (
    SNMP_AUTHENTICATION,
    SNMP_PRIVACY,
    Credentials,
    Grant,
    Login,
    Net,
    SnmpCommunity,
    SnmpUser,
)
from agent.credentials.secret import Secret

__all__ = ["load_credentials"]

_MAX_FILE: Final = 1 << 20
_MAX_ENTRIES: Final = 10_000
_MAX_TEXT: Final = 512
_HEADER: Final = re.compile(r"[ \t]*\[\[[ \t]*([a-z0-9-]+)[ \t]*\]\]")
_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)")
_SECRETS: Final = frozenset({"password", "community", "authentication-password", "privacy-password"})
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "login": frozenset({"username", "password", "basic-in-clear"}),
    "snmp-community": frozenset({"community"}),
    "snmp-user": frozenset(
        {"username", "authentication", "authentication-password", "privacy", "privacy-password"}
    ),
}
_ALWAYS: Final = frozenset({"name", "hosts"})


def load_credentials(path: Path, environ: Mapping[str, str] = os.environ) -> Credentials:
    """Read a file that only its owner may read (mode 0600 or stricter).

    Raises ConfigError, naming the file with the line and never a value, where it cannot be used.
    """
    lines = _private_text(path).splitlines()
    table, wrong = _parsed("\n".join(lines) + "\n")
    if wrong is not None:
        raise ConfigError(f"{path} line {wrong}: not TOML (what stands there is not shown)")
    grants: list[Grant] = []
    heard: dict[tuple[str, str], str | None] = {}
    for kind, rows in table.items():
        if kind not in _KEYS or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            known = ", ".join(f"[[{name}]]" for name in _KEYS)
            raise ConfigError(f"{path} line {_table_line(lines, kind)}: a table is one of {known}")
        starts = [at for at, text in enumerate(lines) if (found := _HEADER.match(text)) and found[1] == kind]
        for number, row in enumerate(rows):
            start = starts[number] if number < len(starts) else 0
            grants.append(_Entry(path, lines, start, kind, number + 1, row, environ, heard).grant())
    if not 0 < len(grants) <= _MAX_ENTRIES:
        raise ConfigError(f"{path}: holds {len(grants)} credentials, not 1 to {_MAX_ENTRIES:,}")
    names: set[str] = set()
    for grant in grants:
        if grant.name in names:
            raise ConfigError(f"{path}: two credentials have the name {grant.name!r}")
        names.add(grant.name)
    return Credentials(tuple(grants))


def _private_text(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            state = os.fstat(opened.fileno())
            content = opened.read(_MAX_FILE + 1) if stat.S_ISREG(state.st_mode) else b""
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    if not stat.S_ISREG(state.st_mode):
        raise ConfigError(f"{path}: is not a regular file")
    if state.st_mode & 0o077:
        mode = stat.S_IMODE(state.st_mode)
        raise ConfigError(f"{path}: others may read or change it (mode {mode:04o}): chmod 600 {path}")
    if state.st_uid not in {0, os.geteuid()}:
        raise ConfigError(f"{path}: belongs to another user")
    if len(content) > _MAX_FILE:
        raise ConfigError(f"{path}: longer than {_MAX_FILE >> 20} MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    # The exception would carry the whole file along in a traceback.
    raise ConfigError(f"{path} line {line}: not UTF-8")


def _parsed(text: str) -> tuple[dict[str, Any], int | None]:
    """The tables, and the line that is wrong; the parser's words may quote a password."""
    try:
        return tomllib.loads(text), None
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        return {}, int(found[1]) if found else text.count("\n")


def _table_line(lines: list[str], name: str) -> int:
    """The line where a table begins, or a key outside of all tables, as people count."""
    wanted = re.compile(rf"[ \t]*\[{{0,2}}[ \t]*[\"']?{re.escape(name)}[\"']?[ \t]*[=.\]]")
    return next((at for at, text in enumerate(lines, 1) if wanted.match(text)), 1)


def _key_line(lines: list[str], start: int, key: str) -> int:
    """The line of a key in the table that begins at `start`; the table's own if the key is not there."""
    wanted = re.compile(rf"[ \t]*[\"']?{re.escape(key)}[\"']?[ \t]*[=.]")
    for at in range(start + 1, len(lines)):
        if _HEADER.match(lines[at]):
            break
        if wanted.match(lines[at]):
            return at + 1
    return start + 1


@dataclass(frozen=True, slots=True)
class _Entry:
    """One table of the file with its place; `repr` would show secrets, so nothing prints it."""

    path: Path
    lines: list[str]
    start: int
    kind: str
    number: int
    row: dict[str, Any]
    environ: Mapping[str, str]
    heard: dict[tuple[str, str], str | None]
    """What the keyring has said: it may ask its user each time."""

    def __repr__(self) -> str:
        return f"<{self.kind} at {self.path} line {self.start + 1}>"

    def grant(self) -> Grant:
        """What it grants; raises ConfigError."""
        known = _KEYS[self.kind]
        sources = {f"{key}{end}" for key in known & _SECRETS for end in ("-env", "-keyring")}
        for key in self.row:
            if key not in known | sources | _ALWAYS:
                raise self._wrong(key, f"{key!r} is not known in [[{self.kind}]]")
        hosts = self._hosts()
        name = self._text("name") if "name" in self.row else f"{self.kind} {self.number}"
        return _MAKERS[self.kind](self, name, hosts)

    def login(self, name: str, hosts: tuple[Net, ...]) -> Login:
        """A user name with a password."""
        username = self._text("username")
        clear = self.row.get("basic-in-clear", False)
        if not isinstance(clear, bool):
            raise self._wrong("basic-in-clear", "is true or false")
        if ":" in username and clear:
            raise self._wrong("username", "basic authentication knows no user names with a colon")
        return Login(name, hosts, username, self._needed("password", username), clear)

    def community(self, name: str, hosts: tuple[Net, ...]) -> SnmpCommunity:
        """An SNMP v2c community."""
        return SnmpCommunity(name, hosts, self._needed("community", name))

    def user(self, name: str, hosts: tuple[Net, ...]) -> SnmpUser:
        """An SNMP v3 user."""
        username = self._text("username")
        authentication = self._protocol("authentication", SNMP_AUTHENTICATION)
        privacy = self._protocol("privacy", SNMP_PRIVACY)
        if privacy and not authentication:
            raise self._wrong("privacy", "there is no privacy without authentication (RFC 3411)")
        return SnmpUser(
            name,
            hosts,
            username,
            authentication,
            self._of_protocol("authentication", authentication, username),
            privacy,
            self._of_protocol("privacy", privacy, username),
        )

    def _protocol(self, key: str, known: tuple[str, ...]) -> str | None:
        if key not in self.row:
            return None
        text = self._text(key).lower()
        if text not in known:
            raise self._wrong(key, f"is one of {', '.join(known)}")
        return text

    def _of_protocol(self, key: str, protocol: str | None, username: str) -> Secret | None:
        secret = self._secret(f"{key}-password", username)
        if (secret is None) != (protocol is None):
            raise self._wrong(key, f"{key} and its password stand together")
        if secret is not None and len(secret.reveal()) < 8:
            raise self._wrong(f"{key}-password", "is shorter than 8 characters (RFC 3414)")
        return secret

    def _hosts(self) -> tuple[Net, ...]:
        texts = self.row.get("hosts")
        if not isinstance(texts, list) or not texts:
            raise self._wrong("hosts", 'hosts = ["192.0.2.0/24"] says whom this is for')
        found: list[Net] = []
        for text in texts:
            try:
                if not isinstance(text, str):
                    raise TypeError  # noqa: TRY301 - told with the others, below
                found.append(ipaddress.ip_network(text))
            except (TypeError, ValueError):
                raise self._wrong("hosts", f"{text!r} is no address or net in CIDR notation") from None
        return tuple(found)

    def _text(self, key: str) -> str:
        text = self.row.get(key)
        if not isinstance(text, str) or not 0 < len(text) <= _MAX_TEXT or not text.isprintable():
            raise self._wrong(key, f"{key} is a text of 1 to {_MAX_TEXT} printable characters")
        return text

    def _needed(self, key: str, user: str) -> Secret:
        secret = self._secret(key, user)
        if secret is None:
            raise self._wrong(key, f"needs {key}, {key}-env or {key}-keyring")
        return secret

    def _secret(self, key: str, user: str) -> Secret | None:
        """The secret of `key`, from the one place that the entry names for it."""
        named = [name for name in (key, f"{key}-env", f"{key}-keyring") if name in self.row]
        if not named:
            return None
        if len(named) > 1:
            raise self._wrong(named[1], f"{' and '.join(named)} exclude each other")
        text: str | None = self._text(named[0])
        if named[0] == f"{key}-env":
            variable, text = text, self.environ.get(text or "")
            if not text:
                raise self._wrong(named[0], f"the environment has no {variable}")
        elif named[0] == f"{key}-keyring":
            text = self._from_keyring(named[0], self._text(named[0]), user)
        return Secret(text or "")

    def _from_keyring(self, key: str, service: str, user: str) -> str:
        try:
            import keyring  # noqa: PLC0415 - an extra, which few need
            from keyring.errors import KeyringError  # noqa: PLC0415 - see above
        except ImportError:
            raise self._wrong(key, "needs the extra: pip install 'camcensus[keyring]'") from None
        try:
            if (service, user) not in self.heard:
                self.heard[service, user] = keyring.get_password(service, user)
            text = self.heard[service, user]
        except KeyringError as error:
            raise self._wrong(key, f"the keyring cannot be used: {error}") from None
        if not text:
            raise self._wrong(key, f"the keyring has no {service!r} for {user!r}")
        return text

    def _wrong(self, key: str, what: str) -> ConfigError:
        return ConfigError(f"{self.path} line {_key_line(self.lines, self.start, key)}: {what}")


_MAKERS: Final[Mapping[str, Callable[[_Entry, str, tuple[Net, ...]], Grant]]] = {
    "login": _Entry.login,
    "snmp-community": _Entry.community,
    "snmp-user": _Entry.user,
}

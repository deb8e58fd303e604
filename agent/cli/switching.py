"""Has the switches that the user named read, with the credentials that he supplied."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.config import ConfigError, Settings
from agent.credentials import Credentials, load_credentials
from agent.scope import Scope
from agent.switches import read_switches
from agent.tables import Row
from fingerprints.model import Problem

__all__ = ["Switches", "ask_switches", "chosen_switches"]

_MOST: Final = 1_024


@dataclass(frozen=True, slots=True)
class Switches:
    """Which switches to ask, and with what."""

    scope: Scope
    credentials: Credentials

    def describe(self) -> str:
        """For people."""
        return f"{len(self.scope)} switch{'' if len(self.scope) == 1 else 'es'} by SNMP"


def chosen_switches(
    settings: Settings, own: Sequence[str], load: Callable[[Path], Credentials] = load_credentials
) -> Switches | None:
    """The switches that the settings name; None for none. Raises ConfigError, ScopeError."""
    if not settings.switches:
        return None
    if settings.credentials is None:
        raise ConfigError("--switch: needs --credentials with an SNMP community or user for it")
    named = [part.strip() for text in settings.switches for part in text.split(",") if part.strip()]
    scope = Scope.parse(named, exclude=settings.exclude, allow_public=settings.allow_public, own=own)
    if len(scope) > _MOST:
        raise ConfigError(f"--switch: {len(scope):,} addresses, of at most {_MOST:,}: name the switches")
    return Switches(scope, load(settings.credentials))


def ask_switches(
    switches: Switches, problem: Callable[[Problem], None]
) -> tuple[list[Row], list[Mapping[str, Any]]]:
    """What the switches say, with the part of the coverage that tells of them."""
    reading = asyncio.run(read_switches(switches.scope, switches.credentials, problem))
    return list(reading.rows), list(reading.coverage)

"""Reads the times that commands take, such as 90s, 10m, 2h or 14d."""

from __future__ import annotations

import re
from typing import Final

from agent.config import ConfigError

__all__ = ["seconds_of"]

_PERIOD: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([smhd]?)", re.ASCII)
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds_of(text: str | None, option: str) -> float | None:
    """The seconds of a time; None for none. Raises ConfigError that names the option."""
    if text is None:
        return None
    found = _PERIOD.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise ConfigError(f"{option}: {text!r} is not a time such as 90s, 10m, 2h or 14d")
    return float(found[1]) * _UNITS[found[2]]

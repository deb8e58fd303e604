"""Where this user's own files live, after the XDG base directory specification."""

from __future__ import annotations

import os
from pathlib import Path

from fingerprints.pack import current_folder

__all__ = ["installed_knowledge", "installed_or_shipped", "own_policies", "trusted_keys"]


def _base(variable: str, default: str) -> Path:
    named = os.environ.get(variable, "")
    return (Path(named) if named.startswith("/") else Path.home() / default) / "camcensus"


def installed_knowledge() -> Path:
    """The folder of the knowledge pack that the user has installed, if any."""
    return _base("XDG_DATA_HOME", ".local/share") / "knowledge"


def installed_or_shipped() -> Path:
    """The knowledge folder in use: the installed pack where it is newer than what is shipped."""
    return current_folder(installed_knowledge())


def trusted_keys() -> Path:
    """The folder of public keys (PEM) whose packs are trusted."""
    return _base("XDG_CONFIG_HOME", ".config") / "trusted-keys"


def own_policies() -> Path:
    """The folder of this user's own policies, such as a watch list."""
    return _base("XDG_CONFIG_HOME", ".config") / "policies"

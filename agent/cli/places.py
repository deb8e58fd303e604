"""Where this user's own files live, after the XDG base directory specification."""

from __future__ import annotations

import os
from pathlib import Path

from fingerprints.rules import HERE

__all__ = [
    "agent_file",
    "agent_state",
    "installed_knowledge",
    "installed_or_shipped",
    "kept",
    "own_policies",
    "scans",
    "trusted_keys",
]


def _base(variable: str, default: str) -> Path:
    named = os.environ.get(variable, "")
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() fails for a user without one
    return Path(
        named if named.startswith("/") else f"{home if home != '~' else '/nonexistent'}/{default}",
        "camcensus",
    )


def installed_knowledge() -> Path:
    """The folder of the knowledge pack that the user has installed, if any."""
    return _base("XDG_DATA_HOME", ".local/share") / "knowledge"


def installed_or_shipped() -> Path:
    """The knowledge folder in use: the installed pack where it is newer than what is shipped."""
    installed = installed_knowledge()
    # os.path: a folder that cannot be looked into (another user's home) holds no pack for us.
    if not os.path.exists(installed / "pack.toml"):  # noqa: PTH110
        return HERE
    from fingerprints.pack import current_folder  # noqa: PLC0415 - slow, and few have a pack

    return current_folder(installed)


def kept() -> Path:
    """The folder of what runs keep for the next one, such as rules made ready; safe to remove."""
    return _base("XDG_CACHE_HOME", ".cache") / "compiled"


def trusted_keys() -> Path:
    """The folder of public keys (PEM) whose packs are trusted."""
    return _base("XDG_CONFIG_HOME", ".config") / "trusted-keys"


def agent_file() -> Path:
    """The settings of this user's scheduled agent; those of the machine where there are none."""
    own = _base("XDG_CONFIG_HOME", ".config") / "agent.toml"
    return own if own.exists() else Path("/etc/camcensus/agent.toml")


def agent_state() -> Path:
    """The folder of what a scheduled agent keeps, if its settings name none."""
    return _base("XDG_STATE_HOME", ".local/state") / "agent"


def own_policies() -> Path:
    """The folder of this user's own policies, such as a watch list."""
    return _base("XDG_CONFIG_HOME", ".config") / "policies"


def scans() -> Path:
    """The folder of what running scans have learned, kept for those that are stopped."""
    return _base("XDG_STATE_HOME", ".local/state") / "scans"

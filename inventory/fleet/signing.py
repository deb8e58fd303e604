"""The key by which the inventory signs what leaves it: receipts, above all."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from exchange.keys import SigningKey
from inventory.environment import state_folder

__all__ = ["public_key", "sign"]


@lru_cache(maxsize=1)
def _key(path: str) -> SigningKey:
    return SigningKey(Path(path))


def _path() -> str:
    """Where the key is: the same file for every process of a central service."""
    return os.environ.get("CAMCENSUS_SIGNING_KEY_FILE", "") or str(state_folder() / "inventory-signing.pem")


def public_key() -> str:
    """What tells our signatures, as hex; raises `exchange.keys.BadKey`."""
    return _key(_path()).public


def sign(data: bytes) -> str:
    """Our signature over `data`, as hex; raises `exchange.keys.BadKey`."""
    return _key(_path()).sign(data)

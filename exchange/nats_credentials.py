"""Reads a credentials file of NATS: the token of a user (a JWT) above the seed of its key."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

__all__ = ["BadCredentials", "nats_credentials"]

_MAX_FILE: Final = 65_536
# https://docs.nats.io/using-nats/developer/connecting/creds: two parts between lines of dashes
_TOKEN: Final = re.compile(
    r"-{3,}BEGIN NATS USER JWT-{3,}\s+([\w-]+\.[\w-]+\.[\w-]+)\s+-{3,}END NATS USER JWT-{3,}"
)
_SEED: Final = re.compile(r"-{3,}BEGIN USER NKEY SEED-{3,}\s+(SU[A-Z2-7]{56})\s+-{3,}END USER NKEY SEED-{3,}")


class BadCredentials(Exception):  # noqa: N818 - a file, not a fault
    """A credentials file that cannot be used; the text names the file, never what is in it."""


def nats_credentials(path: Path) -> str:
    """Both parts of the file as nats-py takes them; raises BadCredentials.

    nats-py reads the file itself, too, but waits for ever where the token is not in it.
    """
    try:
        with path.open("rb") as opened:
            if os.fstat(opened.fileno()).st_mode & 0o077:
                raise BadCredentials(f"others may read {path}: chmod 600 it")
            text = opened.read(_MAX_FILE).decode("ascii", "replace")
    except OSError as error:
        raise BadCredentials(f"{path} cannot be read: {error.strerror}") from None
    token, seed = _TOKEN.search(text), _SEED.search(text)
    if token is None or seed is None:
        missing = "token (JWT) of a user" if token is None else "seed of a user's key"
        raise BadCredentials(f"{path} is no credentials file of NATS: it holds no {missing}")
    return (
        f"-----BEGIN NATS USER JWT-----\n{token[1]}\n------END NATS USER JWT------\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed[1]}\n------END USER NKEY SEED------\n"
    )

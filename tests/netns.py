"""Runs a script in a network namespace that ends with it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from tests.places import REPO

__all__ = ["run_apart", "told_apart"]

_SECONDS: Final = 170.0


def run_apart(script: str, *words: str, seconds: float = _SECONDS) -> subprocess.CompletedProcess[str]:
    """Run `script` by this Python, with `words` as its arguments, where nothing but it has a network.

    Needs root. Raises subprocess.TimeoutExpired after so many `seconds`.
    """
    return subprocess.run(
        ["unshare", "--net", sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        timeout=seconds,
    )


def told_apart(script: str, *words: str, seconds: float = _SECONDS) -> str:
    """What a script printed that was run so, which must have ended well."""
    done = run_apart(script, *words, seconds=seconds)
    assert done.returncode == 0, done.stderr
    return done.stdout

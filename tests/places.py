"""Where tests find the repository, and the recordings that stand beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

__all__ = ["REPO", "SHARED", "needs_shared"]

REPO: Final = Path(__file__).resolve().parent.parent
SHARED: Final = REPO.parent / "shared"

needs_shared = pytest.mark.skipif(
    not (SHARED / "corpus").is_dir(), reason="the recordings beside the checkout (../shared) are not here"
)
"""Skips a test in a clone that has no recordings beside it."""

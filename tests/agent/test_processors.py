"""Tests that a process counts the processors that it may use, not those that there are."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from agent.processors import processors
from tests.places import REPO


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system that binds processes")
def test_a_process_held_to_one_processor_counts_one() -> None:
    """Whoever is bound to one of several processors has no use for more threads."""
    words = (
        "import os; from agent.processors import processors;"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(processors())"
    )
    done = subprocess.run([sys.executable, "-c", words], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_a_system_that_does_not_tell_has_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody is asked about binding, all processors count, and one at least."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert processors() == (os.cpu_count() or 1)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors() == 1

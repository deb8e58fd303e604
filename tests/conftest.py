"""Keeps what every test run needs: the lab in one worker, no silent skips where changes are checked."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

_LAB = Path(__file__).parent / "lab"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test of the lab to the same worker: the lab is one network."""
    for item in items:
        if item.path.is_relative_to(_LAB):
            item.add_marker(pytest.mark.xdist_group("lab"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI set, a test that is skipped for a missing tool fails."""
    report = yield
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    if os.environ.get("CI") and report.skipped and reason.startswith("Skipped: missing tool"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: {reason}; nothing may be skipped for that here"
    return report

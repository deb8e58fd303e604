"""Keeps what every test run needs: the lab in one worker, no silent skips where changes are checked."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler.loadscope import LoadScopeScheduling

# A busy machine is no failure: neither a case that takes long nor one that is long in the making.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

# What a script runs in its background ignores SIGINT, and so would every program that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)

_TOGETHER = {
    "tests/inventory/": "inventory",
    "tests/lab/": "lab",
    "tests/simulator/": "site",
    "tests/test_docs.py": "site",
    "tests/agent/cli/test_demo.py": "site",
    "tests/agent/cli/test_recording.py": "site",
    "tests/agent/cli/test_scan.py": "site",
}
"""What shares one network, one PostgreSQL, or the addresses on loopback where the simulated site stands."""


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives tests that would be in each other's way to the same worker, every other one to whoever is free.

    This is what ``--dist loadgroup`` is for; xdist 3.8 sets a name for it that pytest 9.2 does not read.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((group for place, group in _TOGETHER.items() if nodeid.startswith(place)), nodeid)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """What a run keeps, for the next one or for a stopped scan, goes to folders of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        # The tests of that turn it on again; for all others it would be a second of work each.
        patch.setenv("CAMCENSUS_RECORD", "0")
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """The scheduler of a run on several workers."""
    return _Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI set, a test that is skipped for a missing tool fails."""
    report = yield
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    if os.environ.get("CI") and report.skipped and reason.startswith("Skipped: missing tool"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: {reason}; nothing may be skipped for that here"
    return report

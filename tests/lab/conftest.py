"""The lab as a fixture: one network for the whole session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from simulator.device import load_all
from tests.lab.network import Lab, missing_tools
from tests.lab.software import SOFTWARE


def _reason() -> str | None:
    if os.geteuid() != 0:
        return "the lab needs root, to make network namespaces"
    missing = missing_tools()
    return f"the lab needs {', '.join(missing)}" if missing else None


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Every simulated device and every third-party program, on one network."""
    reason = _reason()
    if reason and os.environ.get("CI"):
        pytest.fail(f"{reason}; nothing may be skipped in CI")
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("lab")
    # Programs of other users work in it.
    for path in (folder, *folder.parents[:2]):
        path.chmod(path.stat().st_mode | 0o055)
    with Lab(load_all(), SOFTWARE, folder) as network:
        yield network

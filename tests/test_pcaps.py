"""The project's own captures give the facts and verdicts that stand beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.golden import expectation, expected_path, replayed
from tests.places import REPO

CAPTURES = sorted(
    path
    for path in (REPO / "pcaps").iterdir()
    if path.suffix in {".pcap", ".pcapng"} or path.name.endswith(".gz")
)


def test_there_are_captures() -> None:
    """The captures that the README names are here."""
    assert CAPTURES


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_golden(capture: Path) -> None:
    """Facts and verdicts are exactly those that were reviewed."""
    golden = json.loads(expected_path(capture).read_text(encoding="utf-8"))
    assert expectation(replayed(capture)) == golden


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_the_filter_changes_nothing(capture: Path) -> None:
    """With the derived filter and without it: the same facts and verdicts."""
    assert expectation(replayed(capture)) == expectation(replayed(capture, unfiltered=True))

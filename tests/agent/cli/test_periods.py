"""Tests of the times that commands take."""

from __future__ import annotations

import pytest

from agent.cli.periods import seconds_of
from agent.config import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7_200), ("14d", 1_209_600), ("1.5", 1.5), (" 3m ", 180), (None, None)],
)
def test_times(text: str | None, seconds: float | None) -> None:
    """A number with its unit, seconds without one."""
    assert seconds_of(text, "--for") == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "ten", "-1m", "1w", "1e9", "٣m"])
def test_what_is_no_time(text: str) -> None:
    """The mistake names the option and shows the form."""
    with pytest.raises(ConfigError, match=r"--for: .* 10m"):
        seconds_of(text, "--for")

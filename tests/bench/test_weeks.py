"""Tests that weeks of listening fill no table without end."""

from __future__ import annotations

from pathlib import Path

from agent.capture import Reading
from agent.cli.wiring import prepare
from agent.probes import ALL
from bench.weeks import Sample, growth, simulate

MAX_HOSTS = 600


def test_tables_stay_within_their_bounds(tmp_path: Path) -> None:
    """More hosts come by than may be remembered: the tables stay full, and those that tell most stay in."""
    tally = prepare(None, None).tally(max_hosts=MAX_HOSTS)
    reading = Reading(ALL, "eth0", max_hosts=MAX_HOSTS)
    samples = list(simulate(1, 800, tmp_path, tally, reading))
    assert len(samples) == 1
    assert reading.stats.frames == samples[-1].frames
    assert reading.settle().hosts_given_up > 0
    assert len(list(reading.sightings())) <= MAX_HOSTS
    report = tally.report()
    assert report.coverage["hosts_forgotten"] > 0  # type: ignore[operator]
    assert len(report.devices) <= MAX_HOSTS
    # Every camera that can be told is still there.
    assert sum(device.verdict.level in {"confirmed", "probable"} for device in report.devices) >= 150


def test_growth_is_counted_after_the_warm_up() -> None:
    """Of ten days the first four are warm-up; a later peak counts, not only the end."""
    sizes = [10, 20, 40, 80, 100, 100, 120, 100, 100, 100]
    samples = [Sample(day, size, 0, 0) for day, size in enumerate(sizes, start=1)]
    assert abs(growth(samples) - 0.2) < 1e-9

"""Tests of the states of removal."""

from __future__ import annotations

from datetime import date

import pytest

from inventory.timeline import STATES, Step, TimelineError, check, next_states, plan_state

TODAY = date(2026, 3, 1)
LATER = date(2026, 6, 1)


@pytest.mark.parametrize("before", ["", *STATES])
def test_people_never_verify(before: str) -> None:
    """Whatever a device is, nobody can say that it is verified gone or returned: scans do."""
    for state in ("verified-gone", "returned"):
        with pytest.raises(TimelineError):
            check(before, Step(state), TODAY)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (Step("scheduled"), "day it is due"),
        (Step("exempt", exempt_until=LATER), "reason"),
        (Step("exempt", reason="listed wall"), "day it ends"),
        (Step("exempt", reason="listed wall", exempt_until=TODAY), "yet to come"),
        (Step("gone"), "no state"),
    ],
)
def test_a_step_needs_what_its_state_says(step: Step, why: str) -> None:
    """A schedule needs a day; an exemption a reason with an end."""
    with pytest.raises(TimelineError, match=why):
        check("found", step, TODAY)


def test_the_way_down() -> None:
    """Found, scheduled, removed; returned devices may be scheduled again."""
    check("found", Step("scheduled", due=LATER), TODAY)
    check("scheduled", Step("removed"), TODAY)
    check("returned", Step("scheduled", due=LATER), TODAY)
    assert next_states("verified-gone") == frozenset()


def test_findings_open_and_close_the_timeline() -> None:
    """Flagged is found; cleared with nothing planned leaves; plans stay."""
    assert plan_state("", "flagged") == "found"
    assert plan_state("found", "clear") == ""
    assert plan_state("scheduled", "clear") == "scheduled"

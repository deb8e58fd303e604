"""The states of a device's removal, as rules that open no database.

    found -> scheduled -> removed -> verified-gone
      ^          |           |             |
      |          v           v             v
      +------- exempt     returned  <------+      (returned goes on like found)

People schedule, claim and exempt; scans alone verify, or find that a device is back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final, Literal

__all__ = [
    "BY_PEOPLE",
    "OPEN",
    "STATES",
    "Step",
    "TimelineError",
    "check",
    "next_states",
    "plan_state",
    "seen_again",
]

State = Literal["found", "scheduled", "removed", "verified-gone", "returned", "exempt"]
STATES: Final[tuple[State, ...]] = ("found", "scheduled", "removed", "verified-gone", "returned", "exempt")
OPEN: Final = frozenset({"found", "scheduled", "removed", "returned"})
"""The states in which a device still counts as hanging on a wall."""

BY_PEOPLE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "": frozenset({"found"}),
        "found": frozenset({"scheduled", "removed", "exempt"}),
        "scheduled": frozenset({"found", "scheduled", "removed", "exempt"}),
        "removed": frozenset({"found", "scheduled"}),
        "verified-gone": frozenset(),
        "returned": frozenset({"scheduled", "removed", "exempt"}),
        "exempt": frozenset({"found", "scheduled", "removed", "exempt"}),
    }
)
"""From each state those that a person may put it into; ``""`` is a device nobody flagged."""


class TimelineError(Exception):
    """A step that the rules of the timeline do not have: says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """What somebody wants of a device: the state to come, with what that state needs to be told."""

    state: str
    due: date | None = None
    owner: str = ""
    replacement: str = ""
    reason: str = ""
    exempt_until: date | None = None


def next_states(state: str) -> frozenset[str]:
    """The states that a person may choose for a device in `state`."""
    return BY_PEOPLE.get(state, frozenset())


def check(before: str, step: Step, today: date) -> None:
    """Raise `TimelineError` unless a person may take `step` from the state `before` on the day `today`."""
    if step.state not in STATES:
        raise TimelineError(f"{step.state!r} is no state: {', '.join(STATES)}")
    if step.state not in next_states(before):
        if step.state == "verified-gone":
            raise TimelineError("only scans verify that a device is gone")
        if step.state == "returned":
            raise TimelineError("only scans find that a device is back")
        raise TimelineError(f"a device that is {before or 'not flagged'} cannot become {step.state}")
    if step.state == "scheduled" and step.due is None:
        raise TimelineError("a scheduled removal needs the day it is due")
    if step.state == "exempt":
        if not step.reason.strip():
            raise TimelineError("an exemption needs a reason")
        if step.exempt_until is None or step.exempt_until <= today:
            raise TimelineError("an exemption needs the day it ends, which is yet to come")


def seen_again(state: str) -> bool:
    """Whether a device in `state` that a scan sees after its removal has come back."""
    return state in {"removed", "verified-gone"}


def plan_state(before: str, finding: str) -> str:
    """The state of a device whose finding is `finding`: flagged devices are found.

    One that is not flagged any more leaves the timeline, unless somebody has planned something.
    """
    if finding == "flagged":
        return before or "found"
    return "" if before == "found" else before

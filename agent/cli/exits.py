"""The exit codes of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # --help needs the codes, not the words of a report
    from fingerprints.model import Report, Status

__all__ = ["DONE", "FAILED", "FOUND", "INCOMPLETE", "USAGE", "exit_code"]

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
FOUND: Final = 3
INCOMPLETE: Final = 4

_FAILING: Final[dict[str, frozenset[Status]]] = {
    "flagged": frozenset({"flagged"}),
    "suspected": frozenset({"flagged", "suspected"}),
}


def exit_code(report: Report, fail_on: str | None) -> int:
    """The code for a finished report: what was found outranks what is missing."""
    if fail_on is not None and any(device.finding.status in _FAILING[fail_on] for device in report.devices):
        return FOUND
    return DONE if report.complete else INCOMPLETE

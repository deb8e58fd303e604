"""Says what the tables hold in the words of people."""

from __future__ import annotations

from typing import Final

__all__ = ["CLASSES", "FINDINGS", "LEVELS", "STATES", "finding_help"]

FINDINGS: Final = {
    "flagged": "Flagged",
    "suspected": "Suspected",
    "unidentified": "Unidentified",
    "clear": "Clear",
}
_FINDING_HELP: Final = {
    "flagged": "A policy names the maker, and the evidence is strong.",
    "suspected": "A policy names the likely maker; the evidence is not strong yet.",
    "unidentified": "Nobody could tell who made it: look at it on site.",
    "clear": "No policy names the maker.",
}
STATES: Final = {
    "found": "Found",
    "scheduled": "Scheduled",
    "removed": "Removed, not yet verified",
    "verified-gone": "Verified gone",
    "returned": "Returned",
    "exempt": "Exempt",
}
LEVELS: Final = {
    "confirmed": "Confirmed",
    "probable": "Probable",
    "possible": "Possible",
    "unknown": "Not known",
}
CLASSES: Final = {
    "camera": "Camera",
    "recorder": "Recorder",
    "doorbell": "Doorbell",
    "access-control": "Access control",
    "intercom": "Intercom",
    "encoder": "Encoder",
    "software": "Software",
    "not-surveillance": "Not surveillance",
    "unknown": "Not known",
}


def finding_help(finding: str) -> str:
    """What a finding means, in a sentence."""
    return _FINDING_HELP.get(finding, "")

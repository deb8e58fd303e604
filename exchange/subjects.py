"""Names on JetStream: one subject a site for reports and jobs, one an agent for receipts."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["JOBS", "RECEIPTS", "REPORTS", "jobs_of", "receipts_of", "reports_of", "word"]

REPORTS: Final = "camcensus.reports"
RECEIPTS: Final = "camcensus.receipts"
JOBS: Final = "camcensus.jobs"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def word(text: str) -> str:
    """A text as one word of a subject, where dots, stars and blanks mean something: else its hex, marked."""
    return text if _PLAIN.fullmatch(text) and not text.startswith("x-") else "x-" + text.encode().hex()


def reports_of(site: str) -> str:
    """Where reports of a site go."""
    return f"{REPORTS}.{word(site)}"


def receipts_of(agent: str) -> str:
    """Where an agent finds what became of its parcels."""
    return f"{RECEIPTS}.{word(agent)}"


def jobs_of(site: str) -> str:
    """Where jobs of a site wait for its agent."""
    return f"{JOBS}.{word(site)}"

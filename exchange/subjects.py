"""Names on JetStream: a subject a site for reports and jobs, an agent for receipts, a part for knowledge."""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "JOBS",
    "KNOWLEDGE",
    "KNOWLEDGE_STREAM",
    "NEWEST_KNOWLEDGE",
    "RECEIPTS",
    "REPORTS",
    "jobs_of",
    "knowledge_part",
    "receipts_of",
    "reports_of",
    "word",
]

REPORTS: Final = "camcensus.reports"
RECEIPTS: Final = "camcensus.receipts"
JOBS: Final = "camcensus.jobs"
KNOWLEDGE: Final = "camcensus.knowledge"
KNOWLEDGE_STREAM: Final = "CAMCENSUS_KNOWLEDGE"
NEWEST_KNOWLEDGE: Final = f"{KNOWLEDGE}.newest"
"""Where JSON says of the newest pack its `number`, its `sha256` and how many `parts` it has."""
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


def knowledge_part(number: int, part: int) -> str:
    """Where a part of a knowledge pack lies; parts count from 0."""
    return f"{KNOWLEDGE}.{number}.{part}"

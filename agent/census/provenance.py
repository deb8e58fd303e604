"""Says which knowledge, registry and policies stand behind a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fingerprints.judge import Judge
from fingerprints.policy import Policy

__all__ = ["provenance"]


def provenance(judge: Judge, policies: Sequence[Policy]) -> dict[str, Any]:
    """Which knowledge, registry and policies stand behind a report, for its `run` section."""
    registry = judge.registry
    return {
        "knowledge": judge.knowledge.version,
        "oui": None if registry is None else {"source": registry.source, "date": registry.date},
        "policies": [
            {
                "id": policy.id,
                "title": policy.title,
                "in_force_from": policy.in_force_from.isoformat(),
                "source": policy.source,
                "note": policy.note,
            }
            for policy in policies
        ],
    }

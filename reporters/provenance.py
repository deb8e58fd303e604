"""Says in words what a report rests on: its rules, its registry, its policies."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["oui_date", "policy_dates", "rules_version"]

Run = Mapping[str, object]
"""The `run` section of a report, which may have come out of anybody's file."""


def rules_version(run: Run) -> str:
    """The version of the knowledge that judged."""
    return str(run.get("knowledge") or "unknown")


def oui_date(run: Run) -> str:
    """The date of the registry of MAC blocks, as far as it is known."""
    registry = run.get("oui")
    return str(registry.get("date", "unknown")) if isinstance(registry, Mapping) else "none"


def policy_dates(run: Run) -> str:
    """Every policy that was applied, with the day from which it is in force."""
    policies = run.get("policies")
    if not isinstance(policies, list | tuple):
        return "none"
    rows = [row for row in policies if isinstance(row, Mapping)]
    return ", ".join(f"{row.get('id')} (in force from {row.get('in_force_from')})" for row in rows) or "none"

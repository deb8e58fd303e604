"""Writes down each change: who, what, before, after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inventory.models import AuditEntry, Organisation

__all__ = ["entry", "record"]


def entry(
    who: str,
    action: str,
    what: str,
    *,
    organisation: Organisation | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """An entry that is yet to be saved, for those who save many at once; values are JSON-shaped."""
    return AuditEntry(
        who=who[:200],
        action=action,
        what=what[:200],
        organisation=organisation,
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
    )


def record(
    who: str,
    action: str,
    what: str,
    *,
    organisation: Organisation | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Add an entry, in the transaction of the change itself."""
    made = entry(who, action, what, organisation=organisation, before=before, after=after)
    made.save()
    return made

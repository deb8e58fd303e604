"""Turns a Verdict into a Finding by the dated lists and criteria of ``policies/*.toml``.

A policy either names makers, or states a criterion (such as a jurisdiction) that somebody has
to read for each maker. Only an `[[entry]]` decides: it is a maker for whom that reading has
been made and sourced. A maker that a criterion may reach without an entry stays clear and
carries a note, because a flag costs a working camera.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from fingerprints.model import DEVICE_CLASSES, Finding, PolicyMatch, Status, Verdict
from fingerprints.rules import Knowledge, RuleError

__all__ = ["DEFAULT_POLICIES", "Entry", "Policy", "apply_policies", "load_policies", "load_policy"]

DEFAULT_POLICIES: Final = ("uk-2022-sensitive-sites",)

_KEYS: Final = {"id", "title", "jurisdiction", "kind", "in_force_from", "source"}
_MORE: Final = {"note", "criterion", "device_classes", "site_classes", "entry", "in_force_to", "reviewed"}
_ENTRY: Final = {"manufacturer", "basis", "source"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One maker that a policy reaches, with the basis in words, its source and its dates."""

    manufacturer: str
    basis: str
    source: str
    since: date | None = None
    until: date | None = None
    device_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A dated list or criterion; `reviewed` is the day its entries were last read against the sources."""

    id: str
    title: str
    jurisdiction: str
    kind: str
    in_force_from: date
    source: str
    entries: tuple[Entry, ...]
    criterion: str | None = None
    device_classes: tuple[str, ...] = ()
    site_classes: tuple[str, ...] = ()
    note: str = ""
    in_force_to: date | None = None

    def entry_for(self, manufacturer: str, device_class: str, on: date) -> Entry | None:
        """The entry that reaches such a device on that day, if one does."""
        if self.in_force_from > on or (self.in_force_to is not None and self.in_force_to < on):
            return None
        for entry in self.entries:
            classes = entry.device_classes or self.device_classes
            if (
                entry.manufacturer == manufacturer
                and (not classes or device_class in classes)
                and (entry.since is None or entry.since <= on)
                and (entry.until is None or on <= entry.until)
            ):
                return entry
        return None


def load_policies(
    knowledge: Knowledge, names: Iterable[str] = DEFAULT_POLICIES, own: Path | None = None
) -> tuple[Policy, ...]:
    """The policies of these ids, or of these files; raises `RuleError` naming what is wrong.

    `own` is a folder of the user's policies, looked into first: a ``watch-list.toml`` there is
    the policy ``watch-list``.
    """
    folders = [folder for folder in (own, knowledge.folder / "policies") if folder is not None]
    policies = []
    for name in dict.fromkeys(names):
        is_file = name.endswith(".toml") or "/" in name
        paths = [Path(name)] if is_file else [folder / f"{name}.toml" for folder in folders]
        # os.path: a folder that cannot be looked into (another user's home) holds no policy for us.
        path = next((path for path in paths if os.path.isfile(path)), None)  # noqa: PTH113
        if path is None:
            known = sorted({file.stem for folder in folders for file in _listed(folder)})
            hint = f"; write {folders[0] / name}.toml to have one" if own is not None and not is_file else ""
            raise RuleError(
                paths[-1].name,
                0,
                "",
                f"there is no policy {name!r}; known: {', '.join(known)}, or a file{hint}",
            )
        policies.append(load_policy(path, knowledge))
    return tuple(policies)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.glob("*.toml"))
    except OSError:
        return []


def load_policy(path: Path, knowledge: Knowledge) -> Policy:
    """Read one policy file; raises `RuleError`."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RuleError(path, 0, "", str(error)) from None
    _check(path, "policy", document, _KEYS, _MORE)
    criterion = document.get("criterion")
    classes = tuple(document.get("device_classes", ()))
    for name in classes:
        if name not in DEVICE_CLASSES:
            raise RuleError(path, 0, document["id"], f"unknown device class {name!r}")
    return Policy(
        document["id"],
        document["title"],
        document["jurisdiction"],
        document["kind"],
        document["in_force_from"],
        document["source"],
        tuple(_entry(path, row, knowledge) for row in document.get("entry", ())),
        criterion.get("jurisdiction") if isinstance(criterion, dict) else None,
        classes,
        tuple(document.get("site_classes", ())),
        document.get("note", ""),
        document.get("in_force_to"),
    )


def _check(path: Path, name: str, row: Mapping[str, Any], needed: set[str], more: set[str]) -> None:
    if needed - set(row):
        raise RuleError(path, 0, name, f"lacks {', '.join(sorted(needed - set(row)))}")
    if set(row) - needed - more:
        raise RuleError(path, 0, name, f"unknown key {', '.join(sorted(set(row) - needed - more))}")
    for key in ("in_force_from", "in_force_to", "from", "to", "reviewed"):
        if key in row and not isinstance(row[key], date):
            raise RuleError(path, 0, name, f"`{key}` is not a date")


def _entry(path: Path, row: Mapping[str, Any], knowledge: Knowledge) -> Entry:
    title = str(row.get("manufacturer", "entry"))
    _check(path, title, row, _ENTRY, {"from", "to", "note", "device_classes"})
    if row["manufacturer"] not in knowledge.manufacturers:
        raise RuleError(path, 0, title, "names a manufacturer that no file introduces")
    return Entry(
        row["manufacturer"],
        row["basis"],
        row["source"],
        row.get("from"),
        row.get("to"),
        tuple(row.get("device_classes", ())),
    )


def apply_policies(
    verdict: Verdict, policies: Sequence[Policy], knowledge: Knowledge, on: date | None = None
) -> Finding:
    """What `policies` say of `verdict` on the day `on` (the last day each is in force, when None)."""
    maker = verdict.manufacturer
    if maker is None:
        known = verdict.device_class in {"not-surveillance", "software"}
        status: Status = "clear" if known else "unidentified"
        return Finding(status)
    matches, notes = [], []
    for policy in policies:
        entry = policy.entry_for(maker, verdict.device_class, on or policy.in_force_to or date.max)
        if entry is not None:
            since = entry.since or policy.in_force_from
            matches.append(PolicyMatch(policy.id, entry.manufacturer, entry.basis, since.isoformat()))
        elif (
            policy.criterion is not None
            and knowledge.manufacturers[maker].jurisdiction == policy.criterion
            and verdict.device_class in policy.device_classes
            and all(row.manufacturer != maker for row in policy.entries)
        ):
            notes.append(
                f"the criterion of {policy.id} (jurisdiction {policy.criterion}) may reach {maker}: "
                "nobody has reviewed it here"
            )
    if not matches:
        return Finding("clear", (), tuple(notes))
    status = "flagged" if verdict.level in {"confirmed", "probable"} else "suspected"
    return Finding(status, tuple(matches), tuple(notes))

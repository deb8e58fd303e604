"""Keeps the verdicts of a scan as it goes: who is known well enough, how many are flagged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from agent.census import Tally
from fingerprints.model import Verdict
from fingerprints.policy import Policy, apply_policies
from fingerprints.rules import Knowledge

__all__ = ["Watch", "is_complete"]


def is_complete(verdict: Verdict) -> bool:
    """Whether there is nothing left that a further question could tell: maker proven, details stated."""
    told = (verdict.brand, verdict.model, verdict.serial, verdict.firmware)
    return verdict.level == "confirmed" and all(told) and not verdict.conflicts


class Watch:
    """Looks into a census while it is being taken. `thorough` is never content."""

    def __init__(
        self, tally: Tally, policies: Sequence[Policy], knowledge: Knowledge, *, thorough: bool
    ) -> None:
        self._tally = tally
        self._policies = tuple(policies)
        self._knowledge = knowledge
        self._thorough = thorough
        self._levels: dict[str, str] = {}
        self._findings: dict[str, str] = {}
        self._macs: dict[str, str] = {}

    def settled(self, ip: str, mac: str | None) -> bool:
        """Whether enough is known of the host at this address; its MAC is remembered once told."""
        if mac is not None:
            self._macs[ip] = mac
        verdict = self._tally.verdict_of(ip.partition("%")[0], self._macs.get(ip))
        self._levels[ip] = verdict.level
        self._findings[ip] = apply_policies(verdict, self._policies, self._knowledge).status
        return not self._thorough and is_complete(verdict)

    @property
    def counts(self) -> dict[str, int]:
        """How many hosts are identified and how many flagged or suspected, by what is known now."""
        findings = Counter(self._findings.values())
        return {
            "identified": sum(level != "unknown" for level in self._levels.values()),
            "flagged": findings["flagged"],
            "suspected": findings["suspected"],
        }

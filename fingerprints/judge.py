"""Fuses the evidence about one device into a Verdict with a calibrated confidence.

Each maker's score is the sum, over evidence families, of the strongest log-likelihood ratio
that any rule of the family gives it: two rules of one family never count twice. Makers
compete with each other and with "some other maker", whose score is zero; `PRIOR` is the
log-odds of a maker before anything was said. A badge is kept apart from the maker: a brand
claim counts for a maker only through a sourced brand edge, at most by what that edge is worth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import unquote

from fingerprints.matcher import Matchers
from fingerprints.model import Conflict, DeviceClass, Evidence, Fact, Level, Verdict
from fingerprints.oui import Registry, is_locally_administered, normalise_mac
from fingerprints.rules import Knowledge, ModelFamily

__all__ = ["CONFIRMED", "POSSIBLE", "PRIOR", "PROBABLE", "Judge", "Score"]

PRIOR: Final = -2.0
"""Log-odds, in nats, that a host about which nothing was said is one given maker's device."""

CONFIRMED: Final = 0.99
PROBABLE: Final = 0.90
POSSIBLE: Final = 0.50

EDGE_WEIGHTS: Final[Mapping[tuple[str, str], float]] = {
    ("own", "high"): 8.0,
    ("own", "medium"): 5.0,
    ("subsidiary", "high"): 8.0,
    ("subsidiary", "medium"): 5.0,
    ("oem", "high"): 5.0,
    ("oem", "medium"): 4.3,
    ("former-oem", "high"): 1.5,
    ("former-oem", "medium"): 1.0,
}
"""Most, in nats, that a badge says for the maker behind it."""

CONFLICT_WEIGHT: Final = 2.0
"""A second maker whose evidence weighs at least this much is shown as a conflict."""

_CERTAIN: Final = 0.9999
_CAPTURED_BY_FAMILY: Final = ("details", "sadp", "dhip", "onvif", "upnp", "http", "discovery", "snmp", "lldp")
"""Where a model, firmware or serial is believed first when several are stated."""


_OTHER: Final = "not-surveillance"
_CALLS: Final = "dns"
"""The family of the names that a host asks for."""
_WHOSE: Final = frozenset({"manufacturer", "brand"})

_Tidy = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Score:
    """One maker's standing: total log-likelihood ratio, its families and whether a protocol proved it."""

    maker: str
    total: float
    families: Mapping[str, float]
    proof: bool
    rules: tuple[str, ...]

    @property
    def independent(self) -> int:
        """How many families speak for the maker with more than a whisper."""
        return sum(weight >= 1.0 for weight in self.families.values())


class Judge:
    """Judges devices against one `Knowledge` and one OUI registry; holds no state between devices."""

    def __init__(self, matchers: Matchers, registry: Registry | None = None) -> None:
        self.matchers = matchers
        self.knowledge: Knowledge = matchers.knowledge
        self.registry = registry
        self.sharpness = matchers.knowledge.sharpness

    def judge(self, facts: Iterable[Fact]) -> Verdict:
        """The verdict on one device of which `facts` were said, in any order."""
        said = tuple(dict.fromkeys(facts))
        notes: list[str] = []
        macs = [mac for fact in said if fact.field == "mac" and (mac := normalise_mac(fact.text))]
        evidence = _without_apps(self._recognise(said, macs, notes), notes)
        scores = self.scores(evidence)
        maker, confidence, level = self._decide(scores)
        mine = [item for item in evidence if self._agrees(item, maker)]
        brand = self._brand(mine, maker)
        model = _pick(mine, "model", self._tidy_model)
        family = self._model_family(maker, model)
        channels = _pick(mine, "channels", _tidy_count)
        whole = [mac for mac in macs if len(mac) == 17]
        claimed = _pick(mine, "mac", normalise_mac)
        return Verdict(
            manufacturer=maker,
            brand=brand,
            device_class=family.device_class if family is not None else self._device_class(mine),
            model=model,
            firmware=_pick(mine, "firmware", _tidy),
            serial=_pick(mine, "serial", _tidy),
            mac=whole[0] if whole else claimed,
            # However strong the evidence: nobody is certain.
            confidence=min(round(confidence, 4), _CERTAIN),
            level=level,
            evidence=tuple(sorted(evidence, key=lambda item: (-item.weight, item.rule))),
            conflicts=tuple(self._conflicts(evidence, scores, maker, brand, whole)),
            notes=tuple(notes),
            line=family.line or None if family is not None else None,
            channels=int(channels) if channels is not None else None,
        )

    def _recognise(self, said: tuple[Fact, ...], macs: list[str], notes: list[str]) -> tuple[Evidence, ...]:
        found: dict[tuple[str, str], Evidence] = {}
        for fact in (*said, *self._registered(macs, notes)):
            for item in self.matchers.match(fact):
                found.setdefault((item.rule, item.text), item)
        if not macs:
            claimed = [mac for item in found.values() if (mac := normalise_mac(item.claims.get("mac", "")))]
            for fact in self._registered(claimed, notes):
                for item in self.matchers.match(fact):
                    found.setdefault((item.rule, item.text), item)
        return tuple(found.values())

    def _registered(self, macs: Iterable[str], notes: list[str]) -> Iterable[Fact]:
        """The registered owner of each MAC block; a made-up MAC has none, which is said."""
        for mac in dict.fromkeys(macs):
            if is_locally_administered(mac):
                notes.append(f"{mac} is locally administered: it says nothing of the maker")
            elif self.registry is not None:
                owner = self.registry.organisation(mac)
                if owner is not None:
                    yield Fact("oui.organisation", owner)

    def scores(self, evidence: Iterable[Evidence]) -> list[Score]:
        """Each maker's score, best first."""
        weights: dict[str, dict[str, float]] = {}
        proofs: set[str] = set()
        rules: dict[str, list[str]] = {}
        for item in evidence:
            for maker, weight in self._votes(item).items():
                families = weights.setdefault(maker, {})
                families[item.family] = max(families.get(item.family, 0.0), weight)
                rules.setdefault(maker, []).append(item.rule)
                if item.proof and item.claims.get("manufacturer") == maker:
                    proofs.add(maker)
        scores = [
            Score(maker, sum(families.values()), families, maker in proofs, tuple(rules[maker]))
            for maker, families in weights.items()
        ]
        return sorted(scores, key=lambda score: (-score.total, score.maker))

    def _votes(self, item: Evidence) -> dict[str, float]:
        """The makers a piece of evidence speaks for: the one it claims, or those behind its badge."""
        maker = item.claims.get("manufacturer")
        if maker is not None:
            return {maker: item.weight}
        badge = item.claims.get("brand")
        if badge is None:
            return {}
        return {
            edge.manufacturer: min(item.weight, EDGE_WEIGHTS[edge.kind, edge.confidence])
            for edge in self.knowledge.brands_named(badge)
            if not edge.mixed
        }

    def _decide(self, scores: list[Score]) -> tuple[str | None, float, Level]:
        if not scores:
            return None, 0.0, "unknown"
        best = scores[0]
        odds = [self.sharpness * (score.total + PRIOR) for score in scores]
        top = max(0.0, *odds)
        whole = math.exp(-top) + sum(math.exp(value - top) for value in odds)
        confidence = math.exp(odds[0] - top) / whole
        if confidence < POSSIBLE:
            return None, confidence, "unknown"
        if confidence >= CONFIRMED and (best.proof or best.independent >= 2):
            return best.maker, confidence, "confirmed"
        return best.maker, confidence, "probable" if confidence >= PROBABLE else "possible"

    def _agrees(self, item: Evidence, maker: str | None) -> bool:
        """Whether evidence may describe a device of `maker`: what claims another maker may not."""
        claimed = item.claims.get("manufacturer")
        return claimed is None or maker is None or claimed == maker

    def _brand(self, evidence: list[Evidence], maker: str | None) -> str | None:
        """The badge most families state, one that we know before any other; else the maker's own name."""
        votes: dict[str, dict[str, float]] = {}
        for item in evidence:
            badge = item.claims.get("brand")
            if badge is not None:
                families = votes.setdefault(badge, {})
                families[item.family] = max(families.get(item.family, 0.0), item.weight)
        totals = {badge: sum(families.values()) for badge, families in votes.items()}
        foreign = {badge: total for badge, total in totals.items() if badge != maker}
        if foreign:
            return max(foreign, key=lambda badge: (self._knows(badge), foreign[badge], badge))
        return maker if maker is not None else next(iter(totals), None)

    def _knows(self, badge: str) -> bool:
        return bool(self.knowledge.brands_named(badge)) or self.knowledge.maker_named(badge) is not None

    def _model_family(self, maker: str | None, model: str | None) -> ModelFamily | None:
        """The line of models that this one belongs to, by how its name is built."""
        if maker is None or model is None:
            return None
        families = self.knowledge.manufacturers[maker].models
        return next((family for family in families if family.holds(model)), None)

    @staticmethod
    def _device_class(evidence: list[Evidence]) -> DeviceClass:
        """What most families claim."""
        votes: dict[str, dict[str, float]] = {}
        for item in evidence:
            claimed = item.claims.get("device_class")
            if claimed is not None:
                families = votes.setdefault(claimed, {})
                families[item.family] = max(families.get(item.family, 0.0), item.weight)
        if not votes:
            return "unknown"
        best = max(votes, key=lambda name: (sum(votes[name].values()), name))
        return cast("DeviceClass", best)

    @staticmethod
    def _tidy_model(text: str) -> str | None:
        tidy = _tidy(unquote(text))
        return tidy if tidy and len(tidy) <= 80 else None

    def _conflicts(
        self,
        evidence: tuple[Evidence, ...],
        scores: list[Score],
        maker: str | None,
        brand: str | None,
        macs: list[str],
    ) -> Iterable[Conflict]:
        for score in scores:
            if maker is not None and score.maker != maker and score.total >= CONFLICT_WEIGHT:
                yield Conflict("manufacturer", maker, score.maker, score.rules)
        if maker is None:
            loud = [score for score in scores if score.total >= CONFLICT_WEIGHT]
            for score in loud[1:]:
                yield Conflict("manufacturer", loud[0].maker, score.maker, (*loud[0].rules, *score.rules))
        badges: dict[str, list[str]] = {}
        for item in evidence:
            badge = item.claims.get("brand")
            if badge is not None and brand is not None and badge not in {brand, maker}:
                badges.setdefault(badge, []).append(item.rule)
        for badge, rules in badges.items():
            yield Conflict("brand", brand or "", badge, tuple(rules))
        if macs:
            stated: dict[str, list[str]] = {}
            for item in evidence:
                mac = normalise_mac(item.claims.get("mac", ""))
                if mac is not None and len(mac) == 17 and mac not in macs:
                    stated.setdefault(mac, []).append(item.rule)
            for mac, rules in stated.items():
                yield Conflict("mac", macs[0], mac, tuple(rules))


def _without_apps(evidence: tuple[Evidence, ...], notes: list[str]) -> tuple[Evidence, ...]:
    """The evidence without clouds' names where the host is a phone or computer: its apps call them."""
    if not any(item.claims.get("device_class") == _OTHER for item in evidence):
        return evidence
    called = {item.rule: item for item in evidence if item.family == _CALLS and item.claims.keys() & _WHOSE}
    clouds = {item.claims.get("manufacturer") or item.claims["brand"] for item in called.values()}
    notes += [
        f"it calls {name}'s cloud, as an app does: that does not tell who made this device"
        for name in sorted(clouds)
    ]
    return tuple(item for item in evidence if item.rule not in called)


def _tidy(text: str) -> str | None:
    return re.sub(r"\s+", " ", text).strip() or None


def _tidy_count(text: str) -> str | None:
    return str(int(text)) if text.isascii() and text.isdecimal() and len(text) < 5 and int(text) else None


def _pick(evidence: Iterable[Evidence], claim: str, tidy: _Tidy) -> str | None:
    """The value stated by the most trusted families together; the longest where they tie."""
    votes: dict[str, dict[str, float]] = {}
    for item in evidence:
        value = tidy(item.claims[claim]) if claim in item.claims else None
        if value is None:
            continue
        rank = _CAPTURED_BY_FAMILY.index(item.family) if item.family in _CAPTURED_BY_FAMILY else 20
        families = votes.setdefault(value, {})
        families[item.family] = max(families.get(item.family, 0.0), item.weight + (20 - rank) / 100)
    if not votes:
        return None
    return max(votes, key=lambda value: (sum(votes[value].values()), len(value), value))

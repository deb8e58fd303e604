"""Recognises Facts as Evidence by trying every rule of a Fact's field on its text.

Texts are matched as they were said, cut at `MATCH_LENGTH` characters because Python's
regular expressions are not linear-time in general; rules are linted to be (`lint.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from fingerprints.model import Evidence, Fact
from fingerprints.rules import Knowledge, Rule

__all__ = ["MATCH_LENGTH", "Matchers", "captures"]

MATCH_LENGTH: Final = 8192
_CACHE: Final = 16_384
_SHOWN: Final = 300
_GENERIC: Final = frozenset({"", "-", "none", "null", "unknown", "n/a", "na", "0", "default"})

_Test = Callable[[str], Mapping[str, str] | None]


def captures(rule: Rule) -> _Test:
    """A function from a text to the captures of `rule` in it, or None where it does not match."""
    if rule.matcher == "regex":
        patterns = [re.compile(text) for text in rule.patterns]
        return lambda text: _search(patterns, text)
    wanted = rule.patterns if rule.case else tuple(text.casefold() for text in rule.patterns)
    if rule.field == "mac":
        wanted = tuple(text.lower().replace("-", ":") for text in rule.patterns)
    fold = (lambda text: text) if rule.case else str.casefold
    if rule.matcher in {"exact", "number"}:
        return lambda text: {} if fold(text).strip() in wanted else None
    if rule.matcher == "prefix":
        return lambda text: {} if fold(text).startswith(wanted) else None
    return lambda text: {} if any(part in fold(text) for part in wanted) else None


def _search(patterns: Iterable[re.Pattern[str]], text: str) -> Mapping[str, str] | None:
    for pattern in patterns:
        found = pattern.search(text)
        if found:
            return {name: value for name, value in found.groupdict().items() if value}
    return None


class Matchers:
    """All rules of a `Knowledge`, grouped by field and ready to try; safe to share."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self._by_field: dict[str, list[tuple[Rule, _Test]]] = {}
        for rule in knowledge.rules:
            self._by_field.setdefault(rule.field, []).append((rule, captures(rule)))
        self._remember()

    def reweighted(self, weights: Mapping[str, float]) -> Matchers:
        """The same rules with other weights by rule id, the compiled tests shared."""
        other = object.__new__(Matchers)
        other.knowledge = self.knowledge
        other._by_field = {
            field: [(replace(rule, weight=weights.get(rule.id, rule.weight)), test) for rule, test in rules]
            for field, rules in self._by_field.items()
        }
        other._remember()
        return other

    def _remember(self) -> None:
        self._match = lru_cache(maxsize=_CACHE)(self._match_text)

    def match(self, fact: Fact) -> tuple[Evidence, ...]:
        """Every rule of the Fact's field that recognises it, in file order."""
        if fact.field not in self._by_field:
            return ()
        return self._match(fact.field, fact.text[:MATCH_LENGTH])

    def _match_text(self, field: str, text: str) -> tuple[Evidence, ...]:
        found = []
        for rule, test in self._by_field[field]:
            captured = test(text)
            if captured is None:
                continue
            claims = self._claims(rule, captured)
            if not claims:
                continue
            found.append(
                Evidence(
                    rule=rule.id,
                    family=rule.family,
                    field=field,
                    text=text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…",
                    claims=MappingProxyType(claims),
                    weight=rule.weight,
                    proof=rule.proof,
                    status=rule.status,
                )
            )
        return tuple(found)

    def _claims(self, rule: Rule, captured: Mapping[str, str]) -> dict[str, str]:
        """Fixed claims with the captures; a captured name counts only where it is one we know."""
        claims = dict(rule.claims)
        for name, raw in captured.items():
            text = " ".join(raw.split())
            if text.casefold() in _GENERIC:
                continue
            if name == "maker":
                claims |= self._named(text)
            elif name == "manufacturer":
                maker = self.knowledge.maker_named(text)
                if maker is not None:
                    claims[name] = maker
            elif name == "brand":
                claims |= {key: value for key, value in self._named(text).items() if key == "brand"}
            else:
                claims[name] = text
        return claims

    def _named(self, text: str) -> dict[str, str]:
        """What a stated name claims: its maker, its badge, or nothing where nobody knows it."""
        claims: dict[str, str] = {}
        maker = self.knowledge.maker_named(text)
        edges = self.knowledge.brands_named(text)
        if maker is not None and not any(edge.mixed and edge.manufacturer != maker for edge in edges):
            claims["manufacturer"] = maker
        if edges:
            claims["brand"] = edges[0].name
        elif maker is not None:
            claims["brand"] = maker
        return claims

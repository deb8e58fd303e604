"""Recognises Facts as Evidence by trying the rules of a Fact's field on its text.

All rules of a field are looked for in one pass: each has a literal that its text must hold,
an Aho-Corasick automaton finds which literals occur, and only those rules are tried in full.
Where the automaton's wheel is missing each literal is looked for by itself, with the same
answers. Verdicts on equal texts are remembered: a network repeats itself.

Texts are matched as they were said, cut at `MATCH_LENGTH` characters because Python's
regular expressions are not linear-time in general; rules are linted to be (`lint.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal

from fingerprints.model import Evidence, Fact
from fingerprints.rules import Knowledge, Rule

__all__ = [
    "MATCH_LENGTH",
    "Matchers",
    "Search",
    "automaton_available",
    "captures",
    "literals_of",
    "required_literals",
]

MATCH_LENGTH: Final = 8192
_CACHE: Final = 16_384
_SHOWN: Final = 300
_GENERIC: Final = frozenset({"", "-", "none", "null", "unknown", "n/a", "na", "0", "default"})
_SHORTEST: Final = 2
_MOST_WAYS: Final = 64

Test = Callable[[str], Mapping[str, str] | None]
Finder = Callable[[str], Iterable[int]]
Search = Literal["automaton", "literals", "every"]
"""How candidates are found: an automaton over all literals, each literal by itself, or not at all."""


def fold(text: str) -> str:
    """`text` so that whatever matches it in any case holds the folded literal, too."""
    return text.casefold().replace("\u0131", "i")


def captures(rule: Rule) -> Test:
    """A function from a text to the captures of `rule` in it, or None where it does not match."""
    if rule.matcher == "regex":
        patterns = [re.compile(text) for text in rule.patterns]
        return lambda text: _search(patterns, text)
    wanted = rule.patterns if rule.case else tuple(text.casefold() for text in rule.patterns)
    if rule.field == "mac":
        wanted = tuple(text.lower().replace("-", ":") for text in rule.patterns)
    cased: Callable[[str], str] = (lambda text: text) if rule.case else str.casefold
    if rule.matcher in {"exact", "number"}:
        return lambda text: {} if cased(text).strip() in wanted else None
    if rule.matcher == "prefix":
        return lambda text: {} if cased(text).startswith(wanted) else None
    return lambda text: {} if any(part in cased(text) for part in wanted) else None


def _search(patterns: Iterable[re.Pattern[str]], text: str) -> Mapping[str, str] | None:
    for pattern in patterns:
        found = pattern.search(text)
        if found:
            return {name: value for name, value in found.groupdict().items() if value}
    return None


def required_literals(pattern: str) -> frozenset[str]:
    """Folded texts of which every match of the regex `pattern` holds at least one; empty: none is certain."""
    from re import _parser as parser  # type: ignore[attr-defined]  # noqa: PLC0415 - only for rules in use

    return _required(parser.parse(pattern))


def _required(items: Iterable[Any]) -> frozenset[str]:
    """The best of what a sequence needs: the alternatives whose shortest is longest, then the fewest."""
    from re import _constants as sre  # type: ignore[attr-defined]  # noqa: PLC0415 - only for rules in use

    needs: list[frozenset[str]] = []
    run = ""
    for operator, argument in items:
        if operator is sre.LITERAL:
            run += fold(chr(argument))
            continue
        if operator is sre.AT:
            continue
        needs.append(frozenset({run}))
        run = ""
        if operator is sre.SUBPATTERN:
            needs.append(_required(argument[3]))
        elif operator in {sre.MAX_REPEAT, sre.MIN_REPEAT} and argument[0] >= 1:
            needs.append(_required(argument[2]))
        elif operator is sre.BRANCH:
            ways = [_required(branch) for branch in argument[1]]
            needs.append(frozenset().union(*ways) if all(ways) else frozenset())
    needs.append(frozenset({run}))
    useful = [need for need in needs if need and min(map(len, need)) >= _SHORTEST and len(need) <= _MOST_WAYS]
    return max(useful, key=lambda need: (min(map(len, need)), -len(need)), default=frozenset())


def literals_of(rule: Rule) -> tuple[str, ...]:
    """Folded literals of which one must be in any text that `rule` matches; empty: try it always."""
    if rule.field == "mac" or rule.matcher == "number":
        return ()
    if rule.matcher == "regex":
        ways = [required_literals(pattern) for pattern in rule.patterns]
        return tuple(sorted(frozenset().union(*ways))) if all(ways) else ()
    found = tuple(fold(text).strip() for text in rule.patterns)
    return found if all(len(text) >= _SHORTEST for text in found) else ()


def automaton_available() -> bool:
    """Whether the Aho-Corasick wheel is installed."""
    try:
        import ahocorasick_rs  # noqa: F401, PLC0415 - an accelerator, not a need
    except ImportError:
        return False
    return True


def _finder(literals: list[str], search: Search) -> Finder:
    """A function from a folded text to the indexes of the literals in it."""
    if search == "automaton" and literals:
        import ahocorasick_rs  # noqa: PLC0415 - an accelerator, not a need

        machine = ahocorasick_rs.AhoCorasick(literals)
        return lambda text: {found[0] for found in machine.find_matches_as_indexes(text, overlapping=True)}
    return lambda text: [at for at, literal in enumerate(literals) if literal in text]


class _FieldRules:
    """The rules of one field, made ready when the field is first met."""

    __slots__ = ("_always", "_finder", "_owners", "_tests", "rules")

    def __init__(self, rules: list[Rule], search: Search, known: Mapping[str, tuple[str, ...]]) -> None:
        self.rules = rules
        self._tests: list[Test | None] = [None] * len(rules)
        self._always: list[int] = []
        literals: dict[str, list[int]] = {}
        for at, rule in enumerate(rules):
            needed = () if search == "every" else known.get(rule.id)
            if needed is None:
                needed = literals_of(rule)
            if not needed:
                self._always.append(at)
            for literal in needed:
                literals.setdefault(literal, []).append(at)
        self._owners = list(literals.values())
        self._finder = _finder(list(literals), search)

    def matches(self, text: str) -> Iterable[tuple[Rule, Mapping[str, str]]]:
        """Every rule that matches with its captures, in file order."""
        candidates = set(self._always)
        for found in self._finder(fold(text)):
            candidates.update(self._owners[found])
        for at in sorted(candidates):
            test = self._tests[at]
            if test is None:
                test = self._tests[at] = captures(self.rules[at])
            captured = test(text)
            if captured is not None:
                yield self.rules[at], captured


class Matchers:
    """All rules of a `Knowledge`, grouped by field and ready to try; safe to share.

    `search` chooses how candidates are found, with the same answers whichever it is; None
    takes the automaton where its wheel is installed. `literals` is what `literals_of` gives for
    each rule id, as far as somebody has worked it out before.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        search: Search | None = None,
        literals: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.knowledge = knowledge
        self._literals: Mapping[str, tuple[str, ...]] = literals or {}
        self._search: Search = search or ("automaton" if automaton_available() else "literals")
        self._weights: Mapping[str, float] = {}
        self._by_field: dict[str, list[Rule]] = {}
        for rule in knowledge.rules:
            self._by_field.setdefault(rule.field, []).append(rule)
        self._ready: dict[str, _FieldRules] = {}
        self._match = lru_cache(maxsize=_CACHE)(self._match_text)

    def reweighted(self, weights: Mapping[str, float]) -> Matchers:
        """The same rules with other weights by rule id; what is compiled is shared."""
        other = Matchers(self.knowledge, self._search, self._literals)
        other._weights = weights
        other._ready = self._ready
        return other

    def match(self, fact: Fact) -> tuple[Evidence, ...]:
        """Every rule of the Fact's field that recognises it, in file order."""
        return self._match(fact.field, fact.text[:MATCH_LENGTH])

    def match_uncached(self, fact: Fact) -> tuple[Evidence, ...]:
        """As `match`, without remembering equal texts."""
        return self._match_text(fact.field, fact.text[:MATCH_LENGTH])

    def _match_text(self, field: str, text: str) -> tuple[Evidence, ...]:
        ready = self._ready.get(field)
        if ready is None and field not in self._by_field:
            return ()
        if ready is None:
            ready = self._ready[field] = _FieldRules(self._by_field[field], self._search, self._literals)
        shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
        found = []
        for rule, captured in ready.matches(text):
            claims = self._claims(rule, captured)
            if claims:
                evidence = Evidence(
                    rule=rule.id,
                    family=rule.family,
                    field=field,
                    text=shown,
                    claims=MappingProxyType(claims),
                    weight=rule.weight,
                    proof=rule.proof,
                    status=rule.status,
                )
                weight = self._weights.get(rule.id)
                found.append(evidence if weight is None else replace(evidence, weight=weight))
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

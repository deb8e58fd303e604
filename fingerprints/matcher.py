"""Recognises Facts as Evidence by trying the rules of a Fact's field on its text.

All rules of a field are looked for in one pass: each has a literal that its text must hold,
an Aho-Corasick automaton finds which literals occur, and only those rules are tried in full.
Where the automaton's wheel is missing each literal is looked for by itself, with the same
answers. Verdicts on equal texts are remembered: a network repeats itself.

Texts are matched as they were said, cut at `MATCH_LENGTH` characters because Python's
regular expressions are not linear-time in general; rules are linted to be (`lint.py`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from fingerprints.model import Evidence, Fact
from fingerprints.rules import Knowledge, Rule

__all__ = [
    "MATCH_LENGTH",
    "Matchers",
    "Search",
    "automaton_available",
    "by_field",
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
_TELLING: Final = 3
"""Letters from which on a literal is rather there by intent than by chance."""

_SOON: Final = 32
"""Texts of a field from which on an automaton is worth building; in a short run most fields have a few."""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

Test = Callable[[str], Mapping[str, str] | None]
Finder = Callable[[str], set[int]]
Search = Literal["automaton", "literals", "every"]
"""How candidates are found: an automaton over all literals, each literal by itself, or not at all."""


def fold(text: str) -> str:
    """`text` so that whatever matches it in any case holds the folded literal, too."""
    return text.lower() if text.isascii() else text.casefold().replace("\u0131", "i")


def captures(rule: Rule) -> Test:
    """A function from a text to the captures of `rule` in it, or None where it does not match."""
    if rule.matcher == "regex":
        return _search([re.compile(text) for text in rule.patterns])
    wanted = rule.patterns if rule.case else tuple(text.casefold() for text in rule.patterns)
    if rule.field == "mac":
        wanted = _macs(rule)
    cased: Callable[[str], str] = (lambda text: text) if rule.case else str.casefold
    if rule.matcher in {"exact", "number"}:
        return lambda text: _NOTHING if cased(text).strip() in wanted else None
    if rule.matcher == "prefix":
        return lambda text: _NOTHING if cased(text).startswith(wanted) else None
    return lambda text: _NOTHING if any(part in cased(text) for part in wanted) else None


def _search(patterns: list[re.Pattern[str]]) -> Test:
    if len(patterns) == 1 and not patterns[0].groupindex:
        # Most rules are of this kind, and most tries fail.
        only = patterns[0].search
        return lambda text: None if only(text) is None else _NOTHING
    searches = [pattern.search for pattern in patterns]

    def test(text: str) -> Mapping[str, str] | None:
        for search in searches:
            found = search(text)
            if found is not None:
                return {name: value for name, value in found.groupdict().items() if value}
        return None

    return test


def required_literals(pattern: str) -> list[frozenset[str]]:
    """Sets of folded texts: every match of the regex `pattern` holds at least one text of each set."""
    from re import _parser as parser  # type: ignore[attr-defined]  # noqa: PLC0415 - only for rules in use

    return _required(parser.parse(pattern))


def _required(items: Iterable[Any]) -> list[frozenset[str]]:
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
            needs += _required(argument[3])
        elif operator in {sre.MAX_REPEAT, sre.MIN_REPEAT} and argument[0] >= 1:
            needs += _required(argument[2])
        elif operator is sre.BRANCH:
            # Of each way the set whose shortest text is longest, then the smallest.
            ways = [
                max(_required(way), key=lambda need: (min(map(len, need)), -len(need)), default=frozenset())
                for way in argument[1]
            ]
            needs.append(frozenset().union(*ways) if all(ways) else frozenset())
    needs.append(frozenset({run}))
    return [need for need in needs if need and min(map(len, need)) >= _SHORTEST and len(need) <= _MOST_WAYS]


def literals_of(rules: Sequence[Rule]) -> dict[str, tuple[str, ...]]:
    """For each id of these rules of one field: folded literals of which one is in any text it matches.

    Empty where none is certain: such a rule is tried always. Where several would do, those are taken
    that the fewest examples of the field hold: what all its texts begin with picks no rule out.
    """
    said = [
        fold(text)
        for rule in rules
        for text in (*(example.text for example in rule.examples), *rule.negatives)
    ]

    @cache
    def held(literal: str) -> int:
        by_chance = len(said) // 8 if len(literal) < _TELLING else 0
        return by_chance + sum(literal in text for text in said)

    def rank(need: frozenset[str]) -> tuple[int, int, list[str]]:
        return sum(map(held, need)), -min(map(len, need)), sorted(need)

    literals = {}
    for rule in rules:
        ways = _needs(rule)
        chosen = (min(way, key=rank) for way in ways)
        literals[rule.id] = tuple(sorted(frozenset().union(*chosen))) if all(ways) else ()
    return literals


def _needs(rule: Rule) -> list[list[frozenset[str]]]:
    """For each way in which `rule` matches, the sets of which any would do; an empty list where none does."""
    if rule.matcher == "number":
        return [[]]
    if rule.matcher == "regex":
        return [required_literals(pattern) for pattern in rule.patterns]
    texts = _macs(rule) if rule.field == "mac" else rule.patterns
    found = [fold(text).strip() for text in texts]
    return [[frozenset({text})] if len(text) >= _SHORTEST else [] for text in found]


def _macs(rule: Rule) -> tuple[str, ...]:
    return tuple(text.lower().replace("-", ":") for text in rule.patterns)


def by_field(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    """The rules of each field, in file order."""
    grouped: dict[str, list[Rule]] = {}
    for rule in rules:
        grouped.setdefault(rule.field, []).append(rule)
    return grouped


def automaton_available() -> bool:
    """Whether the Aho-Corasick wheel is installed."""
    return find_spec("ahocorasick_rs") is not None


def _finder(literals: list[str], search: Search) -> Finder:
    """A function from a folded text to the indexes of the literals in it."""
    if search == "automaton" and literals:
        # An accelerator, not a need: a wheel that does not load here is as good as none.
        with contextlib.suppress(ImportError):
            import ahocorasick_rs  # noqa: PLC0415 - as above

            find = ahocorasick_rs.AhoCorasick(literals).find_matches_as_indexes
            return lambda text: {found[0] for found in find(text, overlapping=True)}
    return lambda text: {at for at, literal in enumerate(literals) if literal in text}


class _Ready(NamedTuple):
    """A rule with its test, and what it claims where nothing is captured."""

    rule: Rule
    test: Test
    claims: Mapping[str, str]


class _FieldRules:
    """The rules of one field, made ready when the field is first met."""

    __slots__ = ("_always", "_asked", "_finder", "_literals", "_owners", "_ready", "_rules", "_search")

    def __init__(self, rules: list[Rule], search: Search, known: Mapping[str, tuple[str, ...]]) -> None:
        self._rules = rules
        self._ready: list[_Ready | None] = [None] * len(rules)
        self._always: list[int] = []
        literals: dict[str, list[int]] = {}
        needed = {} if search == "every" else known or literals_of(rules)
        for at, rule in enumerate(rules):
            wanted = needed.get(rule.id, ())
            if not wanted:
                self._always.append(at)
            for literal in wanted:
                literals.setdefault(literal, []).append(at)
        self._owners = list(literals.values())
        self._literals = list(literals)
        self._search = search
        self._asked = 0
        self._finder = _finder(self._literals, "literals")

    def candidates(self, text: str) -> list[_Ready]:
        """The rules that may match `text`, in file order."""
        if self._asked < _SOON:
            self._asked += 1
            if self._asked == _SOON:
                self._finder = _finder(self._literals, self._search)
        found = self._finder(fold(text))
        chosen = self._always
        if found:
            chosen = sorted({*chosen, *(at for literal in found for at in self._owners[literal])})
        return [self._ready[at] or self._prepare(at) for at in chosen]

    def _prepare(self, at: int) -> _Ready:
        rule = self._rules[at]
        ready = self._ready[at] = _Ready(rule, captures(rule), MappingProxyType(dict(rule.claims)))
        return ready


class Matchers:
    """All rules of a `Knowledge`, grouped by field and ready to try; safe to share.

    `search` chooses how candidates are found, with the same answers whichever it is; None
    takes the automaton where its wheel is installed. `literals` is what `literals_of` gives for the
    rules of every field, where somebody has worked it out before.
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
        self._by_field = by_field(knowledge.rules)
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
        weights = self._weights
        found = []
        for rule, test, fixed in ready.candidates(text):
            captured = test(text)
            if captured is None:
                continue
            claims = MappingProxyType(self._claims(rule, captured)) if captured else fixed
            if claims:
                weight = weights.get(rule.id, rule.weight) if weights else rule.weight
                found.append(
                    Evidence(rule.id, rule.family, field, shown, claims, weight, rule.proof, rule.status)
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
            elif name == "badge":
                if not self._knows(text):
                    claims["brand"] = text
            else:
                claims[name] = text
        return claims

    def _knows(self, text: str) -> bool:
        """Whether `text`, or a word of it, names a maker or a badge that we know."""
        return any(self._named(part) for part in (text, *text.split()))

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

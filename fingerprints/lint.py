"""Proves the rules: each by its own examples, and every example against all rules.

`check` gives what is wrong with the files themselves, `prove` what their examples do not bear
out. Both return faults in file order; an empty list is a pass. Loading (`rules.py`) has already
refused unknown fields, names, captures and missing sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any, Final

from fingerprints.judge import Judge
from fingerprints.matcher import Matchers, captures
from fingerprints.model import Fact
from fingerprints.rules import Knowledge, Rule

__all__ = ["Fault", "check", "matrix", "prove", "super_linear"]

_UNBOUNDED: Final = 256
_ALL: Final = frozenset(range(256))
_CATEGORIES: Final = {
    sre.CATEGORY_DIGIT: frozenset(range(48, 58)),
    sre.CATEGORY_SPACE: frozenset(map(ord, " \t\n\r\f\v")),
    sre.CATEGORY_WORD: frozenset(c for c in range(256) if chr(c).isalnum() or c == 95),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one rule, with the file and line it stands in."""

    path: str
    line: int
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.what}"


def check(knowledge: Knowledge) -> list[Fault]:
    """Faults that show without judging: slow regexes, examples and counterexamples that fail."""
    faults = []
    for rule in knowledge.rules:
        faults += [Fault(rule.path, rule.line, rule.id, what) for what in _faults(rule)]
    return faults


def _faults(rule: Rule) -> Iterator[str]:
    if rule.matcher == "regex":
        for pattern in rule.patterns:
            slow = super_linear(pattern)
            if slow:
                yield f"regex {pattern!r} may take more than linear time: {slow}"
    test = captures(rule)
    for example in rule.examples:
        found = test(example.text)
        if found is None:
            yield f"does not match its example {example.text[:80]!r}"
            continue
        claims = {**rule.claims, **found}
        for name, value in example.expect.items():
            if claims.get(name) != value:
                yield f"gives {name} = {claims.get(name)!r} for {example.text[:80]!r}, not {value!r}"
    for text in rule.negatives:
        if test(text) is not None:
            yield f"matches {text[:80]!r}, which it must not"


def prove(knowledge: Knowledge) -> list[Fault]:
    """Judge every example alone against all rules: another maker must never win it."""
    judge = Judge(Matchers(knowledge))
    faults = []
    for rule in knowledge.rules:
        own = _makers(knowledge, rule)
        for example in rule.examples if own else ():
            scores = judge.scores(judge.judge([Fact(rule.field, example.text)]).evidence)
            if scores and scores[0].maker not in own and scores[0].total > 0:
                thieves = ", ".join(scores[0].rules)
                what = f"example {example.text[:80]!r} is taken by {scores[0].maker} ({thieves})"
                faults.append(Fault(rule.path, rule.line, rule.id, what))
    return faults


def matrix(knowledge: Knowledge) -> dict[str, dict[str, int]]:
    """For each maker, how many examples of its rules each maker wins; "nobody" where none does.

    Right rules give a diagonal: a maker's examples are won by itself or by nobody.
    """
    judge = Judge(Matchers(knowledge))
    cells: dict[str, dict[str, int]] = {}
    for rule in knowledge.rules:
        owner = rule.manufacturer
        if owner is None:
            continue
        row = cells.setdefault(owner, {})
        for example in rule.examples:
            scores = judge.scores(judge.judge([Fact(rule.field, example.text)]).evidence)
            winner = scores[0].maker if scores and scores[0].total > 0 else "nobody"
            row[winner] = row.get(winner, 0) + 1
    return {owner: cells[owner] for owner in sorted(cells, key=str.casefold)}


def _makers(knowledge: Knowledge, rule: Rule) -> set[str]:
    if rule.manufacturer is not None:
        return {rule.manufacturer}
    edges = knowledge.brands_named(rule.claims.get("brand", ""))
    return {edge.manufacturer for edge in edges if not edge.mixed}


def super_linear(pattern: str) -> str | None:
    """Why matching `pattern` may take more than linear time, or None.

    Looks for a repeat inside a repeat, for two unbounded repeats that can share characters
    with nothing certain between them, and for an unbounded repeat at the start of an
    unanchored search. It errs on the strict side: a refused regex can always be bounded.
    """
    parsed = sre_parser.parse(pattern)
    items = _flat(parsed)
    why = _nested(parsed, inside=False) or _adjacent(items)
    if why is None and items and _is_unbounded(items[0]):
        why = "an unanchored search begins with an unbounded repeat"
    return why


def _flat(items: Any) -> list[Any]:
    """The items in a row, groups opened: a group changes nothing of what may follow what."""
    flat = []
    for item in items:
        flat += _flat(item[1][3]) if item[0] is sre.SUBPATTERN else [item]
    return flat


def _is_unbounded(item: Any) -> bool:
    return item[0] in {sre.MAX_REPEAT, sre.MIN_REPEAT} and int(item[1][1]) >= _UNBOUNDED


def _children(item: Any) -> Iterable[Any]:
    operator, argument = item
    if operator is sre.SUBPATTERN:
        yield argument[3]
    elif operator in {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}:
        yield argument[2]
    elif operator is sre.BRANCH:
        yield from argument[1]
    elif operator in {sre.ASSERT, sre.ASSERT_NOT}:
        yield argument[1]


def _nested(items: Any, *, inside: bool) -> str | None:
    for item in items:
        unbounded = _is_unbounded(item)
        if unbounded and inside:
            return "an unbounded repeat stands inside another repeat"
        repeats = item[0] in {sre.MAX_REPEAT, sre.MIN_REPEAT} and int(item[1][1]) > 1
        for child in _children(item):
            why = _nested(child, inside=inside or repeats)
            if why:
                return why
    return None


def _adjacent(items: list[Any]) -> str | None:
    """Two unbounded repeats in a row whose characters overlap, optional items between them skipped."""
    open_sets: list[frozenset[int]] = []
    for item in items:
        for child in _children(item):
            why = _adjacent(_flat(child))
            if why:
                return why
        letters = _letters(item)
        if _is_unbounded(item):
            if any(letters & other for other in open_sets):
                return "two unbounded repeats can share characters"
            open_sets.append(letters)
        elif item[0] in {sre.MAX_REPEAT, sre.MIN_REPEAT} and int(item[1][0]) == 0:
            continue
        elif item[0] not in {sre.AT, sre.ASSERT, sre.ASSERT_NOT}:
            # Something that must be there ends every repeat it could not be part of.
            open_sets = [other for other in open_sets if letters and letters <= other]
    return None


def _letters(item: Any) -> frozenset[int]:
    """The bytes that an item may begin with or consist of (an overestimate)."""
    operator, argument = item
    if operator is sre.LITERAL:
        return frozenset({argument, ord(chr(argument).swapcase()[0]) if argument < 256 else argument})
    if operator is sre.NOT_LITERAL:
        return _ALL - {argument}
    if operator is sre.ANY:
        return _ALL - {10}
    if operator is sre.IN:
        return _of_class(argument)
    letters: frozenset[int] = frozenset()
    for child in _children(item):
        for inner in child:
            letters |= _letters(inner)
    return letters


def _of_class(members: Iterable[Any]) -> frozenset[int]:
    letters: set[int] = set()
    negate = False
    for operator, argument in members:
        if operator is sre.NEGATE:
            negate = True
        elif operator is sre.LITERAL:
            letters.add(argument)
        elif operator is sre.RANGE:
            letters |= set(range(argument[0], min(argument[1], 255) + 1))
        elif operator is sre.CATEGORY:
            letters |= _CATEGORIES.get(argument, _ALL)
    return _ALL - letters if negate else frozenset(letters)

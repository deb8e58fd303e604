"""Makes the knowledge ready to match, from what an earlier run kept where the files are still the same.

Reading, checking and taking apart some 1,300 rules takes longer than reading a capture: what
comes out is kept (`cache.py`) and taken up again until one of the files changes, the ones of
our own code included. The answers are the same with it and without.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from fingerprints import cache as kept
from fingerprints import matcher, rules
from fingerprints.matcher import Matchers, by_field, literals_of
from fingerprints.rules import (
    HERE,
    Brand,
    Example,
    Field,
    Knowledge,
    Manufacturer,
    ModelFamily,
    Rule,
    knowledge_files,
    load_knowledge,
)

__all__ = ["compiled_matchers"]

_CODE: Final = (__file__, matcher.__file__, rules.__file__)


def compiled_matchers(folder: Path | None = None, cache: Path | None = None) -> Matchers:
    """The rules of `folder` (the shipped ones by default), ready to match; raises `RuleError`.

    `cache` is the folder where they are kept from run to run; None keeps nothing.
    """
    folder = folder or HERE
    if cache is None:
        return Matchers(load_knowledge(folder))
    name = f"knowledge-{zlib.crc32(str(folder).encode('utf-8', 'surrogateescape')):08x}"
    before = _state(folder)
    if before is not None:
        value = kept.recall(cache, name, before)
        if value is not None:
            # Whoever changed it and its checksum is this user: no danger, and no failure either.
            with contextlib.suppress(AttributeError, IndexError, KeyError, TypeError, ValueError):
                return _revived(folder, value)
    knowledge = load_knowledge(folder)
    if before is None or not kept.takes(cache):
        return Matchers(knowledge)
    literals: dict[str, tuple[str, ...]] = {}
    for rules_of_field in by_field(knowledge.rules).values():
        literals |= literals_of(rules_of_field)
    if before == _state(folder):
        # Else a file was changed while it was read, and nobody knows which of both we have.
        kept.keep(cache, name, before, _plain(knowledge, literals))
    return Matchers(knowledge, literals=literals)


def _state(folder: Path) -> bytes | None:
    return kept.identity([*_CODE, *knowledge_files(folder)], str(folder))


def _plain(knowledge: Knowledge, literals: Mapping[str, tuple[str, ...]]) -> tuple[Any, ...]:
    edges = {
        id(brand): (maker.name, at)
        for maker in knowledge.manufacturers.values()
        for at, brand in enumerate(maker.brands)
    }
    return (
        knowledge.version,
        knowledge.sharpness,
        tuple(sorted(knowledge.overridden)),
        [
            (entry.name, entry.family, entry.says, entry.also, entry.read_as)
            for entry in knowledge.fields.values()
        ],
        [_plain_maker(maker) for maker in knowledge.manufacturers.values()],
        [_plain_rule(rule) for rule in knowledge.rules],
        dict(knowledge.names),
        [(text, tuple(edges[id(brand)] for brand in brands)) for text, brands in knowledge.brands.items()],
        dict(literals),
    )


def _plain_maker(maker: Manufacturer) -> tuple[Any, ...]:
    return (
        (maker.name, maker.jurisdiction, maker.aliases, maker.parent, maker.source),
        [
            (
                (
                    edge.name,
                    edge.manufacturer,
                    edge.kind,
                    edge.confidence,
                    edge.mixed,
                    edge.aliases,
                    edge.source,
                ),
                _number(edge.valid_from),
                _number(edge.valid_to),
                edge.note,
            )
            for edge in maker.brands
        ],
        [
            (model.pattern, model.device_class, model.line, model.source, model.examples)
            for model in maker.models
        ],
        maker.note,
    )


def _plain_rule(rule: Rule) -> tuple[Any, ...]:
    return (
        (
            rule.id,
            rule.field,
            rule.family,
            rule.matcher,
            rule.patterns,
            rule.case,
            dict(rule.claims),
            rule.weight,
            rule.proof,
            rule.status,
            rule.source,
        ),
        _number(rule.seen),
        rule.note,
        [(example.text, dict(example.expect)) for example in rule.examples],
        (rule.negatives, rule.owner, rule.path, rule.line),
    )


def _revived(folder: Path, value: Any) -> Matchers:
    version, sharpness, overridden, fields, makers, rows, names, badges, literals = value
    manufacturers = {maker.name: maker for maker in map(_revived_maker, makers)}
    knowledge = Knowledge(
        version,
        {row[0]: Field(*row) for row in fields},
        manufacturers,
        tuple(map(_revived_rule, rows)),
        folder=folder,
        sharpness=sharpness,
        overridden=frozenset(overridden),
        brands={
            text: tuple(manufacturers[maker].brands[at] for maker, at in places) for text, places in badges
        },
        names=names,
    )
    return Matchers(knowledge, literals=literals)


def _revived_maker(row: Any) -> Manufacturer:
    first, edges, models, note = row
    brands = tuple(Brand(*(*edge, _date(since), _date(until), text)) for edge, since, until, text in edges)
    return Manufacturer(*(*first, brands, tuple(ModelFamily(*model) for model in models), note))


def _revived_rule(row: Any) -> Rule:
    first, seen, note, examples, last = row
    proof = tuple(Example(text, expect) for text, expect in examples)
    return Rule(*(*first, _date(seen), note, proof, *last))


def _number(day: date | None) -> int | None:
    return None if day is None else day.toordinal()


def _date(number: int | None) -> date | None:
    return None if number is None else date.fromordinal(number)

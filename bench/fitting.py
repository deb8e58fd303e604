"""Fits rule weights to a corpus, shrunk towards what each rule's class says.

A rule of class weight w0 is believed to be right with probability p0 = logistic(w0 + PRIOR)
before the corpus speaks; that belief is worth `STRENGTH` sightings. Sightings of one source
group are not independent, so a group with n of them counts sqrt(n). The fitted weight is
the log-odds of the posterior mean, less the prior: three samples of one source move a rule
a little, sixty from ten sources a lot.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from bench.corpus import Labelled
from fingerprints.judge import PRIOR, Judge
from fingerprints.model import Evidence
from fingerprints.rules import EXPERIMENTAL_LIMIT, Knowledge

__all__ = ["STRENGTH", "Seen", "fit", "recognise", "sightings"]

STRENGTH = 4.0
_LIMITS = (0.0, 9.0)

Seen = list[tuple[Labelled, tuple[Evidence, ...]]]


def recognise(judge: Judge, samples: Iterable[Labelled]) -> Seen:
    """Each sample with the evidence its facts give, whatever it weighs."""
    return [(sample, judge.judge(sample.facts).evidence) for sample in samples]


def fit(knowledge: Knowledge, seen: Seen, leave_out: str | None = None) -> dict[str, float]:
    """The weight of each rule that speaks for a maker, fitted on all groups but one."""
    hits = _hits(knowledge, seen, leave_out)
    weights = {}
    for rule in knowledge.rules:
        groups = hits.get(rule.id)
        if not groups or rule.family == "details" or rule.id in knowledge.overridden:
            continue
        right, wrong = _discounted(groups.values())
        believed = 1 / (1 + math.exp(-(rule.weight + PRIOR)))
        mean = (STRENGTH * believed + right) / (STRENGTH + right + wrong)
        weight = math.log(mean / (1 - mean)) - PRIOR
        limit = EXPERIMENTAL_LIMIT if rule.status == "experimental" else _LIMITS[1]
        weights[rule.id] = round(min(max(weight, _LIMITS[0]), limit), 3)
    return weights


def sightings(knowledge: Knowledge, seen: Seen) -> dict[str, tuple[int, int, int]]:
    """How often each rule saw the maker it speaks for, another one, and in how many source groups."""
    return {
        rule: (sum(good for good, _ in groups.values()), sum(bad for _, bad in groups.values()), len(groups))
        for rule, groups in _hits(knowledge, seen, None).items()
    }


def _hits(knowledge: Knowledge, seen: Seen, leave_out: str | None) -> dict[str, dict[str, list[int]]]:
    """By rule and group: how often it spoke for the true maker, and how often for another."""
    hits: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for sample, evidence in seen:
        if sample.group == leave_out:
            continue
        for item in {row.rule: row for row in evidence}.values():
            makers = _spoken_for(knowledge, item)
            if makers:
                hits[item.rule][sample.group][sample.truth.manufacturer not in makers] += 1
    return hits


def _discounted(groups: Iterable[Sequence[int]]) -> tuple[float, float]:
    right = wrong = 0.0
    for good, bad in groups:
        share = math.sqrt(good + bad) / (good + bad)
        right += good * share
        wrong += bad * share
    return right, wrong


def _spoken_for(knowledge: Knowledge, item: Evidence) -> set[str]:
    """The makers a piece of evidence speaks for; none for one that only names a model or a class."""
    maker = item.claims.get("manufacturer")
    if maker is not None:
        return {maker}
    edges = knowledge.brands_named(item.claims.get("brand", ""))
    return {edge.manufacturer for edge in edges if not edge.mixed}

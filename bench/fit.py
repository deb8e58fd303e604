"""Writes ``fingerprints/weights.toml``: rule weights fitted on a corpus, with the judge's sharpness.

    python bench/fit.py CORPUS.jsonl

The file is reviewed like code: each weight stands beside the class weight it started from and
the sightings that moved it. Hand overrides in it are kept, with their reasons.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.accuracy import Judged, judge_samples
from bench.corpus import read_corpus
from bench.fitting import fit, recognise, sightings
from fingerprints.judge import Judge
from fingerprints.matcher import Matchers
from fingerprints.oui import Registry
from fingerprints.rules import HERE, load_knowledge

SHARPNESS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
"""Never above the last: a corpus without one wrong verdict cannot say how sharp is too sharp."""
OPTIMISM = 0.015
"""Share of right verdicts counted as wrong: the rules were written with this corpus in sight."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", type=Path)
    args = parser.parse_args(argv)
    path = HERE / "weights.toml"
    overrides = tomllib.loads(path.read_text(encoding="utf-8")).get("override", {}) if path.exists() else {}
    knowledge = load_knowledge(fitted=False)
    registry = Registry.packaged()
    samples = read_corpus(args.corpus, knowledge)
    seen = recognise(Judge(Matchers(knowledge), registry), samples)
    briers = {}
    for sharpness in SHARPNESS:
        rows = judge_samples(samples, seen, knowledge.sharpened(sharpness), registry)
        briers[sharpness] = _doubted(rows)
        print(f"sharpness {sharpness}: doubted Brier {briers[sharpness]:.5f}", file=sys.stderr)
    best = min(briers, key=lambda value: (briers[value], abs(value - 1)))
    weights = fit(knowledge, seen)
    counts = sightings(knowledge, seen)
    starting = {rule.id: rule.weight for rule in knowledge.rules}
    path.write_text(_document(args.corpus.name, best, weights, counts, starting, overrides), encoding="utf-8")
    print(f"{path}: {len(weights)} of {len(starting)} rules fitted", file=sys.stderr)
    return 0


def _doubted(rows: Sequence[Judged]) -> float:
    """The Brier score over named makers when `OPTIMISM` of the right ones were wrong."""
    scores = []
    for row in rows:
        if row.verdict.manufacturer is not None:
            confidence = row.verdict.confidence
            right = 1 - OPTIMISM if row.maker_right else 0.0
            scores.append(right * (1 - confidence) ** 2 + (1 - right) * confidence**2)
    return sum(scores) / len(scores)


def _document(
    corpus: str,
    sharpness: float,
    weights: Mapping[str, float],
    counts: Mapping[str, tuple[int, int, int]],
    starting: Mapping[str, float],
    overrides: Mapping[str, Mapping[str, object]],
) -> str:
    lines = [
        f"# Written by `python bench/fit.py {corpus}`: do not edit by hand but for [override] tables.",
        "# weight: log-likelihood ratio in nats; from: the weight of the rule's class; seen: sightings",
        "# of the maker it names, of another maker, and the source groups they came from.",
        "",
        "[judge]",
        f"sharpness = {sharpness}",
    ]
    for rule in sorted(weights):
        right, wrong, groups = counts[rule]
        lines += [
            "",
            f'[rule."{rule}"]',
            f"weight = {weights[rule]}",
            f"from = {starting[rule]}",
            f"seen = {{ right = {right}, wrong = {wrong}, groups = {groups} }}",
        ]
    for rule in sorted(overrides):
        reason = str(overrides[rule]["reason"]).replace('"', "'")
        lines += ["", f'[override."{rule}"]', f"weight = {overrides[rule]['weight']}", f'reason = "{reason}"']
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())

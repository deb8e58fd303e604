"""Prints how right, how sure and how complete verdicts are on a corpus with known truth.

    python bench/accuracy.py CORPUS.jsonl [--fit TRAIN.jsonl] [--json]

Every group of the corpus is judged with weights fitted on the training corpus without that
group (the shipped weights where no training corpus is at hand).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.corpus import FLAGGED_MAKERS, Labelled, read_corpus
from bench.fitting import Seen, fit, recognise
from fingerprints.judge import Judge
from fingerprints.matcher import Matchers
from fingerprints.model import Finding, Verdict
from fingerprints.oui import Registry
from fingerprints.policy import apply_policies, load_policies
from fingerprints.rules import Knowledge, load_knowledge

BINS = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """A sample with what was said of it."""

    sample: Labelled
    verdict: Verdict
    finding: Finding

    @property
    def is_ours(self) -> bool:
        """Whether the device really is Hikvision's or Dahua's."""
        return self.sample.truth.is_camera and self.sample.truth.manufacturer in FLAGGED_MAKERS

    @property
    def flagged(self) -> bool:
        """Whether it was flagged."""
        return self.finding.status == "flagged"

    @property
    def maker_right(self) -> bool:
        """Whether the maker that was named is the true one."""
        return self.verdict.manufacturer == self.sample.truth.manufacturer


def judge_corpus(path: Path, train: Path | None, knowledge: Knowledge) -> list[Judged]:
    """Judge every line of a corpus, each group with weights that never saw it."""
    registry = Registry.packaged()
    samples = read_corpus(path, knowledge)
    judge = Judge(Matchers(knowledge), registry)
    seen = recognise(judge, read_corpus(train, knowledge)) if train else []
    return judge_samples(samples, seen, knowledge, registry)


def judge_samples(
    samples: Sequence[Labelled], seen: Seen, knowledge: Knowledge, registry: Registry
) -> list[Judged]:
    """Judge `samples`, each group with weights fitted on `seen` without that group."""
    matchers = Matchers(knowledge)
    policies = load_policies(knowledge)
    judges: dict[str, Judge] = {}
    judged = []
    for sample in samples:
        judge = judges.get(sample.group)
        if judge is None:
            weights = fit(knowledge, seen, leave_out=sample.group) if seen else {}
            judge = judges[sample.group] = Judge(matchers.reweighted(weights), registry)
        verdict = judge.judge(sample.facts)
        judged.append(Judged(sample, verdict, apply_policies(verdict, policies, knowledge)))
    return judged


def share(rows: Sequence[Judged], good: int) -> float | None:
    """`good` of `rows`, None of none."""
    return round(good / len(rows), 4) if rows else None


def _norm(text: str | None) -> str:
    return "".join(text.split()).casefold() if text else ""


def brand_right(row: Judged, knowledge: Knowledge) -> bool:
    """Whether the badge is the true one, in any known spelling."""
    wanted, got = row.sample.truth.brand, row.verdict.brand
    if _norm(wanted) == _norm(got):
        return True
    edges = knowledge.brands_named(wanted or "")
    known = {edge.name for edge in edges} | {knowledge.maker_named(wanted or "")}
    return got is not None and got in known


def _has_badge(brand: str | None) -> bool:
    """Whether the source knows a badge at all: some say outright that the device bears none."""
    return brand is not None and not re.search(r"(?i)unbranded|generic|not named|unnamed", brand)


def model_right(row: Judged) -> bool:
    """Whether the model is the true one, white space and case aside."""
    return _norm(row.verdict.model) == _norm(row.sample.truth.model)


def calibration(rows: Sequence[Judged]) -> tuple[float, float, list[tuple[str, int, float, float]]]:
    """Brier score, expected calibration error and the reliability table over named makers."""
    named = [(row.verdict.confidence, row.maker_right) for row in rows if row.verdict.manufacturer]
    if not named:
        return 0.0, 0.0, []
    brier = sum((confidence - right) ** 2 for confidence, right in named) / len(named)
    table, error = [], 0.0
    for at in range(BINS):
        low, high = at / BINS, (at + 1) / BINS
        inside = [pair for pair in named if low <= pair[0] < high or (at == BINS - 1 and pair[0] == 1)]
        if inside:
            said = sum(pair[0] for pair in inside) / len(inside)
            true = sum(pair[1] for pair in inside) / len(inside)
            error += abs(said - true) * len(inside) / len(named)
            table.append((f"{low:.1f}-{high:.1f}", len(inside), said, true))
    return round(brier, 4), round(error, 4), table


def figures(rows: Sequence[Judged], knowledge: Knowledge) -> dict[str, object]:
    """The figures over all, by the names that other tools read.

    flag_recall and oem_recall are over telling Hikvision- and Dahua-made devices; maker over all
    telling cameras; brand over those whose maker was named and whose badge is known; model over
    the devices that state it.
    """
    flagged = [row for row in rows if row.flagged]
    ours = [row for row in rows if row.is_ours and row.sample.telling]
    badged = [row for row in ours if _norm(row.sample.truth.brand) != _norm(row.sample.truth.manufacturer)]
    telling = [row for row in rows if row.sample.telling and row.sample.truth.is_camera]
    stated = [row for row in rows if row.sample.model_stated and row.sample.truth.model]
    named = [row for row in telling if row.verdict.manufacturer is not None]
    branded = [row for row in named if _has_badge(row.sample.truth.brand)]
    brier, ece, _ = calibration(rows)
    return {
        "devices": len(rows),
        "flag_precision": share(flagged, sum(row.is_ours for row in flagged)),
        "flag_recall": share(ours, sum(row.flagged for row in ours)),
        "oem_recall": share(badged, sum(row.flagged for row in badged)),
        "maker": share(telling, sum(row.maker_right for row in telling)),
        "brand": share(branded, sum(brand_right(row, knowledge) for row in branded)),
        "model": share(stated, sum(model_right(row) for row in stated)),
        "unknown": share(rows, sum(row.verdict.level == "unknown" for row in rows)),
        "ece": ece,
        "brier": brier,
        "false_flags": [row.sample.id for row in flagged if not row.is_ours],
        "false_suspicions": [
            row.sample.id for row in rows if row.finding.status == "suspected" and not row.is_ours
        ],
    }


def by_maker(rows: Sequence[Judged], knowledge: Knowledge) -> list[str]:
    """A table of makers: how many, how right, precision and recall of the flag, badge, model.

    Precision is over the devices that were flagged as this maker's, recall over its telling
    ones; badge and model are over its devices that were named, or that state their model.
    """
    groups: dict[str, list[Judged]] = defaultdict(list)
    for row in rows:
        name = row.sample.truth.manufacturer if row.sample.truth.is_camera else "(not a camera)"
        groups[name].append(row)
    titles = (
        "devices",
        "telling",
        "right",
        "wrong",
        "unknown",
        "flagged",
        "precision",
        "recall",
        "brand",
        "model",
    )
    lines = [f"{'manufacturer':<20}" + "".join(f"{title:>10}" for title in titles)]
    for name, members in sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        unknown = sum(row.verdict.manufacturer is None for row in members)
        right = sum(row.maker_right for row in members)
        telling = [row for row in members if row.sample.telling]
        accused = [row for row in rows if row.flagged and row.verdict.manufacturer == name]
        badged = [row for row in members if row.verdict.manufacturer and _has_badge(row.sample.truth.brand)]
        stated = [row for row in members if row.sample.model_stated and row.sample.truth.model]
        cells: list[object] = [
            len(members),
            len(telling),
            right,
            len(members) - right - unknown,
            unknown,
            sum(row.flagged for row in members),
            share(accused, sum(row.is_ours and row.maker_right for row in accused)),
            share(telling, sum(row.flagged for row in telling)) if name in FLAGGED_MAKERS else None,
            share(badged, sum(brand_right(row, knowledge) for row in badged)),
            share(stated, sum(model_right(row) for row in stated)),
        ]
        lines.append(f"{name[:19]:<20}" + "".join(f"{'-' if cell is None else cell:>10}" for cell in cells))
    return lines


def misses(rows: Sequence[Judged], knowledge: Knowledge) -> list[str]:
    """Every telling device that is not what it should be, a line each."""
    lines = []
    for row in rows:
        truth, verdict = row.sample.truth, row.verdict
        wrong = []
        if row.is_ours and row.sample.telling and not row.flagged:
            wrong.append(f"not flagged ({row.finding.status} {verdict.confidence})")
        if row.flagged and not row.is_ours:
            wrong.append("FALSE FLAG")
        if row.sample.telling and truth.is_camera and not row.maker_right:
            wrong.append(f"maker {verdict.manufacturer} not {truth.manufacturer}")
        if row.sample.telling and truth.is_camera and truth.brand and not brand_right(row, knowledge):
            wrong.append(f"brand {verdict.brand} not {truth.brand}")
        if row.sample.model_stated and truth.model and not model_right(row):
            wrong.append(f"model {verdict.model} not {truth.model}")
        if wrong:
            lines.append(f"{row.sample.id}: {'; '.join(wrong)}")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", type=Path)
    parser.add_argument(
        "--fit", type=Path, help="corpus that weights are fitted on (default: train.jsonl beside)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    parser.add_argument("--misses", action="store_true", help="list every device that is judged wrong")
    args = parser.parse_args(argv)
    knowledge = load_knowledge(fitted=False)
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus" / "train.jsonl"
    train = args.fit or (beside if beside.exists() else None)
    if train is None:
        knowledge = load_knowledge()
    rows = judge_corpus(args.corpus, train, knowledge)
    result = figures(rows, knowledge)
    if args.json:
        print(json.dumps(result))
        return 0
    print("\n".join(by_maker(rows, knowledge)))
    print()
    for name, value in result.items():
        print(f"{name:<18}{value}")
    print("\nconfidence   devices    said    true")
    for name, count, said, true in calibration(rows)[2]:
        print(f"{name:<12}{count:>8}{said:>8.3f}{true:>8.3f}")
    print(f"\nlevels: {dict(Counter(row.verdict.level for row in rows))}")
    if args.misses:
        print("\n" + "\n".join(misses(rows, knowledge)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Measures matching: facts per second, start-up and memory, against one rule after another.

    python bench/match.py [CORPUS.jsonl] [--json]

The facts are those of a corpus (the rules' own examples where none is at hand), in a seeded
order with a share of texts that no rule knows. Each way of matching judges the same facts in
the same run; the answers are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.corpus import read_corpus
from fingerprints.matcher import Matchers, Search, automaton_available
from fingerprints.model import Fact
from fingerprints.rules import Knowledge, load_knowledge

RUNS = 3
PROCESSES = 7
FACTS = 20_000


def facts_of(corpus: Path | None, knowledge: Knowledge) -> list[Fact]:
    """A seeded mixture of what rules know and what they do not."""
    random.seed(20260101)
    known = [Fact(rule.field, example.text) for rule in knowledge.rules for example in rule.examples]
    if corpus is not None:
        known += [fact for sample in read_corpus(corpus, knowledge) for fact in sample.facts]
    fields = sorted({fact.field for fact in known})
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -/._"
    mixture = []
    for number in range(FACTS):
        if number % 10 < 7:
            fact = random.choice(known)  # noqa: S311 - a seeded mixture, not a secret
            # A changed tail keeps the caches of both ways from answering.
            mixture.append(Fact(fact.field, f"{fact.text} {number}" if number % 2 else fact.text))
        else:
            noise = "".join(random.choices(letters, k=random.randint(8, 120)))  # noqa: S311 - as above
            mixture.append(Fact(random.choice(fields), noise))  # noqa: S311 - as above
    return mixture


def rate(match: Callable[[Fact], object], facts: Sequence[Fact]) -> float:
    """Facts per second, the median of some runs."""
    rates = []
    for _ in range(RUNS):
        started = time.perf_counter()
        for fact in facts:
            match(fact)
        rates.append(len(facts) / (time.perf_counter() - started))
    return statistics.median(rates)


ANEW = """
from fingerprints.rules import load_knowledge
from fingerprints.matcher import Matchers
from fingerprints.model import Fact
Matchers(load_knowledge()).match(Fact('http.server', 'App-webs/'))
"""
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A child's peak begins with that of its parent, so the parent is a small process of its own."""

COMMANDS: dict[str, tuple[str, ...]] = {
    "python": ("-c", ""),
    "verdict_anew": ("-c", ANEW),
    "help": ("-m", "agent.cli", "--help"),
    "replay": ("-m", "agent.cli", "replay", "pcaps/no-cameras.pcap", "-q", "--format", "json"),
}
"""What a whole process is measured for: Python itself, a first verdict with all rules read anew, and
two commands that may use what an earlier run kept."""


def start_up() -> dict[str, float]:
    """Seconds of each whole process, the best of some in turn, and the peak of its memory in MiB."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "XDG_CACHE_HOME": cache, "PYTHONPYCACHEPREFIX": f"{cache}/bytecode"}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        # The first round fills the caches, and is not counted.
        for counted in (False, *[True] * PROCESSES):
            for name, words in COMMANDS.items():
                started = time.perf_counter()
                subprocess.run(
                    [sys.executable, *words], check=True, cwd=ROOT, env=env, stdout=subprocess.DEVNULL
                )
                taken = time.perf_counter() - started
                if counted:
                    figures[f"{name}_s"] = round(min(taken, figures.get(f"{name}_s", taken)), 3)
        for name, words in COMMANDS.items():
            command = [sys.executable, "-I", "-S", "-c", PEAK, sys.executable, *words]
            peak = subprocess.run(command, check=True, cwd=ROOT, env=env, stdout=subprocess.PIPE).stdout
            figures[f"{name}_mib"] = round(int(peak) / 1024, 1)
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    knowledge = load_knowledge()
    facts = facts_of(args.corpus, knowledge)
    ways: tuple[Search, ...] = ("automaton", "literals") if automaton_available() else ("literals",)
    plain = Matchers(knowledge, "every")
    for way in ways:
        quick = Matchers(knowledge, way)
        for fact in facts[:4_000]:
            if quick.match_uncached(fact) != plain.match_uncached(fact):
                raise SystemExit(f"{way} disagrees on {fact}")
    result: dict[str, object] = {"rules": len(knowledge.rules)}
    rates = {way: rate(Matchers(knowledge, way).match_uncached, facts) for way in (*ways, "every")}
    result["one_after_another_facts_per_s"] = round(rates["every"])
    for way in ways:
        result[f"{way}_facts_per_s"] = round(rates[way])
        result[f"{way}_over_one_after_another"] = round(rates[way] / rates["every"], 2)
    remembering = rate(Matchers(knowledge).match, facts)
    result["remembering_facts_per_s"] = round(remembering)
    result["remembering_over_one_after_another"] = round(remembering / rates["every"], 2)
    result |= start_up()
    result["peak_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    if args.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:<42}{value}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

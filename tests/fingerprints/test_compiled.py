"""Holds knowledge taken up from an earlier run to be the same as knowledge read anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fingerprints.cache import keep, recall
from fingerprints.compiled import _state, compiled_matchers
from fingerprints.judge import Judge
from fingerprints.matcher import Matchers, by_field, literals_of
from fingerprints.model import Fact
from fingerprints.oui import Registry
from fingerprints.rules import RuleError, load_knowledge
from tests.places import SHARED, needs_shared
from tests.small_knowledge import small_folder

SHIPPED = load_knowledge()


@pytest.fixture(scope="module")
def recalled(tmp_path_factory: pytest.TempPathFactory) -> Matchers:
    """The shipped rules as the second run has them."""
    cache = tmp_path_factory.mktemp("home") / "cache"
    compiled_matchers(None, cache)
    (kept,) = cache.iterdir()
    before = kept.stat().st_ino
    matchers = compiled_matchers(None, cache)
    assert kept.stat().st_ino == before
    return matchers


def test_every_word_comes_back(recalled: Matchers) -> None:
    """Rules, makers, badges, fields, weights and version are equal to those in the files, in order."""
    assert recalled.knowledge == SHIPPED
    assert list(recalled.knowledge.brands) == list(SHIPPED.brands)
    assert [rule.claims for rule in recalled.knowledge.rules] == [rule.claims for rule in SHIPPED.rules]


def test_literals_come_back(recalled: Matchers) -> None:
    """What is looked for first is what would be worked out anew."""
    anew = [literals_of(rules) for rules in by_field(SHIPPED.rules).values()]
    assert recalled._literals == {rule: literals for some in anew for rule, literals in some.items()}


def test_examples_give_the_same_evidence(recalled: Matchers) -> None:
    """Every example of every rule is recognised alike with and without what was kept."""
    anew = Matchers(SHIPPED)
    facts = [
        Fact(rule.field, text)
        for rule in SHIPPED.rules
        for text in (*(example.text for example in rule.examples), *rule.negatives)
    ]
    assert [recalled.match_uncached(fact) for fact in facts] == [anew.match_uncached(fact) for fact in facts]


@needs_shared
def test_recorded_devices_get_the_same_verdicts(recalled: Matchers, tmp_path: Path) -> None:
    """Recorded devices are judged alike with and without what was kept, the registry included."""
    Registry.packaged(tmp_path).organisation("70:b3:d5:00:00:00")
    ready = Judge(recalled, Registry.packaged(tmp_path))
    anew = Judge(Matchers(SHIPPED), Registry.packaged())
    lines = (SHARED / "corpus" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    told = 0
    for line in lines:
        facts = [
            Fact(said["field"], said["text"]) for said in json.loads(line)["observations"] if "field" in said
        ]
        verdict = ready.judge(facts)
        assert verdict == anew.judge(facts)
        told += verdict.manufacturer is not None
    assert told > 100


def test_an_edited_rule_counts_at_once(tmp_path: Path) -> None:
    """Whoever edits a rule sees it in the next run, and a new file and a removed one as well."""
    folder, cache = small_folder(tmp_path / "rules"), tmp_path / "cache"
    assert compiled_matchers(folder, cache).knowledge == load_knowledge(folder)
    path = folder / "manufacturers" / "acme.toml"
    path.write_text(path.read_text().replace('exact = "inquiry"', 'exact = "enquiry"'))
    edited = compiled_matchers(folder, cache)
    assert edited.match(Fact("sadp.types", "enquiry"))
    assert not edited.match(Fact("sadp.types", "inquiry"))
    (folder / "manufacturers" / "other.toml").unlink()
    assert set(compiled_matchers(folder, cache).knowledge.manufacturers) == {"Acme"}


def test_a_wrong_rule_is_refused_every_time(tmp_path: Path) -> None:
    """A mistake in a file is said in every run, also after one in which it was right."""
    folder, cache = small_folder(tmp_path / "rules"), tmp_path / "cache"
    compiled_matchers(folder, cache)
    path = folder / "manufacturers" / "acme.toml"
    path.write_text(path.read_text().replace('exact = "inquiry"', 'exakt = "inquiry"'))
    for _ in range(2):
        with pytest.raises(RuleError, match="exakt"):
            compiled_matchers(folder, cache)


def test_broken_files_are_mended_silently(tmp_path: Path) -> None:
    """A kept file that was cut short is as good as none, and whole again after the run."""
    folder, cache = small_folder(tmp_path / "rules"), tmp_path / "cache"
    compiled_matchers(folder, cache)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    assert compiled_matchers(folder, cache).knowledge == load_knowledge(folder)
    assert kept.read_bytes() == whole


def test_two_folders_are_kept_apart(tmp_path: Path) -> None:
    """Knowledge of one folder never answers for another."""
    cache = tmp_path / "cache"
    for name in ("one", "two"):
        folder = small_folder(tmp_path / name)
        assert compiled_matchers(folder, cache).knowledge.folder == folder
    assert len(list(cache.iterdir())) == 2


def test_another_shape_is_mended_silently(tmp_path: Path) -> None:
    """A kept value that is whole, but is no knowledge, is as good as none."""
    folder, cache = small_folder(tmp_path / "rules"), tmp_path / "cache"
    compiled_matchers(folder, cache)
    (kept,) = cache.iterdir()
    state = _state(folder)
    assert state is not None
    for value in ("text", (), (1,) * 9, {"a": 1}):
        keep(cache, kept.name, state, value)
        assert recall(cache, kept.name, state) == value
        assert compiled_matchers(folder, cache).knowledge == load_knowledge(folder)

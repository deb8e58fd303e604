"""The linter finds what examples do not bear out."""

from __future__ import annotations

from pathlib import Path

import pytest

from fingerprints.lint import check, prove, super_linear
from fingerprints.rules import load_knowledge
from tests.small_knowledge import ACME, OTHER, small_knowledge


@pytest.mark.parametrize(
    "pattern",
    [r"(?:a+)+b", r"^(?:[A-Z]{1,3}\d+){2,9}", r"^.+?/(.+)$", r"\s+x", r"^a.*b.*c", r"^(?:x|y+z)*$"],
)
def test_slow_shapes_are_refused(pattern: str) -> None:
    """Repeats inside repeats, overlapping repeats and unanchored leading repeats are named."""
    assert super_linear(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^DS-[0-9A-Z]+/",
        r"<model>(?P<model>[^<]+)</model>",
        r"^(?P<a>\d+)(?P<b>[A-Z]+)",
        r"(?i)^axis ",
        r"a{1,20}b{1,20}",
    ],
)
def test_plain_shapes_pass(pattern: str) -> None:
    """What rules are usually made of is not refused."""
    assert super_linear(pattern) is None


def test_examples_and_counterexamples_are_tried(tmp_path: Path) -> None:
    """An example that does not match, a wrong capture and a matching counterexample are faults."""
    text = ACME.replace('["inquiry"]', '["enquiry"]').replace('not = ["webs"]', 'not = ["acme-webs 2"]')
    text = text.replace('expect = { model = "AC-100T" }', 'expect = { model = "AC-100" }')
    faults = [str(fault) for fault in check(small_knowledge(tmp_path, acme=text))]
    assert len(faults) == 3
    assert faults[0].startswith("acme.toml:21: acme.sadp.answer: does not match its example 'enquiry'")
    assert "gives model = 'AC-100T'" in faults[2]
    assert "which it must not" in faults[1]


def test_a_stolen_example_is_a_fault(tmp_path: Path) -> None:
    """Another maker's rule that wins an example is named."""
    thief = OTHER.replace('exact = "other"\nclass = "strong"', 'contains = "webs"\nclass = "proof"')
    thief = thief.replace('examples = ["other"]', 'examples = ["webs"]')
    (fault,) = prove(small_knowledge(tmp_path, acme=ACME, other=thief))
    assert fault.rule == "acme.http.server"
    assert "is taken by Other (other.http.server)" in fault.what


def test_shipped_rules_are_proven() -> None:
    """Every shipped rule passes its own examples, and no other maker wins one."""
    knowledge = load_knowledge()
    assert [str(fault) for fault in (*check(knowledge), *prove(knowledge))] == []

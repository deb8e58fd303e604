"""Matching gives the claims that a rule states or captures."""

from __future__ import annotations

from pathlib import Path

from fingerprints.matcher import MATCH_LENGTH, Matchers
from fingerprints.model import Fact
from tests.small_knowledge import ACME, small_knowledge

NAMES = """
[[rule]]
id = "common.onvif.manufacturer"
field = "onvif.manufacturer"
regex = '^(?P<maker>.{2,64})$'
class = "medium"
status = "stable"
source = "test"
examples = ["Acme"]
"""


def test_a_stated_name_claims_what_it_names(tmp_path: Path) -> None:
    """A maker's name claims the maker; a badge only the badge; an unknown name nothing."""
    knowledge = small_knowledge(tmp_path, acme=ACME, common=NAMES)
    matchers = Matchers(knowledge)

    def claims(text: str) -> list[dict[str, str]]:
        return [dict(item.claims) for item in matchers.match(Fact("onvif.manufacturer", text))]

    assert claims("acme digital") == [{"manufacturer": "Acme", "brand": "Acme"}]
    assert claims("BADGE") == [{"brand": "Badge"}]
    assert claims("General") == []


def test_case_and_white_space(tmp_path: Path) -> None:
    """Texts match in any case unless a rule says otherwise; captures lose stray white space."""
    matchers = Matchers(small_knowledge(tmp_path))
    assert [item.rule for item in matchers.match(Fact("http.server", "ACME-WEBS"))] == ["acme.http.server"]
    (item,) = matchers.match(Fact("http.title", "Acme AC-100T"))
    assert item.claims == {"manufacturer": "Acme", "model": "AC-100T"}


def test_long_texts_are_cut(tmp_path: Path) -> None:
    """What stands beyond the bound is not looked at, and evidence quotes only a beginning."""
    matchers = Matchers(small_knowledge(tmp_path))
    far = "x" * MATCH_LENGTH + "/name/Badge"
    assert matchers.match(Fact("onvif.scope", far)) == ()
    (item,) = matchers.match(Fact("onvif.scope", "/name/Badge" + "y" * 1000))
    assert len(item.text) == 300


def test_reweighted_shares_rules_but_not_weights(tmp_path: Path) -> None:
    """Another set of weights leaves the first one alone."""
    first = Matchers(small_knowledge(tmp_path))
    second = first.reweighted({"acme.http.server": 0.5})
    fact = Fact("http.server", "acme-webs")
    assert [item.weight for item in second.match(fact)] == [0.5]
    assert [item.weight for item in first.match(fact)] == [5.0]

"""Matching gives the claims that a rule states or captures."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fingerprints.matcher import (
    _SOON,
    MATCH_LENGTH,
    Matchers,
    automaton_available,
    literals_of,
    required_literals,
)
from fingerprints.model import Fact
from fingerprints.rules import load_knowledge
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


def test_an_unheard_name_is_the_badge_that_a_device_shows(tmp_path: Path) -> None:
    """A badge nobody knows is claimed as it stands; a name we know, or a word of one, is left to its rule."""
    badge = NAMES.replace("<maker>", "<badge>")
    matchers = Matchers(small_knowledge(tmp_path, acme=ACME, common=badge))

    def claims(text: str) -> list[dict[str, str]]:
        return [dict(item.claims) for item in matchers.match(Fact("onvif.manufacturer", text))]

    assert claims("Unheard Of") == [{"brand": "Unheard Of"}]
    assert claims("Acme") == []
    assert claims("The Acme People") == []
    assert claims("n/a") == []


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


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        (r"^App-webs/", [{"app-webs/"}]),
        (r"(?i)^HIK(?:VISION)?-Webs", [{"hik"}, {"-webs"}]),
        (r"(?P<model>DS-[0-9A-Z]+)", [{"ds-"}]),
        (r"a|b", []),
        (r"^(?:IPC-|NVR\d)x?", [{"ipc-", "nvr"}]),
        (r"^(?:IPC-|\d)x", []),
        (r"(?:abc){2,4}x?", [{"abc"}]),
        (r"(?!abc)(?:de)*fg", [{"fg"}]),
        (r"[A-Z]+", []),
    ],
)
def test_required_literals(pattern: str, literals: list[set[str]]) -> None:
    """Every match must hold one of each set; where none is certain there is no set."""
    assert required_literals(pattern) == literals


def test_a_prefix_that_all_rules_share_is_not_what_is_looked_for(tmp_path: Path) -> None:
    """Of what a rule needs, that is looked for which tells it from the other rules of its field."""
    rule = """
[[rule]]
id = "common.{name}"
field = "onvif.scope"
regex = '^onvif://www[.]onvif[.]org/(?:name|hardware)/{name}\\d'
class = "medium"
status = "stable"
claims = {{ device_class = "camera" }}
source = "test"
examples = ["onvif://www.onvif.org/name/{name}1"]
"""
    rules = "".join(rule.format(name=name) for name in ("first", "second"))
    knowledge = small_knowledge(tmp_path, acme=ACME, common=rules)
    chosen = literals_of([rule for rule in knowledge.rules if rule.path == "common.toml"])
    assert chosen == {"common.first": ("/first",), "common.second": ("/second",)}


@pytest.mark.skipif(not automaton_available(), reason="missing tool: ahocorasick-rs")
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_way_of_finding_candidates_agrees(data: st.DataObject) -> None:
    """With the automaton, without it, and one rule after another: the same evidence."""
    rule = data.draw(st.sampled_from(SHIPPED.rules))
    text = data.draw(
        st.sampled_from([example.text for example in rule.examples])
        | st.text(alphabet="aAiIkKsS\u017f\u0131\u212a-/ 0")
    )
    text = data.draw(st.sampled_from([text, text.upper(), text.lower(), f"x{text}", f"{text}x", text[:-1]]))
    fact = Fact(rule.field, text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fingerprints.matcher._SOON", 1)
        first, *others = (way.match(fact) for way in WAYS)
    for other in others:
        assert other == first


@pytest.mark.skipif(not automaton_available(), reason="missing tool: ahocorasick-rs")
def test_the_automaton_comes_when_it_is_worth_it() -> None:
    """A field that is often asked gets its automaton, and answers as before."""
    matchers = Matchers(SHIPPED, "automaton")
    fact = Fact("http.server", "App-webs/")
    first = matchers.match_uncached(fact)
    before = matchers._ready[fact.field]._finder
    assert all(matchers.match_uncached(fact) == first for _ in range(_SOON))
    assert matchers._ready[fact.field]._finder is not before


SHIPPED = load_knowledge()
WAYS = [Matchers(SHIPPED, "automaton"), Matchers(SHIPPED, "literals"), Matchers(SHIPPED, "every")]

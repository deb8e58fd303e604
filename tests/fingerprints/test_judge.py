"""The judge keeps maker and badge apart, counts a family once, shows conflicts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fingerprints.judge import Judge
from fingerprints.matcher import Matchers
from fingerprints.model import Fact, Verdict
from fingerprints.oui import Registry
from fingerprints.rules import load_knowledge
from tests.small_knowledge import small_knowledge

SADP = Fact("sadp.types", "inquiry")
SERVER = Fact("http.server", "acme-webs")
TITLE = Fact("http.title", "Acme AC-100T")
BADGE = Fact("onvif.scope", "onvif://www.onvif.org/name/Badge")
MIXED = Fact("onvif.scope", "onvif://www.onvif.org/name/Mixed")
OTHER = Fact("http.server", "other")
MAC = Fact("mac", "28:57:be:00:00:01")


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """A judge over the small knowledge with the packaged registry."""
    return Judge(Matchers(small_knowledge(tmp_path)), Registry.packaged())


def of(judge: Judge, *facts: Fact) -> Verdict:
    """The verdict on these facts."""
    return judge.judge(facts)


def test_nothing_said_is_unknown(judge: Judge) -> None:
    """Unknown is an answer, with no confidence."""
    verdict = of(judge)
    assert (verdict.level, verdict.manufacturer, verdict.confidence) == ("unknown", None, 0.0)


def test_a_protocol_proof_confirms(judge: Judge) -> None:
    """Answering the maker's own protocol is enough by itself."""
    verdict = of(judge, SADP)
    assert (verdict.level, verdict.manufacturer) == ("confirmed", "Acme")
    assert verdict.confidence >= 0.99


def test_one_family_counts_once(judge: Judge) -> None:
    """A second rule of a family changes nothing; a second family does."""
    one = of(judge, SERVER)
    assert of(judge, SERVER, TITLE).confidence == one.confidence
    assert one.level == "probable"
    assert of(judge, SERVER, MAC).level == "confirmed"


def test_badge_and_maker_are_told_apart(judge: Judge) -> None:
    """A badge on a proven maker is the brand; the maker stays."""
    verdict = of(judge, SADP, BADGE)
    assert (verdict.manufacturer, verdict.brand) == ("Acme", "Badge")
    assert not verdict.conflicts


def test_a_mixed_badge_never_decides(judge: Judge) -> None:
    """A brand that sells several makers' devices names no maker, but stays the brand."""
    verdict = of(judge, MIXED)
    assert (verdict.manufacturer, verdict.brand, verdict.level) == (None, "Mixed", "unknown")


def test_conflicts_are_kept(judge: Judge) -> None:
    """Two makers claimed: the proof wins, the other is shown."""
    verdict = of(judge, SADP, OTHER)
    assert verdict.manufacturer == "Acme"
    assert [(row.kept, row.against) for row in verdict.conflicts] == [("Acme", "Other")]
    assert verdict.confidence < of(judge, SADP).confidence


def test_even_claims_are_undecided(judge: Judge) -> None:
    """Equal evidence for two makers is not a verdict on either."""
    verdict = of(judge, Fact("http.server", "other"), MAC)
    assert verdict.level == "unknown"
    assert verdict.manufacturer is None
    assert {verdict.conflicts[0].kept, verdict.conflicts[0].against} == {"Acme", "Other"}


@pytest.mark.parametrize("name", ["dev.hik-connect.com", "www.easy4ipcloud.com", "api.eu.xiaoyi.com"])
def test_an_app_does_not_make_a_phone_a_camera(name: str) -> None:
    """A phone or computer calls clouds for its apps: their names count only for what may be a device."""
    shipped = Judge(Matchers(load_knowledge()), Registry.packaged())
    call = Fact("dns.query", name)
    assert shipped.judge([call]).manufacturer is not None
    for sign in (
        Fact("dns.query", "play.googleapis.com"),
        Fact("dhcp.vendor-class", "MSFT 5.0"),
        Fact("http.user-agent", "Dalvik/2.1.0 (Linux; U; Android 7.0; SM-G920F Build/NRD90M)"),
    ):
        verdict = shipped.judge([call, Fact("tls.sni", name), sign])
        assert (verdict.manufacturer, verdict.device_class) == (None, "not-surveillance")
        assert [note for note in verdict.notes if "cloud, as an app does" in note]
        own = [call, sign, Fact("http.server", "App-webs/")]
        assert shipped.judge(own).manufacturer == "Hikvision"


def test_model_line_gives_the_class(judge: Judge) -> None:
    """The model family table says what kind of device it is."""
    verdict = of(judge, TITLE)
    assert (verdict.model, verdict.device_class, verdict.line) == ("AC-100T", "camera", "thermal")


def test_local_macs_are_said_to_be_local(judge: Judge) -> None:
    """A locally administered MAC is noted, and proves nothing."""
    verdict = of(judge, Fact("mac", "2a:57:be:00:00:01"))
    assert verdict.level == "unknown"
    assert "locally administered" in verdict.notes[0]
    assert verdict.mac == "2a:57:be:00:00:01"


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(st.permutations([SADP, SERVER, TITLE, BADGE, OTHER, MAC]))
def test_order_does_not_matter(judge: Judge, facts: list[Fact]) -> None:
    """The verdict is a function of what was said, not of when."""
    verdict = of(judge, *facts)
    assert verdict == of(judge, SADP, SERVER, TITLE, BADGE, OTHER, MAC)


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(st.lists(st.tuples(st.sampled_from(["mac", "http.server", "onvif.scope", "http.title"]), st.text())))
def test_any_text_is_judged(judge: Judge, rows: list[tuple[str, str]]) -> None:
    """Whatever was said, a verdict comes back with a confidence between 0 and 1."""
    verdict = of(judge, *(Fact(field, text) for field, text in rows))
    assert 0 <= verdict.confidence <= 1

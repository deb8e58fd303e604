"""A verdict is put in words: which evidence proved which part, and what would change it."""

from __future__ import annotations

from pathlib import Path

from fingerprints.explain import explain_device
from fingerprints.judge import Judge
from fingerprints.matcher import Matchers
from fingerprints.model import Device, Fact, Finding, PolicyMatch
from tests.small_knowledge import small_knowledge


def words(tmp_path: Path, *facts: Fact) -> str:
    """The explanation of a device that said these facts."""
    knowledge = small_knowledge(tmp_path)
    verdict = Judge(Matchers(knowledge)).judge(facts)
    finding = Finding("flagged", (PolicyMatch("test", "Acme", "named", "2022-11-24"),))
    return "\n".join(explain_device(Device("x", verdict, finding, ("192.0.2.1",)), knowledge))


def test_maker_and_badge_have_their_own_proof(tmp_path: Path) -> None:
    """The badge stands beside its rule, the maker beside the protocol that proved it."""
    text = words(tmp_path, Fact("sadp.types", "inquiry"), Fact("onvif.scope", "/name/Badge"))
    assert "made by Acme, sold as Badge, confirmed" in text
    assert "proves manufacturer Acme (acme.sadp.answer" in text
    assert "proves brand Badge (acme.onvif.badge" in text
    assert "test, in force from 2022-11-24: named" in text


def test_nothing_known_says_what_to_do(tmp_path: Path) -> None:
    """An unknown device's explanation says what would help."""
    text = words(tmp_path)
    assert "the maker is not known" in text
    assert "what would change it: any sign of a maker" in text


def test_conflicts_are_told(tmp_path: Path) -> None:
    """The other maker and its rule are named."""
    text = words(tmp_path, Fact("sadp.types", "inquiry"), Fact("http.server", "other"))
    assert "conflict: manufacturer Other was said too (by other.http.server); Acme is kept" in text


def test_device_text_plays_no_tricks(tmp_path: Path) -> None:
    """Control characters of a device's own text are shown, not obeyed."""
    text = words(tmp_path, Fact("http.server", "acme-webs\x1b[31m\u202e"))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[31m" in text

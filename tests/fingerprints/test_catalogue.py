"""The catalogue in the documentation is the one that the files give."""

from __future__ import annotations

from fingerprints.catalogue import catalogue
from fingerprints.policy import load_policies
from fingerprints.rules import HERE, load_knowledge
from tests.places import REPO


def test_docs_knowledge_is_current() -> None:
    """docs/knowledge.md is what `camcensus rules catalogue` prints today."""
    knowledge = load_knowledge()
    ids = sorted(path.stem for path in (HERE / "policies").glob("*.toml"))
    text = "\n".join(catalogue(knowledge, load_policies(knowledge, ids))) + "\n"
    assert (REPO / "docs" / "knowledge.md").read_text(encoding="utf-8") == text

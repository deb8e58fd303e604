"""Policies flag only the makers that an entry names, on the days they are in force."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from fingerprints.model import Verdict
from fingerprints.policy import apply_policies, load_policies, load_policy
from fingerprints.rules import Knowledge, RuleError, load_knowledge
from tests.places import REPO
from tests.small_knowledge import small_knowledge

POLICY = """
id = "test"
title = "Test list"
jurisdiction = "GB"
kind = "criterion"
in_force_from = 2022-11-24
source = "test"
criterion = { jurisdiction = "CN" }
device_classes = ["camera", "unknown"]
"""
ENTRY = '[[entry]]\nmanufacturer = "Acme"\nbasis = "read"\nsource = "test"\n'

CAMERA = Verdict(manufacturer="Acme", device_class="camera", confidence=0.99, level="confirmed")


@pytest.fixture
def knowledge(tmp_path: Path) -> Knowledge:
    """The small knowledge."""
    return small_knowledge(tmp_path)


def written(tmp_path: Path, text: str) -> Path:
    """`text` as a policy file."""
    path = tmp_path / "test.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_levels_become_findings(tmp_path: Path, knowledge: Knowledge) -> None:
    """Confirmed and probable are flagged, possible is suspected, unknown is unidentified."""
    policy = load_policy(written(tmp_path, POLICY + ENTRY), knowledge)
    found = {
        level: apply_policies(Verdict("Acme", "Acme", "camera", level=level), [policy], knowledge).status
        for level in ("confirmed", "probable", "possible")
    }
    assert found == {"confirmed": "flagged", "probable": "flagged", "possible": "suspected"}
    assert apply_policies(Verdict(), [policy], knowledge).status == "unidentified"
    assert apply_policies(Verdict(device_class="not-surveillance"), [policy], knowledge).status == "clear"


def test_a_criterion_alone_flags_nobody(tmp_path: Path, knowledge: Knowledge) -> None:
    """A maker the criterion may reach stays clear and says so until somebody has reviewed it."""
    policy = load_policy(written(tmp_path, POLICY), knowledge)
    finding = apply_policies(CAMERA, [policy], knowledge)
    assert finding.status == "clear"
    assert "may reach Acme" in finding.notes[0]
    assert apply_policies(Verdict("Other", level="confirmed"), [policy], knowledge).notes == ()


def test_dates_and_classes_bound_an_entry(tmp_path: Path, knowledge: Knowledge) -> None:
    """Before the policy, after the entry or for another class of device nothing is flagged."""
    policy = load_policy(written(tmp_path, POLICY + ENTRY + "to = 2024-01-01\n"), knowledge)
    assert apply_policies(CAMERA, [policy], knowledge, date(2022, 1, 1)).status == "clear"
    assert apply_policies(CAMERA, [policy], knowledge, date(2023, 1, 1)).status == "flagged"
    assert apply_policies(CAMERA, [policy], knowledge, date(2025, 1, 1)).status == "clear"
    switch = Verdict("Acme", device_class="not-surveillance", level="confirmed")
    assert apply_policies(switch, [policy], knowledge, date(2023, 1, 1)).status == "clear"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (POLICY.replace("in_force_from = 2022-11-24\n", ""), "lacks in_force_from"),
        (POLICY.replace("2022-11-24", '"soon"'), "is not a date"),
        (POLICY + 'colour = "red"\n', "unknown key colour"),
        (POLICY + ENTRY.replace("Acme", "Nobody"), "no file introduces"),
        ("id = ", "Invalid value"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, knowledge: Knowledge, text: str, says: str) -> None:
    """A wrong policy file is refused, naming the file."""
    with pytest.raises(RuleError, match=says) as caught:
        load_policy(written(tmp_path, text), knowledge)
    assert "test.toml" in str(caught.value)


def test_unknown_policies_are_refused() -> None:
    """An id that no file has is refused, listing those there are."""
    with pytest.raises(RuleError, match="uk-2022-sensitive-sites"):
        load_policies(load_knowledge(), ["no-such-policy"])


def test_shipped_policies_load_and_name_the_two() -> None:
    """By default Hikvision and Dahua cameras are flagged and nobody else's."""
    knowledge = load_knowledge()
    policies = load_policies(knowledge)
    flagged = {
        maker
        for maker in knowledge.manufacturers
        if apply_policies(
            Verdict(maker, device_class="camera", level="confirmed"), policies, knowledge
        ).status
        == "flagged"
    }
    assert flagged == {"Hikvision", "Dahua"}
    load_policies(knowledge, ["ndaa-889"])


def test_a_users_own_policy_is_found_by_its_name(tmp_path: Path) -> None:
    """The example of the documentation, in the user's own folder, names what it lists."""
    example = REPO / "docs" / "watch-list.example.toml"
    (tmp_path / "watch-list.toml").write_text(example.read_text(encoding="utf-8"), encoding="utf-8")
    knowledge = load_knowledge()
    (policy,) = load_policies(knowledge, ["watch-list"], tmp_path)
    verdict = Verdict("Uniview", device_class="camera", level="confirmed")
    assert apply_policies(verdict, [policy], knowledge).status == "flagged"
    with pytest.raises(RuleError, match=r"write .*nothing\.toml"):
        load_policies(knowledge, ["nothing"], tmp_path)


def test_a_folder_that_cannot_be_looked_into_holds_no_policy(tmp_path: Path) -> None:
    """What the system refuses to look up (here: a name too long) is not there, and no OSError leaks."""
    knowledge = load_knowledge()
    assert load_policies(knowledge, own=tmp_path / ("x" * 300))
    with pytest.raises(RuleError, match="there is no policy"):
        load_policies(knowledge, ["x" * 300], tmp_path / ("y" * 300))

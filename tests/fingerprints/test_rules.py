"""The loader refuses whatever is not exactly right, naming the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from fingerprints.rules import EXPERIMENTAL_LIMIT, RuleError, load_knowledge
from tests.small_knowledge import ACME, OTHER, small_folder, small_knowledge


def broken(text: str, old: str, new: str) -> str:
    """`text` with its first `old` replaced, which must be there."""
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('field = "sadp.types"', 'field = "sadp.nonsense"', 21, "unknown field 'sadp.nonsense'"),
        (
            'source = "test"\nexamples = ["inquiry"]',
            'source = ""\nexamples = ["inquiry"]',
            21,
            "has no source",
        ),
        ('examples = ["inquiry"]', "examples = []", 21, "has no example"),
        ('exact = "inquiry"', 'exact = "inquiry"\nprefix = "x"', 21, "needs exactly one of"),
        ('class = "proof"', 'class = "sure"', 21, "class 'sure' is none of"),
        ('claims = { manufacturer = "Acme" }', "claims = { maker = 'Acme' }", 21, "claims unknown maker"),
        ('id = "acme.sadp.answer"', 'id = "sadp.answer"', 21, "begins with the file's name"),
        ('id = "acme.sadp.answer"', 'id = "acme.SADP"', 21, "lower-case words"),
        (
            'claims = { manufacturer = "Acme" }',
            'claims = { manufacturer = "Acne" }',
            21,
            "unknown manufacturer 'Acne'",
        ),
        ("(?P<model>[A-Z0-9-]{3,20})", "(?P<modell>[A-Z0-9-]{3,20})", 42, "unknown capture modell"),
        ("(?P<model>[A-Z0-9-]{3,20})", "(?P<model>[A-Z0-9-]{3,20}", 42, "regex"),
        ('kind = "oem"', 'kind = "cousin"', 8, "kind 'cousin' is none of"),
        ('confidence = "high"', 'confidence = "low"', 8, "only edges of high or medium"),
        ('status = "stable"', 'status = "stable"\nfoo = 1', 21, "unknown key `foo`"),
        ('claims = { brand = "Badge" }', 'claims = { brand = "badge" }', 52, "is spelt 'Badge'"),
        ('device_class = "camera"', 'device_class = "toaster"', 82, "unknown device class 'toaster'"),
    ],
)
def test_mistakes_name_file_line_and_rule(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    """Each kind of mistake is refused with the file and the line of its block."""
    with pytest.raises(RuleError) as caught:
        small_knowledge(tmp_path, acme=broken(ACME, old, new), other=OTHER)
    assert says in str(caught.value)
    assert "acme.toml" in str(caught.value)
    assert caught.value.line == line


def test_broken_toml_names_its_line(tmp_path: Path) -> None:
    """A file that is not TOML is refused with the line the parser stopped at."""
    with pytest.raises(RuleError) as caught:
        small_knowledge(tmp_path, acme="[manufacturer]\nname = \n", other=OTHER)
    assert caught.value.line == 2


def test_an_id_stands_once(tmp_path: Path) -> None:
    """The same rule twice is refused, naming both places."""
    block = ACME[ACME.index("[[rule]]") : ACME.index("[[rule]]", ACME.index("[[rule]]") + 5)]
    with pytest.raises(RuleError, match=r"acme.sadp.answer: stands in acme.toml:21 too"):
        small_knowledge(tmp_path, acme=ACME + block)


def test_a_name_belongs_to_one_maker(tmp_path: Path) -> None:
    """Two makers may not share a spelling."""
    with pytest.raises(RuleError, match="names both"):
        small_knowledge(tmp_path, acme=ACME, other=broken(OTHER, '"SE"', '"SE"\naliases = ["acme digital"]'))


def test_names_are_found_in_any_spelling(tmp_path: Path) -> None:
    """Aliases, case, underscores and punctuation all lead to the one spelling."""
    knowledge = small_knowledge(tmp_path)
    assert knowledge.maker_named("ACME_DIGITAL") == "Acme"
    assert knowledge.maker_named("acme") == "Acme"
    assert knowledge.maker_named("General") is None
    assert [edge.manufacturer for edge in knowledge.brands_named("BADGE")] == ["Acme"]


def test_experimental_rules_weigh_little(tmp_path: Path) -> None:
    """A fact that nobody recorded is held down whatever its class."""
    rules = {rule.id: rule for rule in small_knowledge(tmp_path).rules}
    assert rules["other.guess"].weight == EXPERIMENTAL_LIMIT
    assert rules["other.http.server"].weight > EXPERIMENTAL_LIMIT


def test_fitted_weights_replace_class_weights(tmp_path: Path) -> None:
    """weights.toml changes a rule's weight; an override without a reason is refused."""
    folder = small_folder(tmp_path)
    (folder / "weights.toml").write_text('[rule."acme.http.server"]\nweight = 3.25\n', encoding="utf-8")
    rules = {rule.id: rule for rule in load_knowledge(folder).rules}
    assert rules["acme.http.server"].weight == 3.25
    (folder / "weights.toml").write_text('[override."acme.http.server"]\nweight = 3\n', encoding="utf-8")
    with pytest.raises(RuleError, match="needs a `reason`"):
        load_knowledge(folder)


def test_shipped_knowledge_loads() -> None:
    """The files in the package are right."""
    knowledge = load_knowledge()
    assert knowledge.rules
    assert {"Hikvision", "Dahua"} <= set(knowledge.manufacturers)

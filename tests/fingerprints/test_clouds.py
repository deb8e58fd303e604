"""Tests of the names of makers' clouds."""

from __future__ import annotations

from pathlib import Path

import pytest

from fingerprints.clouds import load_clouds, maker_of
from fingerprints.rules import RuleError, load_knowledge

GOOD = """
[[cloud]]
maker = "Hikvision"
purpose = "viewing"
domains = ["example.com"]
source = "a source"
confidence = "reported"
"""


@pytest.mark.parametrize(
    ("name", "domain", "maker"),
    [
        ("apiius.hik-connect.com", "hik-connect.com", "Hikvision"),
        ("VTMRUSHW.ezvizru.COM.", "ezvizru.com", "Hikvision"),
        ("easy4ipcloud.com", "easy4ipcloud.com", "Dahua"),
        ("devs.tplinkcloud.com", "tplinkcloud.com", "TP-Link"),
        ("ot.io.mi.com", "io.mi.com", "Xiaomi"),
        ("business.smartcamera.api.io.mi.com", "smartcamera.api.io.mi.com", "Xiaomi"),
    ],
)
def test_the_longest_name_decides(name: str, domain: str, maker: str) -> None:
    """A name below two clouds belongs to the longer one, whatever its case or last dot."""
    found = maker_of(name)
    assert found is not None
    assert (found.domain, found.maker) == (domain, maker)


@pytest.mark.parametrize(
    "name", ["", ".", "com", "nothik-connect.com", "hik-connect.com.example.net", "a." * 9_000]
)
def test_other_names_are_nobodys(name: str) -> None:
    """A name that only resembles a cloud's, or has it in front, is nobody's."""
    assert maker_of(name) is None


def test_the_shipped_file_names_known_makers() -> None:
    """Every maker of the shipped file is one that the knowledge introduces."""
    names = load_clouds(makers=load_knowledge().manufacturers)
    assert len(names.by_domain) > 30
    with pytest.raises(RuleError, match=r"clouds\.toml:\d+: .* no file introduces"):
        load_clouds(makers=["Nobody"])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            GOOD.replace("example.com", "EXAMPLE.com"),
            r"clouds\.toml:2: Hikvision: 'EXAMPLE.com' is not a domain",
        ),
        (GOOD.replace('["example.com"]', "[]"), r"clouds\.toml:2: .*list of names"),
        (GOOD.replace('["example.com"]', "[7]"), r"clouds\.toml:2: .*7 is not a domain"),
        (GOOD.replace("a source", " "), r"clouds\.toml:2: .*`source` is not a text"),
        (GOOD.replace('"reported"', '"sure"'), r"clouds\.toml:2: .*`confidence`"),
        (GOOD.replace("purpose", "use"), r"clouds\.toml:2: .*must have just"),
        (GOOD + GOOD, r"clouds\.toml:9: example\.com: stands twice"),
        ("cloud = 1", r"clouds\.toml: holds something else"),
        ("x = 1" + GOOD, r"clouds\.toml: holds something else"),
        ("[[", r"clouds\.toml: "),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, what: str, tmp_path: Path) -> None:
    """What is wrong is said with file and line."""
    (tmp_path / "clouds.toml").write_text(text, encoding="utf-8")
    with pytest.raises(RuleError, match=what):
        load_clouds(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A folder without the file is a mistake, too."""
    with pytest.raises(RuleError, match=r"clouds\.toml"):
        load_clouds(tmp_path)

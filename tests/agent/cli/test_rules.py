"""Tests of ``camcensus rules``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli.app import run
from tests.small_knowledge import ACME, OTHER, small_folder


def test_check_and_test_pass_on_what_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    """Both end with 0 and one line that counts what was looked at."""
    assert run(["rules", "check"]) == 0
    assert "nothing wrong" in capsys.readouterr().err
    assert run(["rules", "test"]) == 0
    assert "each is won by its own maker" in capsys.readouterr().err


def test_an_example_that_another_maker_wins_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule whose example proves somebody else is named, and the exit is 2."""
    thief = ACME.replace('exact = "inquiry"', 'exact = "other"').replace('["inquiry"]', '["other"]')
    thief = thief.replace('field = "sadp.types"', 'field = "http.server"')
    folder = small_folder(tmp_path, acme=thief, other=OTHER)
    assert run(["rules", "test", "--folder", str(folder)]) == 2
    assert "other.http.server" in capsys.readouterr().err


def test_list_has_a_line_a_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table names id, field and test; JSON lines hold the whole rule."""
    folder = small_folder(tmp_path)
    assert run(["rules", "list", "acme.http.*", "--folder", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["acme.http.server", "http.server"],
        ["acme.http.title", "http.title"],
    ]
    assert run(["rules", "list", "acme.oui", "--folder", str(folder), "--format", "jsonl"]) == 0
    rule = json.loads(capsys.readouterr().out)
    assert (rule["id"], rule["claims"]) == ("acme.oui", {"manufacturer": "Acme"})


def test_show_says_where_a_rule_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A shown rule has what it looks for, what it claims, its source, its file and line."""
    folder = small_folder(tmp_path)
    assert run(["rules", "show", "acme.http.server", "--folder", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "prefix acme-webs" in said
    assert "manufacturer = Acme" in said
    number = (
        (folder / "manufacturers" / "acme.toml").read_text().splitlines().index('id = "acme.http.server"')
    )
    assert f"acme.toml:{number}" in said or f"acme.toml:{number + 1}" in said


def test_an_unknown_rule_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Asking for a rule that is not there is a usage error with its name."""
    assert run(["rules", "show", "no.such.rule"]) == 2
    assert "no.such.rule" in capsys.readouterr().err

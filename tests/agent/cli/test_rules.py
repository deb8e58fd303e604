"""Tests of ``camcensus rules``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli.app import run
from tests.fingerprints.test_pack import PRIVATE, PUBLIC
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


YARD = {
    "id": "yard",
    "observations": [
        {"field": "http.server", "text": "Newcam-Httpd/2.1"},
        {"field": "rtsp.www-authenticate", "text": 'Digest realm="NEWCAM 00A1B2C3D4E5", nonce="77"'},
    ],
}


def test_new_begins_the_rules_of_an_unknown_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The road of CONTRIBUTING: what is printed loads, passes, and then names the device."""
    sample = tmp_path / "yard.jsonl"
    sample.write_text(json.dumps(YARD), encoding="utf-8")
    assert run(["rules", "new", "--from", str(sample), "--device", "yard", "--manufacturer", "Newcam"]) == 0
    text = capsys.readouterr().out
    assert "00A1B2C3D4E5" not in text
    folder = small_folder(tmp_path / "knowledge", newcam=text.replace('class = "weak" ', 'class = "strong" '))
    assert run(["rules", "test", "--folder", str(folder), "--matrix"]) == 0
    assert capsys.readouterr().out.startswith("Newcam")


def test_a_pack_is_made_and_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `rules update` the pack's knowledge is the one in use; the same pack again is refused."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "private.pem").write_bytes(PRIVATE)
    (tmp_path / "public.pem").write_bytes(PUBLIC)
    pack = str(tmp_path / "rules.ccpack")
    folder = str(small_folder(tmp_path / "knowledge"))
    key = ["--key", str(tmp_path / "private.pem")]
    assert run(["rules", "pack", pack, *key, "--number", "99", "--folder", folder]) == 0
    trusting = ["rules", "update", pack, "--key", str(tmp_path / "public.pem")]
    assert run(["rules", "update", pack]) == 2
    assert "no key is trusted" in capsys.readouterr().err
    assert run(trusting) == 0
    assert run(["rules", "list", "acme.oui"]) == 0
    assert "acme.oui" in capsys.readouterr().out
    assert run(trusting) == 2
    assert "number 99 is in use" in capsys.readouterr().err


def test_the_catalogue_is_markdown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Makers, badges and gaps of a folder, as a document."""
    assert run(["rules", "catalogue", "--folder", str(small_folder(tmp_path))]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# What camcensus knows")
    assert "| Badge | Acme | oem | high | yes |" in text

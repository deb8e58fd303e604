"""Tests of ``camcensus explain``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli.app import run
from tests.places import REPO


@pytest.fixture
def report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The JSON report on one capture."""
    path = tmp_path / "report.json"
    assert (
        run(["replay", str(REPO / "pcaps" / "hikvision.pcap"), "--format", "json", "--output", str(path)])
        == 0
    )
    capsys.readouterr()
    return path


def test_a_device_of_a_report_is_explained_rule_by_rule(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text names every rule that fired, its source, the finding, and what would change the verdict."""
    device = next(row for row in json.loads(report.read_text())["devices"] if row["finding"] == "flagged")
    assert run(["explain", device["addresses"][0], "--from", str(report)]) == 0
    said = " ".join(capsys.readouterr().out.replace("-\n", "-").split())
    assert "made by Hikvision" in said
    assert "what would change it" in said
    assert "uk-2022-sensitive-sites" in said
    for evidence in device["evidence"]:
        assert evidence["rule"].replace(" ", "") in said.replace(" ", "")


def test_any_name_of_a_device_will_do(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Address, MAC in capitals and id lead to the same device."""
    device = next(row for row in json.loads(report.read_text())["devices"] if row["macs"])
    texts = set()
    for name in (device["addresses"][0], device["macs"][0].upper(), device["id"]):
        assert run(["explain", name, "--from", str(report)]) == 0
        texts.add(capsys.readouterr().out)
    assert len(texts) == 1


def test_recorded_observations_are_explained_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The input of identify serves as well as a report."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "x1", "observations": [{"field": "http.server", "text": "App-webs/"}]}\n')
    assert run(["explain", "x1", "--from", str(path), "--format", "json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["manufacturer"] == "Hikvision"
    assert any("hikvision.http" in line for line in row["explanation"])


def test_a_device_that_is_not_there_is_named(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says whom nobody is called."""
    assert run(["explain", "198.51.100.250", "--from", str(report)]) == 2
    assert "198.51.100.250" in capsys.readouterr().err

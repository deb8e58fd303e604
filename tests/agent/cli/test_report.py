"""Tests of ``camcensus report``: documents of one report, or of the inventory."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from openpyxl import load_workbook

from agent.cli.app import run
from tests.agent.cli.test_recording import PCAP, ran
from tests.places import REPO

PCAPS = REPO / "pcaps"


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JSON report of one of our captures."""
    path = tmp_path_factory.mktemp("report") / "report.json"
    run(["replay", str(PCAPS / "oem-badged.pcap"), "--format", "json", "--output", str(path), "--quiet"])
    return path


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("r.html", b"<!DOCTYPE html>"),
        ("R.HTM", b"<!DOCTYPE html>"),
        ("r.xlsx", b"PK"),
        ("r.xml", b"<?xml"),
        ("r.csv", b"id,finding"),
        ("r.json", b"{"),
        ("r.jsonl", b"{"),
        ("r.txt", b"ADDRESS"),
    ],
)
def test_the_name_of_the_file_says_the_form(replayed: Path, tmp_path: Path, name: str, begins: bytes) -> None:
    """What --output ends in chooses the form, and the file is whole."""
    output = tmp_path / name
    assert run(["report", "--from", str(replayed), "--output", str(output)]) == 0
    assert output.read_bytes().startswith(begins)


def test_a_form_that_is_named_wins(replayed: Path, tmp_path: Path) -> None:
    """With --format the name of the file says nothing; a flag can make a finding the exit code."""
    output = tmp_path / "r.csv"
    argv = ["report", "--from", str(replayed), "-o", str(output), "-f", "html", "--fail-on", "flagged"]
    assert run(argv) == 3
    assert output.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_report_comes_by_a_pipe(replayed: Path) -> None:
    """``-`` is standard input; a workbook goes to a pipe whole."""
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "report", "--from", "-", "--format", "xlsx"],
        cwd=REPO,
        input=replayed.read_bytes(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert load_workbook(io.BytesIO(done.stdout))["Devices"]["B2"].value == "flagged"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"{}", "schema None is not one this version reads"),
        (b'{"schema": 1, "devices": [7]}', "devices[0] is not a JSON object"),
    ],
)
def test_a_file_that_is_no_report_is_named(
    content: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the file with what is wrong; nothing is written."""
    path, output = tmp_path / "odd.json", tmp_path / "r.html"
    path.write_bytes(content)
    assert run(["report", "--from", str(path), "--output", str(output)]) != 0
    told = capsys.readouterr().err
    assert told.startswith(f"camcensus: {path}: ")
    assert why in told
    assert told.count("\n") == 1
    assert not output.exists()


def test_a_site_is_of_the_inventory(replayed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--site with --from is a mistake that is said."""
    assert run(["report", "--from", str(replayed), "--site", "x"]) == 2
    assert "--site" in capsys.readouterr().err


def test_the_inventory_is_reported(tmp_path: Path) -> None:
    """What scans kept is one report: of all sites, of one by its name; verdicts with their evidence."""
    for site, capture in (("Hill School", "hikvision"), ("Town Hall", "dahua")):
        path = str(PCAPS / f"{capture}.pcap")
        assert ran(tmp_path, "replay", path, "--record", "--site", site, "-f", "json").returncode == 0
    both = json.loads(ran(tmp_path, "report", "--format", "json").stdout)
    assert {row["site"] for row in both["devices"]} == {"Hill School", "Town Hall"}
    assert {row["manufacturer"] for row in both["devices"]} >= {"Hikvision", "Dahua"}
    flagged = [row for row in both["devices"] if row["finding"] == "flagged"]
    assert all(row["evidence"] and row["policies"] and row["addresses"] for row in flagged)
    assert all("removal: found" in row["notes"] for row in flagged)
    assert all(0.9 < row["confidence"] < 1 for row in flagged)
    assert any("Hill School: " in row["what"] for row in both["coverage"]["blind_spots"])
    assert both["run"]["policies"]
    one = ran(tmp_path, "report", "--site", "Town Hall", "--format", "csv")
    assert "Hikvision" not in one.stdout
    assert "Dahua" in one.stdout


def test_calls_and_places_come_out_again(tmp_path: Path) -> None:
    """What a report said of clouds, switch ports and recorders is in the report of the inventory."""
    at = "2026-11-02T06:00:00Z"
    device = {
        "id": "192.0.2.7",
        "mac": "28:57:be:00:00:01",
        "manufacturer": "Hikvision",
        "confidence": 0.99,
        "level": "confirmed",
        "finding": "flagged",
        "addresses": ["192.0.2.7"],
        "macs": ["28:57:be:00:00:01"],
        "first_seen": at,
        "last_seen": at,
        "location": {"switch": "core-1", "port": "ge-0/0/7"},
    }
    call = {
        "device": "192.0.2.7",
        "maker": "Hikvision",
        "name": "hik-connect.com",
        "count": 7,
        "bytes_sent": 900,
    }
    document = {"schema": 1, "devices": [device], "phone_home": [{**call, "first_seen": at, "last_seen": at}]}
    words = (
        "import sys, json; from inventory.embedded import keep; from inventory.report import document;"
        "kept = keep(json.load(sys.stdin), 'Hill'); print(json.dumps(document()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", words],
        cwd=REPO,
        input=json.dumps(
            {**document, "coverage": {}, "problems": [], "run": {"started": at, "finished": at}}
        ),
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["devices"][0]["location"]["port"] == "ge-0/0/7"
    assert [(row["device"], row["count"]) for row in told["phone_home"]] == [(told["devices"][0]["id"], 7)]


def test_a_site_that_nobody_scanned_is_no_empty_one(tmp_path: Path) -> None:
    """Sites of which no run ever came are named beside what was found, and the report is incomplete."""
    path = str(PCAPS / "hikvision.pcap")
    assert ran(tmp_path, "replay", path, "--record", "--site", "Hill School", "-q").returncode == 0
    whole = json.loads(ran(tmp_path, "report", "--format", "json").stdout)["coverage"]
    words = (
        "from inventory.embedded import ready; ready(); from inventory.models import Site;"
        "there = Site.objects.get(); Site.objects.create(organisation=there.organisation, code='a', name='Annexe')"
    )
    subprocess.run(
        [sys.executable, "-c", words],
        cwd=REPO,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        check=True,
        timeout=60,
    )
    done = ran(tmp_path, "report", "--format", "json")
    told = json.loads(done.stdout)["coverage"]
    assert {row["what"] for row in told["blind_spots"]} - {row["what"] for row in whole["blind_spots"]} == {
        "Annexe: never scanned"
    }
    assert (told["incomplete"], done.returncode) == (True, 4)


def test_an_inventory_without_scans_is_not_all_clear(tmp_path: Path) -> None:
    """Nothing known is said as such, with the exit code of what is incomplete; a wrong site is named."""
    empty = ran(tmp_path, "report")
    assert empty.returncode == 4
    assert "no scan is in it yet" in empty.stdout
    assert ran(tmp_path, "replay", PCAP, "--record", "--site", "here", "-q").returncode == 0
    wrong = ran(tmp_path, "report", "--site", "nowhere")
    assert (wrong.returncode, wrong.stderr) == (2, "camcensus: the inventory: no site is called 'nowhere'\n")

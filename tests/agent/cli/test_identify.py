"""Tests of ``camcensus identify``: the contract of one line out for each line in."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.cli.app import run
from tests.places import REPO, SHARED, needs_shared

HIKVISION = {"id": "x1", "observations": [{"field": "http.server", "text": "App-webs/"}]}
CONTRACT = {
    *("id", "manufacturer", "brand", "device_class", "model", "firmware", "serial", "mac", "confidence"),
    *("level", "finding", "policies", "evidence", "conflicts", "problems"),
}


def identified(
    capsys: pytest.CaptureFixture[str], path: Path, *words: str
) -> tuple[int, list[dict[str, Any]]]:
    code = run(["identify", str(path), *words])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_out_has_the_keys_of_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The documented keys are there, and the evidence names rule, family, field, text, claims and weight."""
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(HIKVISION) + "\n")
    code, [row] = identified(capsys, path)
    assert code == 0
    assert set(row) >= CONTRACT
    assert (row["id"], row["manufacturer"]) == ("x1", "Hikvision")
    assert {"rule", "family", "field", "text", "claims", "weight"} <= set(row["evidence"][0])


def test_every_line_in_gives_a_line_out_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad lines are answered, too: their problem is said, the id is kept where it can be read, and the exit is 4."""
    lines = [
        json.dumps(HIKVISION),
        "not json",
        '{"id": "x3"}',
        '{"id": "x4", "observations": [{"field": "no.such", "text": "a"}]}',
        "",
        "[1]",
        json.dumps({**HIKVISION, "id": "x7"}),
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines) + "\n")
    code, rows = identified(capsys, path)
    assert code == 4
    assert [row["id"] for row in rows] == ["x1", None, "x3", "x4", None, None, "x7"]
    assert [bool(row["problems"]) for row in rows] == [False, True, True, True, True, True, False]
    assert rows[1]["problems"][0]["where"] == f"{path}:2"
    assert rows[-1]["manufacturer"] == "Hikvision"


def test_fail_on_is_told_by_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --fail-on the exit is 3 if a device is found so, and 0 if none is."""
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(HIKVISION) + "\n")
    assert identified(capsys, path, "--fail-on", "suspected")[0] == 3
    path.write_text('{"id": "x", "observations": [{"field": "http.server", "text": "nginx"}]}\n')
    assert identified(capsys, path, "--fail-on", "suspected")[0] == 0


def test_each_answer_is_given_at_once() -> None:
    """A program that writes a line to us gets its answer before it writes the next."""
    with subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "identify", "-"],
        cwd=REPO,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(2):
            process.stdin.write(json.dumps(HIKVISION) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == "x1"
        process.stdin.close()
        assert process.wait(30) == 0


def test_an_endless_line_is_one_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line longer than is read costs itself alone, not the line after it."""
    path = tmp_path / "a.jsonl"
    with path.open("w") as out:
        for _ in range(20):
            out.write("x" * 1_000_000)
        out.write("\n" + json.dumps(HIKVISION) + "\n")
    code, rows = identified(capsys, path)
    assert code == 4
    assert [row["id"] for row in rows] == [None, "x1"]


def test_the_table_shows_the_same_devices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--format table is the report for people of the same lines."""
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(HIKVISION) + "\n")
    assert run(["identify", str(path), "--format", "table"]) == 0
    assert "Hikvision" in capsys.readouterr().out


def test_output_goes_to_the_file_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--output leaves stdout empty and the file whole."""
    path, out = tmp_path / "a.jsonl", tmp_path / "out.jsonl"
    path.write_text(json.dumps(HIKVISION) + "\n")
    assert run(["identify", str(path), "-o", str(out)]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads(out.read_text())["id"] == "x1"


@needs_shared
def test_the_corpus_gives_a_line_for_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Every recorded line is answered under its own id."""
    path = SHARED / "corpus" / "train.jsonl"
    _, rows = identified(capsys, path)
    assert [row["id"] for row in rows] == [
        json.loads(line)["id"] for line in io.StringIO(path.read_text(encoding="utf-8"))
    ]


def test_a_report_is_judged_again_without_a_scan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The device lines of a replay are themselves input: the same makers come out."""
    lines = tmp_path / "devices.jsonl"
    capture = str(REPO / "pcaps" / "oem-badged.pcap")
    assert run(["replay", capture, "--format", "jsonl", "-o", str(lines), "--quiet"]) == 0
    assert run(["identify", str(lines), "--quiet"]) in {0, 4}
    before = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    after = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["id"], row["manufacturer"], row["brand"], row["finding"]) for row in after] == [
        (row["id"], row["manufacturer"], row["brand"], row["finding"]) for row in before
    ]
    assert any(row["manufacturer"] for row in before)


def test_a_folder_of_samples_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every .jsonl file in it, in order of their names."""
    for name in ("b", "a"):
        row = {"id": name, "observations": [{"field": "http.server", "text": "App-webs/"}]}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert run(["identify", str(tmp_path)]) == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["a", "b"]

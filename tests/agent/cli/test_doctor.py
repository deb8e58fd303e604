"""Tests of ``camcensus doctor``."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from agent.cli.app import run
from tests.places import REPO


def test_what_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """Every part that limits a run is in the list, each with a state and what was found."""
    assert run(["doctor", "--format", "json"]) == 0
    checks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {check["name"] for check in checks} >= {
        *("python", "raw sockets", "libpcap", "subnets", "open files", "output", "rules", "registry"),
        "policy",
    }
    assert all(check["found"] and check["state"] in {"good", "limited", "broken"} for check in checks)
    assert all(check["fix"] for check in checks if check["state"] == "broken")


def test_few_open_files_are_a_limit_with_its_fix() -> None:
    """A low limit of the shell is named with the command that raises it; quiet shows only such."""
    done = subprocess.run(
        ["sh", "-c", f"ulimit -n 200; exec '{sys.executable}' -m agent.cli doctor --quiet"],
        cwd=REPO,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "open files  only 200 at once" in done.stdout
    assert "ulimit -n" in done.stdout
    assert "ok " not in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_a_registry_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The doctor fails as every command does where the user's own file is wrong."""
    assert run(["doctor", "--oui", "/nowhere/oui.csv"]) == 2
    assert "/nowhere/oui.csv" in capsys.readouterr().err

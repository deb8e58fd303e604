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
        *("policy", "vlan trunk", "snmp", "logins", "keyring"),
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


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        (
            "keyrings.alt.file.PlaintextKeyring",
            "!!  keyring     keyrings.alt.file.PlaintextKeyring protects passwords little",
        ),
        ("keyring.backends.fail.Keyring", "!!  keyring     this session has none"),
        ("keyring.backends.nowhere.Keyring", "!!  keyring     cannot be used"),
    ],
)
def test_the_keyring(backend: str, said: str) -> None:
    """Whether passwords can lie in the keyring is said, with its kind."""
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "doctor"],
        cwd=REPO,
        env={**os.environ, "PYTHON_KEYRING_BACKEND": backend, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give it up")
def test_a_trunk_needs_raw_sockets() -> None:
    """Without the capability, the doctor says that VLANs cannot be asked, with what would allow it."""
    done = subprocess.run(
        [
            "setpriv",
            "--bounding-set=-net_raw",
            "--inh-caps=-net_raw",
            sys.executable,
            "-m",
            "agent.cli",
            "doctor",
        ],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "!!  raw sockets not allowed" in done.stdout, done.stderr
    assert "!!  vlan trunk  --vlans cannot be used: raw sockets are not allowed" in done.stdout
    assert "cap_net_raw" in done.stdout

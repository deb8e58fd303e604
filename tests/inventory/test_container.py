"""Tests that what the container files copy, run and set is there; no container engine is needed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

from inventory import environment
from tests.places import REPO

LINES = (REPO / "Containerfile").read_text().replace("\\\n", " ").splitlines()
COMPOSE: dict[str, Any] = yaml.safe_load((REPO / "compose.yaml").read_text())


def copied() -> list[str]:
    """What the image gets of the checkout."""
    return [line.split()[1] for line in LINES if line.startswith("COPY ")]


def words(instruction: str) -> list[str]:
    """The words of an instruction that is written as JSON."""
    found = next(line for line in LINES if line.startswith(f"{instruction} "))
    return [str(word) for word in json.loads(found.removeprefix(instruction))]


def test_the_copied_parts_run_by_themselves(tmp_path: Path) -> None:
    """In a folder with what is copied, and nothing else of ours, each command that is run knows its options."""
    for name in copied():
        source = REPO / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    python, *entry = words("ENTRYPOINT")
    assert python == "python"
    commands = [words("CMD"), *(row["command"] for row in COMPOSE["services"].values() if "command" in row)]
    for command in commands:
        done = subprocess.run(
            [sys.executable, *entry, *command, "--help"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert command[0] in done.stdout


def test_every_package_is_in_the_image() -> None:
    """What the wheel holds is copied, and no ignored file is."""
    project = tomllib.loads((REPO / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) <= set(copied())
    kept = {line[1:] for line in (REPO / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept == set(copied())


def test_what_compose_sets_is_read(tmp_path: Path) -> None:
    """Each variable is one that the inventory reads, each secret one that is given, the database described."""
    code = "".join((REPO / f"inventory/{name}.py").read_text() for name in ("environment", "settings"))
    for row in COMPOSE["services"].values():
        ours = [name for name in row.get("environment", {}) if name.startswith("CAMCENSUS_")]
        assert all(f'"{name}"' in code for name in ours)
        assert set(row.get("secrets", ())) <= set(COMPOSE["secrets"])
        for value in row.get("environment", {}).values():
            if secret := re.fullmatch(r"/run/secrets/(.+)", str(value)):
                assert secret[1] in row["secrets"]
    env = COMPOSE["services"]["inventory"]["environment"]
    password = tmp_path / "password"
    password.write_text("a secret\n")
    described = environment.database({**env, "CAMCENSUS_DATABASE_PASSWORD_FILE": str(password)})
    assert (described["HOST"], described["PASSWORD"]) == ("database", "a secret")

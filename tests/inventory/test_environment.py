"""Tests of what the inventory reads from its environment, with the commands that rest on it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inventory.environment import EnvironmentMistake, database, flag, keep_secret_key, number, secret_key
from tests.inventory.serving import environment
from tests.places import REPO


def test_a_url_becomes_a_database() -> None:
    """Each part of the address stands where Django looks for it."""
    found = database({"CAMCENSUS_DATABASE_URL": "postgresql://u%40x:p%2Fw@db:5433/name?sslmode=require"})
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"]) == ("u@x", "p/w", "db", "5433")
    assert (found["NAME"], found["OPTIONS"]) == ("name", {"sslmode": "require"})
    assert database({"XDG_STATE_HOME": "/s"})["NAME"] == "/s/camcensus/inventory.sqlite3"


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql://x:port/y"])
def test_another_url_is_refused(url: str) -> None:
    """It says which variable is wrong."""
    with pytest.raises(EnvironmentMistake, match="CAMCENSUS_DATABASE_URL"):
        database({"CAMCENSUS_DATABASE_URL": url})


def test_numbers_and_flags_are_read_strictly() -> None:
    """What is neither is named, never guessed."""
    assert flag("A", default=False, env={"A": "1"})
    assert number("A", 3, {}) == 3
    with pytest.raises(EnvironmentMistake, match="A is"):
        flag("A", default=False, env={"A": "maybe"})
    with pytest.raises(EnvironmentMistake, match="A is"):
        number("A", 3, {"A": "-1"})


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    """Made once, mode 0600, the same ever after."""
    env = {"XDG_STATE_HOME": str(tmp_path)}
    path = keep_secret_key(env)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret_key(env) == secret_key(env) == path.read_text()
    assert keep_secret_key(env) == path
    assert len(secret_key(env)) > 50


def _run(
    described: dict[str, Any], state: Path, *words: str, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", *words],
        env={**environment(described, state), **more},
        cwd=REPO,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("provider", [False, True])
def test_production_is_safe(tmp_path: Path, *, provider: bool) -> None:
    """Django's own check of a deployment has nothing to say, with single sign-on or without."""
    secret = tmp_path / "secret"
    secret.write_text("of the client")
    sign_on = {
        "CAMCENSUS_OIDC_ISSUER": "https://login.example",
        "CAMCENSUS_OIDC_CLIENT_ID": "camcensus",
        "CAMCENSUS_OIDC_CLIENT_SECRET_FILE": str(secret),
    }
    described = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "x")}
    key = "a-Key_of.56+characters:with/many=different~ones-01234567"
    words = ("-m", "django", "check", "--deploy", "--fail-level", "WARNING")
    done = _run(
        described, tmp_path, *words, CAMCENSUS_HTTPS="1", DJANGO_SETTINGS_MODULE="inventory.settings",
        CAMCENSUS_SECRET_KEY=key, **(sign_on if provider else {}),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_administrator_is_made_once_with_a_password_worth_it(
    database: dict[str, Any], tmp_path: Path
) -> None:
    """A weak password is refused in one line; a good one makes the account; a second call does not."""
    words = ("-m", "agent.cli", "inventory", "create-admin", "ada")
    tried = ("password", "three green bridges", "three green bridges")
    done = [_run(database, tmp_path, *words, CAMCENSUS_PASSWORD=said) for said in tried]
    assert [row.returncode for row in done] == [2, 0, 1]
    assert not any("Traceback" in row.stderr for row in done)


def test_no_key_of_its_own_no_central_service(tmp_path: Path, database: dict[str, Any]) -> None:
    """`serve` refuses a service whose sessions would end with each process."""
    done = _run(database, tmp_path, "-m", "agent.cli", "inventory", "serve", CAMCENSUS_SECRET_KEY="")
    assert done.returncode == 2
    assert "CAMCENSUS_SECRET_KEY" in done.stderr
    assert os.environ.get("CAMCENSUS_SECRET_KEY") is None

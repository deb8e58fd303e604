"""Runs every test of the inventory on SQLite with a file of its own, then on a private PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.core.management import call_command
from django.db import connections

from tests.inventory.postgresql import Server, installed

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inventory.settings")
django.setup()

SQLITE_OPTIONS = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


def use(described: dict[str, Any]) -> None:
    """Make `described` Django's database, for this thread at once, for others when they first ask."""
    connections["default"].close()
    full = {
        **connections.settings["default"],
        "HOST": "",
        "PORT": "",
        "USER": "",
        "PASSWORD": "",
        **described,
    }
    connections.settings["default"] = full
    del connections["default"]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """A PostgreSQL of our own on a socket in a temporary folder, with a migrated database to copy."""
    if installed() is None:
        pytest.skip("missing tool: PostgreSQL (Debian package postgresql)")
    with Server.started() as server:
        server.create("migrated")
        use(server.described("migrated"))
        call_command("migrate", verbosity=0)
        connections["default"].close()
        yield server


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables and no rows."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.sqlite3"
    use({"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": SQLITE_OPTIONS})
    call_command("migrate", verbosity=0)
    with connections["default"].cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connections["default"].close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path
) -> Generator[dict[str, Any]]:
    """An empty database of either kind, described as Django wants it."""
    if request.param == "sqlite":
        path = tmp_path / "inventory.sqlite3"
        shutil.copyfile(migrated_file, path)
        described = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": SQLITE_OPTIONS}
        use(described)
        yield described
        connections.close_all()
        return
    server: Server = request.getfixturevalue("postgresql_server")
    name = server.create_next("migrated")
    described = server.described(name)
    use(described)
    yield described
    connections.close_all()
    server.drop(name)


@pytest.fixture
def no_server_left() -> Iterator[list[subprocess.Popen[bytes]]]:
    """A list for servers that a test starts: each is stopped when the test ends."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.terminate()
        process.wait(timeout=20)

"""Gives each test of the pages a populated inventory with browsers for its people.

The scene is made once for each kind of database; every test gets a copy of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from tests.inventory.conftest import SQLITE_OPTIONS, use
from tests.inventory.pages.scene import Scene, find, make
from tests.inventory.postgresql import Server

__all__ = ["Browse"]

Browse = Callable[[str], Client]
_POPULATED = "populated"


def _sqlite(path: Path) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": SQLITE_OPTIONS}


@pytest.fixture(scope="session")
def populated_file(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene in an SQLite file."""
    path = tmp_path_factory.mktemp("scene") / "inventory.sqlite3"
    shutil.copyfile(migrated_file, path)
    use(_sqlite(path))
    make()
    with connections["default"].cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connections["default"].close()
    return path


@pytest.fixture(scope="session")
def populated_server(postgresql_server: Server) -> Server:
    """The scene in a database of PostgreSQL, to copy."""
    postgresql_server.create(_POPULATED, "migrated")
    use(postgresql_server.described(_POPULATED))
    make()
    connections["default"].close()
    return postgresql_server


@pytest.fixture(params=["sqlite", "postgresql"])
def scene_database(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[dict[str, Any]]:
    """A copy of the scene in a database of either kind, described as Django wants it."""
    if request.param == "sqlite":
        path = tmp_path / "inventory.sqlite3"
        shutil.copyfile(request.getfixturevalue("populated_file"), path)
        use(_sqlite(path))
        yield _sqlite(path)
        connections.close_all()
        return
    server: Server = request.getfixturevalue("populated_server")
    name = server.create_next(_POPULATED)
    use(server.described(name))
    yield server.described(name)
    connections.close_all()
    server.drop(name)


@pytest.fixture
def scene(scene_database: dict[str, Any]) -> Scene:
    """A council with schools, a ministry beside it, scans of weeks."""
    assert scene_database
    return find()


@pytest.fixture
def browse(scene: Scene) -> Browse:
    """A browser in which the person of that role has signed in."""

    def signed_in(role: str) -> Client:
        client = Client(SERVER_NAME="localhost")
        client.force_login(scene.people[role])
        return client

    return signed_in

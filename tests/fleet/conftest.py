"""Gives the tests of the fleet a private PostgreSQL, and a private NATS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.fleet.nats import Nats, installed
from tests.inventory.conftest import migrated_file, postgresql_server, use
from tests.inventory.postgresql import Server

__all__ = ["central", "migrated_file", "nats", "postgresql_server"]


@pytest.fixture
def central(postgresql_server: Server) -> Iterator[dict[str, Any]]:
    """An empty central database, described as Django wants it."""
    name = postgresql_server.create_next("migrated")
    described = postgresql_server.described(name)
    use(described)
    yield described
    connections.close_all()
    postgresql_server.drop(name)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    """A NATS server with JetStream that runs."""
    if installed() is None:
        pytest.skip("missing tool: nats-server (Debian package nats-server)")
    server = Nats(tmp_path / "nats")
    server.start()
    yield server
    server.stop()

"""Gives the tests of the fleet a private PostgreSQL, and a private NATS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.fleet.nats import Nats, installed
from tests.fleet.operator_keys import Operator
from tests.inventory.conftest import migrated_file, postgresql_server, use
from tests.inventory.postgresql import Server

__all__ = ["central", "guarded", "migrated_file", "nats", "operator", "postgresql_server"]


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
    yield from _running(tmp_path, None)


@pytest.fixture
def operator() -> Operator:
    """An operator of NATS with its account."""
    return Operator()


@pytest.fixture
def guarded(tmp_path: Path, operator: Operator) -> Iterator[Nats]:
    """A NATS server that lets in whom its operator has signed for, and nobody else."""
    yield from _running(tmp_path, operator)


def _running(folder: Path, operator: Operator | None) -> Iterator[Nats]:
    if installed() is None:
        pytest.skip("missing tool: nats-server (Debian package nats-server)")
    server = Nats(folder / "nats") if operator is None else Nats(folder / "nats", operator.settings)
    server.start()
    yield server
    server.stop()

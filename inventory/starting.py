"""Starts a command of the inventory: loads Django after it has looked at the environment."""

from __future__ import annotations

import os
import sys
from typing import Final, NoReturn

import typer

from inventory import environment

__all__ = ["prepare", "start", "stop"]

_FAILED: Final = 1
_USAGE: Final = 2


def start() -> None:
    """Load Django, with a key and a folder of its own where this is an embedded inventory."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inventory.settings")
    try:
        if environment.embedded():
            environment.keep_secret_key()
        import django  # noqa: PLC0415 - slow, and only these commands want it

        django.setup()
    except environment.EnvironmentMistake as mistake:
        stop(str(mistake), _USAGE)


def stop(text: str, code: int = _FAILED) -> NoReturn:
    """End with a line for people on stderr."""
    sys.stderr.write(f"camcensus: {text}\n")
    raise typer.Exit(code)


def prepare() -> None:
    """Load Django; on SQLite bring the tables up to date, on PostgreSQL ask for the command that does."""
    start()
    from django.core.management import call_command  # noqa: PLC0415 - after the settings
    from django.db import connection  # noqa: PLC0415 - after the settings
    from django.db.migrations.executor import MigrationExecutor  # noqa: PLC0415 - after the settings

    if connection.vendor == "sqlite":
        call_command("migrate", verbosity=0)
        return
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        stop("the database is of another version: run `camcensus inventory migrate` first")

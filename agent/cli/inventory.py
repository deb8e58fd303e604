"""``camcensus inventory``: the central inventory, where its packages are installed."""

from __future__ import annotations

from importlib.util import find_spec

import typer

__all__ = ["app"]

if find_spec("django") is not None and find_spec("ninja") is not None:
    from inventory.commands import app
else:
    app = typer.Typer(help="Keep the central inventory: one list of every camera, and how they come down.")

    @app.callback(invoke_without_command=True)
    def missing() -> None:
        """Say what is missing."""
        typer.echo(
            "camcensus: the inventory needs more packages: pip install 'camcensus[inventory]'", err=True
        )
        raise typer.Exit(2)

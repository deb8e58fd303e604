"""``camcensus outbox``: what waits for the inventory, and the way there by hand."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from agent.cli.exits import FAILED
from agent.cli.places import agent_file, agent_state
from agent.schedule.settings import AgentSettings, read_settings
from reporters.text import visible

__all__ = ["app"]

app = typer.Typer(
    help="Bring results to the inventory by hand, where there is no link.", no_args_is_help=True
)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The agent's settings. Default: agent.toml of this user."),
]


def _settings(config: Path | None) -> AgentSettings:
    return read_settings(config or agent_file(), agent_state())


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="The bundle to write.")], config: ConfigOption = None
) -> None:
    """Write all that waits into one signed file; it waits on until the receipts are back."""
    settings = _settings(config)
    from agent.outbox import Outbox, OutboxError  # noqa: PLC0415 - what --help does not want
    from agent.schedule.links import signer  # noqa: PLC0415 - as above
    from exchange.bundle import write  # noqa: PLC0415 - as above
    from exchange.keys import BadKey, SigningKey  # noqa: PLC0415 - as above

    try:
        key = SigningKey(settings.state / "agent.key")
        sign = signer(settings, "")
        outbox = Outbox(settings.state / "outbox.sqlite3")
        made = datetime.now(UTC).isoformat(timespec="seconds")
        count = write(file, (sign(parcel) for parcel in outbox.every()), settings.name, made, key)
    except (OutboxError, BadKey, OSError) as error:
        _give_up(error)
    typer.echo(f"{file}: {count} parts, signed by agent {settings.name} (key {key.public[:16]}...)")


@app.command("receipts")
def receipts(
    file: Annotated[Path, typer.Argument(help="What `camcensus inventory import --receipts` wrote.")],
    key: Annotated[
        str | None, typer.Option(help="The inventory's public key, where this agent did not enrol with it.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Let go of what the inventory has: the receipts have to be signed by it."""
    settings = _settings(config)
    from agent.outbox import Outbox, OutboxError  # noqa: PLC0415 - what --help does not want
    from exchange.bundle import BundleError, read_receipts  # noqa: PLC0415 - as above

    try:
        known = key or (settings.state / "inventory.pub").read_text(encoding="ascii").strip()
        outbox = Outbox(settings.state / "outbox.sqlite3")
        taken = sum(outbox.receive(receipt, time.time()) for receipt in read_receipts(file, known))
    except (OutboxError, BundleError, OSError, UnicodeDecodeError) as error:
        _give_up(error)
    typer.echo(f"{taken} parts are with the inventory; {outbox.status().parts} wait")


@app.command("list")
def listed(config: ConfigOption = None) -> None:
    """Show what waits, and what was set aside, with the reasons."""
    settings = _settings(config)
    from agent.outbox import Outbox, OutboxError  # noqa: PLC0415 - what --help does not want

    try:
        outbox = Outbox(settings.state / "outbox.sqlite3")
        status, asides = outbox.status(), outbox.asides()
    except OutboxError as error:
        _give_up(error)
    typer.echo(f"{status.parts} parts of {status.reports} reports wait, {status.size / 1e6:.1f} MB")
    if status.why:
        typer.echo(f"  the last try: {visible(status.why)}")
    for row in asides:
        typer.echo(
            f"  set aside: part {row['part']} of {row['report']}, site {row['site']}: {visible(row['why'])}"
        )


def _give_up(error: object) -> NoReturn:
    sys.stderr.write(f"camcensus: {error}\n")
    raise typer.Exit(FAILED)

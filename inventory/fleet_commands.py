"""The commands of the inventory that have to do with the fleet: ingest, import, enrol-code, revoke, ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer

from inventory.starting import prepare, stop

__all__ = ["COMMANDS"]

_USAGE: Final = 2


def ingest(
    source: Annotated[
        str, typer.Option("--from", help="Servers of NATS, such as nats://10.0.0.1:4222, with commas.")
    ],
    credentials: Annotated[Path | None, typer.Option(help="A credentials file of NATS.")] = None,
    ca: Annotated[Path | None, typer.Option(help="Authorities to believe (PEM).")] = None,
    domain: Annotated[str, typer.Option(help="The domain of JetStream, if it has one.")] = "",
    redeliver_after: Annotated[
        float,
        typer.Option(
            min=1, max=3600, help="Seconds after which what a dead worker had taken goes to another."
        ),
    ] = 60.0,
    replicas: Annotated[
        int, typer.Option(min=1, max=5, help="On how many servers of a cluster each stream is kept.")
    ] = 1,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when nothing waits any more.")
    ] = False,
) -> None:
    """Take reports from JetStream; start as many of these as are needed, where they are needed."""
    prepare()
    import asyncio  # noqa: PLC0415 - beside its use

    from exchange.nats_credentials import BadCredentials, nats_credentials  # noqa: PLC0415 - beside its use
    from inventory.fleet.worker import Source, Worker  # noqa: PLC0415 - after the settings

    if credentials is not None:
        try:
            nats_credentials(credentials)
        except BadCredentials as error:
            stop(str(error), _USAGE)
    worker = Worker(
        Source(source, credentials, ca, domain),
        redeliver_after=redeliver_after,
        replicas=replicas,
        until_idle=until_idle,
    )
    asyncio.run(worker.run())
    typer.echo(f"{worker.done} parts stored, {worker.refused} refused, {worker.again} put off")


def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Bundles of agents.")],
    receipts: Annotated[
        Path | None, typer.Option(help="Write the receipts, to be brought back to the agent.")
    ] = None,
) -> None:
    """Take the parcels of bundles that were brought by hand; each has to be signed by its agent."""
    prepare()
    from exchange.bundle import BundleError, opened, write_receipts  # noqa: PLC0415 - beside its use
    from inventory.fleet.signing import sign  # noqa: PLC0415 - after the settings
    from inventory.fleet.taking import Again, take  # noqa: PLC0415 - after the settings
    from inventory.models import Agent  # noqa: PLC0415 - after the settings

    keys = dict(Agent.objects.exclude(public_key="").values_list("name", "public_key"))
    told = []
    failed = False
    for path in files:
        stored = refused = 0
        try:
            for parcel in opened(path, keys).parcels():
                receipt = take(parcel)
                told.append(receipt)
                stored += receipt.stored
                refused += not receipt.stored
        except BundleError as error:
            typer.echo(f"camcensus: {error}", err=True)
            failed = True
        except Again as error:
            typer.echo(f"camcensus: the database is away: {error}: import {path} again", err=True)
            failed = True
        typer.echo(f"{path}: {stored} parts stored, {refused} refused")
    if receipts is not None:
        write_receipts(receipts, told, sign)
    if failed:
        raise typer.Exit(1)


def enrol_code(
    agent: Annotated[str, typer.Argument(help="What the agent will be called.")],
    organisation: Annotated[str, typer.Option(help="Whose it is; made where there is none.")],
    site: Annotated[
        list[str] | None, typer.Option(help="A site, by its code, that it may report for.")
    ] = None,
    hours: Annotated[int, typer.Option(min=1, max=720, help="For how long the code is good.")] = 72,
) -> None:
    """Make a code by which one machine becomes an agent, once."""
    prepare()
    from inventory.fleet.enrolment import code_for  # noqa: PLC0415 - after the settings
    from inventory.models import Organisation, Site  # noqa: PLC0415 - after the settings

    owner, _ = Organisation.objects.get_or_create(name=organisation, parent=None)
    sites = [
        Site.objects.get_or_create(code=code, defaults={"name": code, "organisation": owner})[0]
        for code in site or ()
    ]
    typer.echo(code_for(agent, owner, sites, hours))


def revoke(agent: Annotated[str, typer.Argument(help="The agent's name.")]) -> None:
    """Take nothing of an agent any more: its tokens and its key are over."""
    prepare()
    typer.echo(f"{_agent(agent).name} is revoked")


def ask(
    site: Annotated[str, typer.Argument(help="The site, by its code.")],
    targets: Annotated[
        list[str] | None, typer.Argument(help="Addresses or CIDRs. Default: all that its agent scans.")
    ] = None,
    scope: Annotated[str, typer.Option(help="One scope of the agent, by its name.")] = "",
    profile: Annotated[str, typer.Option(help="No harder than the agent's own.")] = "",
) -> None:
    """Ask the agent of a site for a scan, as soon as it looks for jobs."""
    prepare()
    from inventory.fleet import jobs  # noqa: PLC0415 - after the settings
    from inventory.models import Site  # noqa: PLC0415 - after the settings

    found = Site.objects.filter(code=site).first()
    if found is None:
        stop(f"there is no site {site}", _USAGE)
    typer.echo(jobs.ask(found, "command", targets or (), scope, profile).pk)


def _agent(name: str) -> Any:
    from inventory.fleet import enrolment  # noqa: PLC0415 - after the settings
    from inventory.models import Agent  # noqa: PLC0415 - after the settings

    found = Agent.objects.select_related("organisation").filter(name=name).first()
    if found is None:
        stop(f"there is no agent {name}", _USAGE)
    enrolment.revoke(found, "command")
    return found


def publish(
    pack: Annotated[Path, typer.Argument(help="A signed knowledge pack (`camcensus rules pack`).")],
) -> None:
    """Give every agent a knowledge pack: it fetches it, and checks the signature itself."""
    prepare()
    from fingerprints.pack import PackError  # noqa: PLC0415 - slow
    from inventory.fleet import packs  # noqa: PLC0415 - after the settings

    try:
        typer.echo(f"{packs.publish(pack, 'command')} is published")
    except (PackError, OSError) as error:
        stop(str(error))


def nats_user(
    agent: Annotated[str, typer.Argument(help="The agent's name.")],
    domain: Annotated[str, typer.Option(help="The domain of JetStream, if it has one.")] = "",
    by_nsc: Annotated[
        bool, typer.Option("--nsc", help="For servers with operator keys: the command of nsc instead.")
    ] = False,
) -> None:
    """Print what a NATS server has to know of an agent: a new password, and what it may do."""
    prepare()
    import secrets  # noqa: PLC0415 - beside its use

    from inventory.fleet.permissions import nsc, user  # noqa: PLC0415 - after the settings
    from inventory.models import Agent  # noqa: PLC0415 - after the settings

    found = Agent.objects.filter(name=agent).first()
    if found is None:
        stop(f"there is no agent {agent}", _USAGE)
    sites = list(found.sites.values_list("code", flat=True))
    if not sites:
        stop(f"agent {agent} names no sites: on NATS it may write for those that it names", _USAGE)
    typer.echo(nsc(agent, sites, domain) if by_nsc else user(agent, sites, secrets.token_urlsafe(24), domain))


COMMANDS: Final[Mapping[str, Callable[..., None]]] = MappingProxyType(
    {
        "ingest": ingest,
        "import": import_,
        "enrol-code": enrol_code,
        "revoke": revoke,
        "ask": ask,
        "nats-user": nats_user,
        "publish": publish,
    }
)

"""The commands of the inventory: serve, migrate, create-admin, token, reevaluate, with those of the fleet.

Django is loaded by the command that is called, after it has looked at the environment.
"""

from __future__ import annotations

import os
from typing import Annotated, Final

import typer

from inventory import environment, fleet_commands
from inventory.starting import prepare, start, stop

__all__ = ["app"]

app = typer.Typer(
    help="Keep the central inventory: one list of every camera, and how they come down.",
    no_args_is_help=True,
)

_FAILED: Final = 1
_USAGE: Final = 2


@app.command("serve")
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8642,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes serve.")] = 1,
    open_: Annotated[
        bool, typer.Option("--open", help="Open the inventory of this machine in the browser, signed in.")
    ] = False,
) -> None:
    """Serve the inventory: on this machine alone unless told otherwise."""
    prepare()
    keys = ("CAMCENSUS_SECRET_KEY", "CAMCENSUS_SECRET_KEY_FILE")
    if not environment.embedded() and not any(os.environ.get(key) for key in keys):
        stop(f"a central inventory needs {' or '.join(keys)}", _USAGE)
    from inventory import serving  # noqa: PLC0415 - only this command serves

    if open_ and environment.embedded():
        serving.serve_locally(port, browser=True, tell=lambda text: typer.echo(text, err=True))
    else:
        serving.serve(host, port, workers)


@app.command("migrate")
def migrate() -> None:
    """Bring the tables of the database up to date."""
    start()
    from django.core.management import call_command  # noqa: PLC0415 - after the settings

    call_command("migrate", verbosity=1)


@app.command("create-admin")
def create_admin(
    name: Annotated[str, typer.Argument(help="The name to sign in with.")],
) -> None:
    """Make an administrator of everything; the password is asked for, or read from CAMCENSUS_PASSWORD."""
    prepare()
    from django.contrib.auth.models import User  # noqa: PLC0415 - after the settings
    from django.contrib.auth.password_validation import validate_password  # noqa: PLC0415 - after the settings
    from django.core.exceptions import ValidationError  # noqa: PLC0415 - after the settings

    from inventory import audit  # noqa: PLC0415 - after the settings

    password = os.environ.get("CAMCENSUS_PASSWORD") or typer.prompt(
        "Password", hide_input=True, confirmation_prompt=True
    )
    if User.objects.filter(username=name).exists():
        stop(f"there is a {name} already")
    user = User(username=name, is_staff=True, is_superuser=True)
    try:
        user.full_clean(exclude=["password"])
        validate_password(password, user)
    except ValidationError as error:
        stop(" ".join(error.messages), _USAGE)
    user.set_password(password)
    user.save()
    audit.record("command", "create-admin", f"user {name}")
    typer.echo(f"{name} may sign in")


@app.command("token")
def token(
    agent: Annotated[str, typer.Argument(help="The agent's name; made where there is none.")],
    organisation: Annotated[str, typer.Option(help="Whose agent it is; made where there is none.")] = "",
    site: Annotated[
        list[str] | None, typer.Option(help="A site, by its code, that it may report for.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="For how long it is good.")] = 365,
    read: Annotated[bool, typer.Option("--read", help="It may read, too.")] = False,
    rotate: Annotated[bool, typer.Option("--rotate", help="Renew: what it has now ends in a week.")] = False,
) -> None:
    """Make a token for an agent: printed once, kept as a hash alone."""
    prepare()
    from datetime import timedelta  # noqa: PLC0415 - beside its use

    from django.db import transaction  # noqa: PLC0415 - after the settings
    from django.utils import timezone  # noqa: PLC0415 - after the settings

    from inventory import audit, tokens  # noqa: PLC0415 - after the settings
    from inventory.models import Agent, ApiToken, Organisation, Site  # noqa: PLC0415 - after the settings

    with transaction.atomic():
        holder = Agent.objects.filter(name=agent).first()
        if holder is None:
            if not organisation:
                stop(f"there is no agent {agent}: name its --organisation to make it", _USAGE)
            owner = Organisation.objects.filter(name=organisation).first()
            owner = owner or Organisation.objects.create(name=organisation)
            holder = Agent.objects.create(name=agent, organisation=owner)
        sites = []
        for code in site or []:
            made, _ = Site.objects.get_or_create(
                code=code, defaults={"name": code, "organisation": holder.organisation}
            )
            sites.append(made)
        if rotate:
            ApiToken.objects.filter(agent=holder, expires__gt=timezone.now() + timedelta(days=7)).update(
                expires=timezone.now() + timedelta(days=7)
            )
        made_token, text = tokens.issue(holder, days, sites, may_read=read)
        after = {
            "sites": [row.code for row in sites],
            "read": read,
            "expires": made_token.expires.isoformat(),
        }
        audit.record("command", "token", f"agent {agent}", organisation=holder.organisation, after=after)
    typer.echo(text)


@app.command("tick")
def tick() -> None:
    """Do what is due by the clock, for an inventory that nobody visits: exemptions that have ended."""
    prepare()
    from inventory.clock import end_exemptions  # noqa: PLC0415 - after the settings

    typer.echo(f"{end_exemptions()} exemptions have ended")


@app.command("reevaluate")
def reevaluate(
    policy: Annotated[list[str] | None, typer.Option(help="A policy, by its id or file.")] = None,
) -> None:
    """Judge every device again by today's rules and policies, without a scan."""
    prepare()
    from fingerprints.compiled import compiled_matchers  # noqa: PLC0415 - slow
    from fingerprints.judge import Judge  # noqa: PLC0415 - slow
    from fingerprints.oui import Registry  # noqa: PLC0415 - slow
    from fingerprints.policy import DEFAULT_POLICIES, load_policies  # noqa: PLC0415 - slow
    from inventory.evaluation import judge_again  # noqa: PLC0415 - after the settings

    matchers = compiled_matchers()
    chosen = load_policies(matchers.knowledge, policy or DEFAULT_POLICIES)
    found = judge_again(Judge(matchers, Registry.packaged(None)), chosen)
    typer.echo(f"{found.devices} devices: {found.verdicts} verdicts and {found.findings} findings changed")


for _name, _command in fleet_commands.COMMANDS.items():
    app.command(_name)(_command)

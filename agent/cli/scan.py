"""``camcensus scan``: asks the hosts of a network what they are."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agent.ask import DEFAULT_PORTS
from agent.cli.options import (
    ExcludeOption,
    FailOnOption,
    FormatOption,
    OuiOption,
    OutputOption,
    PolicyOption,
    Profile,
    QuietOption,
    SiteOption,
    VerboseOption,
)
from agent.cli.scanning import Survey, survey
from agent.cli.wiring import deliver, prepare, run_facts, say
from agent.config import load_settings
from agent.interfaces import choose, interfaces, own_addresses, private_subnets
from agent.scope import Scope, ScopeError

__all__ = ["scan"]

TargetsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET]...",
        help="Addresses, CIDRs, ranges, host names or @file. Default: this machine's own private subnets.",
    ),
]
PublicOption = Annotated[
    list[str] | None,
    typer.Option("--allow-public", help="Name a public range a second time to have it scanned; repeatable."),
]
InterfaceOption = Annotated[
    list[str] | None,
    typer.Option("--interface", "-i", help="Interfaces to use; repeatable. Default: all that fit."),
]
PortsOption = Annotated[
    str | None, typer.Option("--ports", help="TCP ports to try, such as 80,554,8000-8010, instead of ours.")
]
ProfileOption = Annotated[
    Profile | None, typer.Option("--profile", help="How hard the network may be touched. Default: standard.")
]
LimitOption = Annotated[
    str | None, typer.Option("--time-limit", help="Stop after this time, such as 90s, 10m, 2h, and report.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="A file of settings (agent.toml); flags and CAMCENSUS_* outrank it."),
]


def scan(
    targets: TargetsArgument = None,
    exclude: ExcludeOption = None,
    allow_public: PublicOption = None,
    interface: InterfaceOption = None,
    ports: PortsOption = None,
    profile: ProfileOption = None,
    time_limit: LimitOption = None,
    config: ConfigOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
    policy: PolicyOption = None,
    oui: OuiOption = None,
    site: SiteOption = None,
    fail_on: FailOnOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Ask the hosts of a network what they are."""
    started = datetime.now(UTC)
    settings = load_settings(
        {
            "targets": targets or None,
            "exclude": exclude,
            "allow_public": allow_public,
            "interfaces": interface,
            "profile": profile.value if profile is not None else None,
            "ports": ports,
            "time_limit": time_limit,
            "site": site,
            "policies": policy,
            "oui": str(oui) if oui is not None else None,
        },
        os.environ,
        config,
    )
    every = interfaces()
    links, left_out = choose(every, settings.interfaces)
    own = own_addresses(every)
    tokens = list(settings.targets or private_subnets(links))
    if not tokens:
        raise ScopeError("this machine has no private subnet of its own: name a target")
    scope = Scope.parse(tokens, exclude=settings.exclude, allow_public=settings.allow_public, own=own)
    plan = Survey(
        scope,
        links,
        left_out,
        settings.profile,
        settings.ports or DEFAULT_PORTS,
        settings.time_limit,
    )
    if not settings.targets or verbose:
        say(f"scanning {scope.describe()}", quiet=quiet)
    bench = prepare(settings.policies, settings.oui)
    tally = bench.tally(site=settings.site, own=[text.partition("/")[0] for text in own], wanted=scope.allows)
    outcome = survey(plan, tally, quiet=quiet)
    if outcome.coverage["ended"] != "finished":
        say(f"{outcome.coverage['ended']}: this is what is known so far", quiet=quiet)
    report = tally.report(
        coverage=outcome.coverage,
        run=run_facts(bench, "scan", started, targets=tokens),
        on=started.date(),
        problems=outcome.problems,
    )
    raise deliver(report, form, output, fail_on, quiet=quiet)

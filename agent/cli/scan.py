"""``camcensus scan``: asks the hosts of a network what they are."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

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
from agent.interfaces import choose, interfaces, own_addresses, private_subnets
from agent.scope import Scope, ScopeError

__all__ = ["parse_ports", "parse_seconds", "scan"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "": 1}
_MAX_PORTS: Final = 256

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
ProfileOption = Annotated[Profile, typer.Option("--profile", help="How hard the network may be touched.")]
LimitOption = Annotated[
    str | None, typer.Option("--time-limit", help="Stop after this time, such as 90s, 10m, 2h, and report.")
]


def scan(
    targets: TargetsArgument = None,
    exclude: ExcludeOption = None,
    allow_public: PublicOption = None,
    interface: InterfaceOption = None,
    ports: PortsOption = None,
    profile: ProfileOption = Profile.STANDARD,
    time_limit: LimitOption = None,
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
    every = interfaces()
    links, left_out = choose(every, interface or ())
    own = own_addresses(every)
    tokens = targets or list(private_subnets(links))
    if not tokens:
        raise ScopeError("this machine has no private subnet of its own: name a target")
    scope = Scope.parse(tokens, exclude=exclude or (), allow_public=allow_public or (), own=own)
    plan = Survey(
        scope,
        links,
        left_out,
        profile.value,
        parse_ports(ports) if ports else DEFAULT_PORTS,
        parse_seconds(time_limit) if time_limit else None,
    )
    if not targets or verbose:
        say(f"scanning {scope.describe()}", quiet=quiet)
    bench = prepare(policy, oui)
    tally = bench.tally(site=site, own=[text.partition("/")[0] for text in own], wanted=scope.allows)
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


def parse_ports(text: str) -> tuple[int, ...]:
    """``80,554,8000-8010`` as ports; raises typer.BadParameter naming the part that is wrong."""
    ports: dict[int, None] = {}
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,5})(?:-(\d{1,5}))?\s*", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 0 < first <= last < 65_536:
            raise typer.BadParameter(
                f"{part.strip()!r} is not a port or a range of ports", param_hint="--ports"
            )
        ports |= dict.fromkeys(range(first, last + 1))
        if len(ports) > _MAX_PORTS:
            raise typer.BadParameter(f"more than {_MAX_PORTS} ports are no light touch", param_hint="--ports")
    return tuple(ports)


def parse_seconds(text: str) -> float:
    """``90s``, ``10m`` or ``2h`` in seconds; raises typer.BadParameter."""
    found = re.fullmatch(r"\s*(\d{1,6}(?:\.\d{1,3})?)\s*([smh]?)\s*", text)
    if not found or float(found[1]) <= 0:
        raise typer.BadParameter(f"{text!r} is not a time such as 90s, 10m or 2h", param_hint="--time-limit")
    return float(found[1]) * _UNITS[found[2]]

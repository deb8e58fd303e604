"""``camcensus scan``: asks the hosts of a network what they are."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.ask import DEFAULT_PORTS
from agent.census import Tally
from agent.cli import places
from agent.cli.options import (
    CredentialsOption,
    ExcludeOption,
    FailOnOption,
    FormatOption,
    OuiOption,
    OutputFormat,
    OutputOption,
    PolicyOption,
    ProfileName,
    QuietOption,
    SiteOption,
    VerboseOption,
)
from agent.cli.plan import estimate, table
from agent.cli.progress import Form
from agent.cli.recorders import WhichDetails, chosen_logins, read_recorders
from agent.cli.recording import deliver_and_keep
from agent.cli.scanning import Survey, survey
from agent.cli.switching import Switches, ask_switches, chosen_switches
from agent.cli.tables import WithOption, read_tables, tell_tables
from agent.cli.trunking import VlanScope, ask_vlans, chosen_vlans
from agent.cli.watch import Watch
from agent.cli.wiring import opened, prepare, run_facts, say
from agent.config import ConfigError, Settings, load_settings
from agent.credentials import Credentials, load_credentials
from agent.interfaces import Interface, choose, interfaces, own_addresses, private_subnets
from agent.journal import Journal, JournalError, Stopped, named, newest, read_journal
from agent.pace import PROFILES, Profile
from agent.scope import Scope, ScopeError
from agent.sweep import Manner, means
from agent.tables import Row
from fingerprints.model import Problem, Report

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
    ProfileName | None,
    typer.Option("--profile", help="How hard the network may be touched. Default: standard."),
]
LimitOption = Annotated[
    str | None, typer.Option("--time-limit", help="Stop after this time, such as 90s, 10m, 2h, and report.")
]
VlansOption = Annotated[
    str | None,
    typer.Option(
        "--vlans",
        help="VLANs to ask from the trunk port --interface, such as 10=10.0.10.250/24,20-29; needs root.",
    ),
]
SwitchOption = Annotated[
    list[str] | None,
    typer.Option(
        "--switch",
        help="Switches and routers to read by SNMP, with --credentials: who is on which port; repeatable.",
    ),
]
DetailsOption = Annotated[
    WhichDetails,
    typer.Option("--details", help="Whom to read with the logins of --credentials: recorders, all, or none."),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="A file of settings (agent.toml); flags and CAMCENSUS_* outrank it."),
]


RateOption = Annotated[
    str | None, typer.Option("--rate", help="Packets a second over the whole scan, instead of the profile's.")
]
PassesOption = Annotated[
    str | None,
    typer.Option("--passes", help="How often a silent address is looked for, 1 to 10."),
]
PlanOption = Annotated[
    bool,
    typer.Option("--plan", help="Say what would be sent in each profile, how long it takes; send nothing."),
]
AliveOption = Annotated[
    bool, typer.Option("--alive-only", help="Only say who is there; ask nobody what it is.")
]
ThoroughOption = Annotated[
    bool, typer.Option("--thorough", help="Ask everything, also of devices that are known by then.")
]
PingOption = Annotated[bool, typer.Option("--ping/--no-ping", help="Look for hosts by ICMP echo, too.")]
ProgressOption = Annotated[
    Form,
    typer.Option(
        "--progress", help="How to tell of progress on stderr: a line on a terminal, or JSON lines."
    ),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with the scan that was stopped last, or that of --checkpoint.")
]
InventoryOption = Annotated[
    bool | None,
    typer.Option(
        "--inventory/--no-inventory",
        help="Whether the result is kept in the inventory. Default: yes, if that is installed.",
    ),
]
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", help="File to keep what is learned in while scanning. Default: one of ours."
    ),
]


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be scanned: what the user set, with the scan that it goes on with, if any."""

    settings: Settings
    tokens: tuple[str, ...]
    thorough: bool
    ping: bool
    alive_only: bool
    stopped: Stopped | None = None

    def begin(self) -> dict[str, Any]:
        """The same for a journal."""
        settings = {**asdict(self.settings), "targets": self.tokens}
        for name in ("oui", "credentials"):
            settings[name] = str(settings[name]) if settings[name] is not None else None
        settings = {name: value for name, value in settings.items() if value or value is False}
        asked = {"thorough": self.thorough, "ping": self.ping, "alive_only": self.alive_only}
        return {"settings": settings, **asked}


@dataclass(slots=True)
class _Beside:
    """What others know beside the scan: tables in files, and in switches."""

    rows: list[Row]
    named: bool
    switches: Switches | None
    problems: list[Problem]

    @classmethod
    def read(
        cls,
        settings: Settings,
        every: Sequence[Interface],
        tables: Sequence[str] | None,
        load: Callable[[Path], Credentials],
    ) -> _Beside:
        """Read the files now; whom to ask among the switches is known now, too."""
        problems: list[Problem] = []
        switches = chosen_switches(settings, own_addresses(every), load)
        return cls(read_tables(tables or (), problems.append), bool(tables), switches, problems)

    def tell(
        self, tally: Tally, coverage: dict[str, Any], wanted: Callable[[str], bool], *, quiet: bool
    ) -> None:
        """Ask the switches, then tell the census of those in scope."""
        if self.switches is not None and coverage["ended"] != "interrupted":
            # Now, because the scan made every host speak: switches forget who is silent.
            say(f"reading {self.switches.describe()}", quiet=quiet)
            learned, coverage["switches"] = ask_switches(self.switches, self.problems.append)
            self.rows += learned
        if self.rows or self.named:
            coverage["tables"] = tell_tables(tally, self.rows, wanted)
        coverage["incomplete"] |= bool(self.problems)


def scan(
    targets: TargetsArgument = None,
    exclude: ExcludeOption = None,
    allow_public: PublicOption = None,
    interface: InterfaceOption = None,
    ports: PortsOption = None,
    profile: ProfileOption = None,
    rate: RateOption = None,
    passes: PassesOption = None,
    time_limit: LimitOption = None,
    tables: WithOption = None,
    vlans: VlansOption = None,
    switch: SwitchOption = None,
    credentials: CredentialsOption = None,
    details: DetailsOption = WhichDetails.RECORDERS,
    plan: PlanOption = False,
    alive_only: AliveOption = False,
    thorough: ThoroughOption = False,
    ping: PingOption = True,
    resume: ResumeOption = False,
    checkpoint: CheckpointOption = None,
    progress: ProgressOption = Form.AUTO,
    inventory: InventoryOption = None,
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
    started, began = datetime.now(UTC), time.monotonic()
    # Once, whoever needs it: a keyring may ask its user each time.
    load = functools.cache(load_credentials)
    given = {
        "targets": targets or None,
        "exclude": exclude,
        "allow_public": allow_public,
        "interfaces": interface,
        "profile": profile.value if profile is not None else None,
        "ports": ports,
        "rate": rate,
        "passes": passes,
        "time_limit": time_limit,
        "site": site,
        "policies": policy,
        "oui": str(oui) if oui is not None else None,
        "switches": switch,
        "vlans": vlans,
        "credentials": str(credentials) if credentials is not None else None,
        "record": inventory,
    }
    every = interfaces()
    if resume:
        order = _resumed(given, checkpoint, time_limit)
    else:
        settings = load_settings(given, os.environ, config)
        if settings.vlans:
            if plan or settings.targets or checkpoint is not None:
                raise ConfigError(
                    "--vlans: asks these VLANs' own nets, with no target, --plan or --checkpoint"
                )
            report = _vlans(
                settings, every, _Beside.read(settings, every, tables, load), started, quiet=quiet
            )
            raise deliver_and_keep(
                report, form, output, fail_on, site=settings.site, keep=settings.record, quiet=quiet
            )
        links, _ = choose(every, settings.interfaces)
        thorough = thorough or settings.profile == "thorough"
        order = _Order(settings, settings.targets or private_subnets(links), thorough, ping, alive_only)
    settings = order.settings
    if not order.tokens:
        raise ScopeError("this machine has no private subnet of its own: name a target")
    links, left_out = choose(every, settings.interfaces)
    own = own_addresses(every)
    scope = Scope.parse(order.tokens, exclude=settings.exclude, allow_public=settings.allow_public, own=own)
    manner = _manner(order, scope)
    if plan:
        _tell_plan(order, scope, Survey(scope, links, manner=manner), form, output)
        return
    what = Survey(
        scope,
        links,
        left_out,
        _paced(PROFILES[settings.profile], settings),
        settings.ports or DEFAULT_PORTS,
        bool(settings.ports),
        manner,
        order.alive_only,
        settings.time_limit,
        order.stopped,
    )
    if not settings.targets or verbose or resume:
        say(f"scanning {scope.describe()}", quiet=quiet)
    beside = _Beside.read(settings, every, tables, load)
    bench = prepare(settings.policies, settings.oui)
    tally = bench.tally(site=settings.site, own=[text.partition("/")[0] for text in own], wanted=scope.allows)
    logins = chosen_logins(settings, details, load)
    watch = Watch(tally, bench.policies, bench.judge.knowledge, thorough=order.thorough)
    with _journal(order, checkpoint, started) as journal:
        outcome = survey(
            what,
            tally,
            watch,
            journal=journal,
            progress=Form.NONE if quiet and progress is Form.AUTO else progress,
            say=lambda text: say(text, quiet=quiet),
        )
        finished = outcome.coverage["ended"] == "finished"
        if journal is not None and finished:
            journal.discard()
    if not finished:
        for line in _unfinished(outcome.coverage["ended"], journal, checkpoint):
            say(line, quiet=quiet)
    coverage = dict(outcome.coverage)
    if logins is not None and finished and not order.alive_only:
        say("reading recorders with your logins", quiet=quiet)
        limit = settings.time_limit
        coverage["details"] = read_recorders(
            tally.report(),
            scope,
            logins,
            details,
            tally.feed,
            beside.problems.append,
            profile=what.profile,
            seconds=None if limit is None else max(0.0, limit - (time.monotonic() - began)),
        )
        coverage["incomplete"] |= coverage["details"]["ended"] != "finished"
    beside.tell(tally, coverage, scope.allows, quiet=quiet)
    report = tally.report(
        coverage=coverage,
        run=run_facts(bench, "scan", started, targets=list(order.tokens)),
        on=started.date(),
        problems=(*beside.problems, *outcome.problems),
    )
    raise deliver_and_keep(
        report, form, output, fail_on, site=settings.site, keep=settings.record, quiet=quiet
    )


def _unfinished(ended: str, journal: Journal | None, checkpoint: Path | None) -> Iterator[str]:
    yield f"{ended}: this is what is known so far"
    if journal is not None:
        more = f" --checkpoint {checkpoint}" if checkpoint is not None else ""
        yield f"camcensus scan --resume{more} goes on with it"


def _vlans(
    settings: Settings, every: Sequence[Interface], beside: _Beside, started: datetime, *, quiet: bool
) -> Report:
    """A scan of the VLANs of one trunk port."""
    vlans = chosen_vlans(settings, every)
    say(f"asking {vlans.describe()}", quiet=quiet)
    bench = prepare(settings.policies, settings.oui)
    asked = VlanScope()
    tally = bench.tally(site=settings.site, own=[vlans.port.mac or ""], wanted=asked.allows)
    coverage = ask_vlans(vlans, settings, _paced(PROFILES[settings.profile], settings), tally, asked)
    beside.tell(tally, coverage, asked.allows, quiet=quiet)
    return tally.report(
        coverage=coverage,
        run=run_facts(bench, "scan", started, targets=[f"VLAN {lan.number}" for lan in vlans.lans]),
        on=started.date(),
        problems=(*beside.problems, *asked.problems),
    )


def _resumed(given: Mapping[str, Any], checkpoint: Path | None, time_limit: str | None) -> _Order:
    """The order of the scan to go on with; only what does not change it may be set anew."""
    for name in ("targets", "exclude", "allow_public", "interfaces", "profile", "ports", "rate", "passes"):
        if given[name] is not None:
            raise ConfigError(f"--{name.replace('_', '-')}: cannot be changed with --resume")
    path = checkpoint or newest(places.scans())
    if path is None:
        raise JournalError(f"no scan was stopped here: {places.scans()} holds none")
    stopped = read_journal(path)
    begin = stopped.begin
    try:
        kept = dict(begin["settings"])
        thorough, ping, alive_only = (bool(begin[name]) for name in ("thorough", "ping", "alive_only"))
    except (KeyError, TypeError, ValueError):
        raise JournalError(f"{path} line 1: does not say what was scanned") from None
    kept.pop("time_limit", None)
    again = ("site", "policies", "oui", "switches", "credentials", "record")
    anew = {name: given[name] for name in again if given[name] is not None}
    settings = load_settings({**kept, **anew, "time_limit": time_limit}, {}, None)
    return _Order(settings, settings.targets, thorough, ping, alive_only, stopped)


def _paced(profile: Profile, settings: Settings) -> Profile:
    """The profile with what the user set otherwise."""
    if settings.rate is not None:
        profile = profile.at(settings.rate)
    return profile if settings.passes is None else replace(profile, passes=settings.passes)


def _manner(order: _Order, scope: Scope) -> Manner:
    stopped = order.stopped
    manner = Manner(ping=order.ping)
    if order.settings.ports:
        # Whoever names ports wants no other touched.
        manner = replace(manner, ports=order.settings.ports[: len(manner.ports)])
    if stopped is None:
        return manner
    stopped.met = {ip: mac for ip, mac in stopped.met.items() if scope.allows(ip)}
    return replace(manner, marks=stopped.marks, known=frozenset(stopped.met))


def _tell_plan(
    order: _Order, scope: Scope, what: Survey, form: OutputFormat | None, output: Path | None
) -> None:
    swept = means(scope, what.links, raw=what.manner.raw)
    rows = [estimate(_paced(each, order.settings), swept, what.manner) for each in PROFILES.values()]
    ports = order.settings.ports or DEFAULT_PORTS
    with opened(output) as out:
        if form in {OutputFormat.JSON, OutputFormat.JSONL}:
            plan = {
                "targets": len(scope),
                "scope": scope.describe(),
                "ports": list(ports),
                "raw_sockets": swept.raw,
                "profiles": [row.to_json() for row in rows],
            }
            out.write(json.dumps(plan, indent=2) + "\n")
        else:
            out.write(table(scope.describe(), ports, rows))


@contextlib.contextmanager
def _journal(order: _Order, checkpoint: Path | None, started: datetime) -> Iterator[Journal | None]:
    """Where the scan keeps what it learns; None, with a word to the user, where that cannot be had."""
    stopped = order.stopped
    path = stopped.path if stopped else checkpoint or named(places.scans(), started.timestamp())

    def failed(error: OSError) -> None:
        say(f"{path}: {error.strerror or error}: the scan goes on, but cannot be resumed")

    if checkpoint is not None and stopped is None and checkpoint.exists():
        raise JournalError(f"{checkpoint}: is there already; --resume goes on with it")
    try:
        journal = Journal(path, failed, None if stopped else order.begin())
    except OSError as error:
        failed(error)
        yield None
        return
    with journal:
        yield journal

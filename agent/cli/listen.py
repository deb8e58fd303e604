"""``camcensus listen``: what a network says by itself, live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agent.capture.live import MAX_HOSTS
from agent.cli.listening import Ear, listen_on
from agent.cli.options import (
    FailOnOption,
    FormatOption,
    OuiOption,
    OutputOption,
    PolicyOption,
    QuietOption,
    SiteOption,
    VerboseOption,
)
from agent.cli.orders import Orders
from agent.cli.periods import seconds_of
from agent.cli.recording import RecordOption, deliver_and_keep
from agent.cli.snapshots import write_snapshot
from agent.cli.wiring import prepare, run_facts, say
from agent.config import ConfigError
from agent.interfaces import Interface, interfaces, own_addresses
from agent.scope import ScopeError
from fingerprints.model import Report

__all__ = ["listen"]

InterfacesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[IFACE]...", help="Interfaces to listen on. Default: all that are up."),
]
ForOption = Annotated[
    str | None, typer.Option("--for", help="Listen for this time, such as 90s, 10m, 2h or 14d.")
]
WriteOption = Annotated[
    Path | None,
    typer.Option("--write", "-w", help="Keep the frames that were evidence in this file (pcapng)."),
]
EveryOption = Annotated[
    str | None,
    typer.Option("--snapshot-every", help="Write the report to --output so often, too, such as 10m."),
]


def listen(
    interface: InterfacesArgument = None,
    for_: ForOption = None,
    write: WriteOption = None,
    snapshot_every: EveryOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
    policy: PolicyOption = None,
    oui: OuiOption = None,
    site: SiteOption = None,
    record: RecordOption = False,
    fail_on: FailOnOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Listen to what a network says by itself: nothing is sent."""
    started = datetime.now(UTC)
    seconds = seconds_of(for_, "--for")
    every = seconds_of(snapshot_every, "--snapshot-every")
    if every is not None and output is None:
        raise ConfigError("--snapshot-every: name a file with --output for the snapshots")
    present = interfaces()
    names, left_out = _chosen(present, interface or ())
    bench = prepare(policy, oui)
    own = [text.partition("/")[0] for text in own_addresses(present)]
    tally = bench.tally(site=site, own=own, max_hosts=MAX_HOSTS)
    orders = Orders()

    def report(ear: Ear, ended: str) -> Report:
        return tally.report(
            coverage={**ear.coverage(), "ended": ended, "interfaces_left_out": left_out},
            run=run_facts(bench, "listen", started, interfaces=names),
            on=datetime.now(UTC).date(),
        )

    with orders.by_signals():
        with Ear.opened(names, tally, write) as ear:
            if verbose or not interface:
                say(f"listening on {', '.join(names)}", quiet=quiet)
            ended = listen_on(
                ear,
                orders,
                seconds,
                every,
                lambda: write_snapshot(report(ear, "snapshot"), form, output),
            )
        whole = report(ear, ended)
    raise deliver_and_keep(whole, form, output, fail_on, site=site, keep=record, quiet=quiet)


def _chosen(present: Sequence[Interface], named: Sequence[str]) -> tuple[list[str], list[dict[str, str]]]:
    """The interfaces to listen on, with the reason for each that is left out.

    A mirror port has no address: none is asked for. Raises ScopeError for a name that is none.
    """
    known = {face.name: face for face in present}
    for name in named:
        if name not in known:
            raise ScopeError(f"{name!r}: no such interface; there are {', '.join(known) or 'none'}")
    left_out = []
    names = list(dict.fromkeys(named))
    for face in present:
        why = (
            ("not chosen" if face.name not in names else "")
            if named
            else "it is down"
            if not face.up
            else "loopback"
            if face.loopback
            else "made by containers or virtual machines; name it to use it"
            if face.virtual
            else ""
        )
        if why:
            left_out.append({"name": face.name, "why": why})
        elif not named:
            names.append(face.name)
    if not names:
        raise ScopeError("there is no interface to listen on: name one")
    return names, left_out

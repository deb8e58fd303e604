"""``camcensus import``: tables that others keep in, a report out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

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
from agent.cli.recording import RecordOption, deliver_and_keep
from agent.cli.tables import read_tables, tell_tables
from agent.cli.wiring import prepare, run_facts, say
from fingerprints.model import Problem
from reporters.text import visible

__all__ = ["import_"]

FilesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="Pasted MAC and ARP tables, DHCP leases (ISC, Kea, dnsmasq), nmap XML, masscan JSON, Zeek logs; folders; - is stdin.",
    ),
]


def import_(
    files: FilesArgument,
    record: RecordOption = False,
    form: FormatOption = None,
    output: OutputOption = None,
    policy: PolicyOption = None,
    oui: OuiOption = None,
    site: SiteOption = None,
    fail_on: FailOnOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Read what switches, DHCP servers and other tools know: who is there, on which port."""
    started = datetime.now(UTC)
    bench = prepare(policy, oui)
    tally = bench.tally(site=site)
    problems: list[Problem] = []
    rows = read_tables(files, problems.append)
    tables = tell_tables(tally, rows)
    if verbose:
        say(visible(f"{len(rows)} rows of {', '.join(tables['sources'])}"), quiet=quiet)
    report = tally.report(
        coverage={"incomplete": bool(problems), "tables": tables},
        run=run_facts(bench, "import", started, files=files),
        on=started.date(),
        problems=problems,
    )
    raise deliver_and_keep(report, form, output, fail_on, site=site, keep=record, quiet=quiet)

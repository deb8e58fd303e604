"""``camcensus replay``: recorded captures in, a report out."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from agent.capture import Replay, find_captures
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
from agent.cli.wiring import deliver, prepare, run_facts, say
from agent.probes import ALL
from fingerprints.model import Problem

__all__ = ["replay"]

FilesArgument = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="pcap or pcapng, .gz too; folders; - is stdin.")
]


def replay(
    files: FilesArgument,
    form: FormatOption = None,
    output: OutputOption = None,
    policy: PolicyOption = None,
    oui: OuiOption = None,
    site: SiteOption = None,
    fail_on: FailOnOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Read recorded captures: the same verdicts as live, offline."""
    started = datetime.now(UTC)
    bench = prepare(policy, oui)
    tally = bench.tally(site=site)
    problems: list[Problem] = []
    coverage: list[dict[str, Any]] = []
    for source in find_captures(files, problems.append):
        capture = Replay(source, ALL)
        for message in capture:
            tally.feed(message)
        problems += capture.problems
        coverage.append(capture.stats.to_json())
        if verbose:
            say(f"{capture.name}: {capture.stats.frames} frames", quiet=quiet)
    report = tally.report(
        coverage={"incomplete": bool(problems), "captures": coverage},
        run=run_facts(bench, "replay", started, files=files),
        on=started.date(),
        problems=problems,
    )
    for problem in problems:
        say(f"{problem.where}: {problem.what}", quiet=quiet)
    sys.stderr.flush()
    raise deliver(report, form, output, fail_on)

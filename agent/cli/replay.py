"""``camcensus replay``: recorded captures in, a report out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

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
from reporters.text import visible

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
    captures: list[Replay] = []
    interrupted = False
    try:
        for source in find_captures(files, problems.append):
            capture = Replay(source, ALL)
            # Before it is read: what is known of a capture counts even if reading is stopped.
            captures.append(capture)
            for message in capture:
                tally.feed(message)
            if verbose:
                say(f"{visible(capture.name)}: {capture.stats.frames} frames", quiet=quiet)
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted: this is what is known so far", quiet=quiet)
    problems += [problem for capture in captures for problem in capture.problems]
    report = tally.report(
        coverage={
            "incomplete": interrupted or bool(problems),
            "interrupted": interrupted,
            "captures": [capture.stats.to_json() for capture in captures],
        },
        run=run_facts(bench, "replay", started, files=files),
        on=started.date(),
        problems=problems,
    )
    raise deliver(report, form, output, fail_on, quiet=quiet)

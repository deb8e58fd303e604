"""``camcensus identify``: recorded observations in, one verdict a line out."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer

from agent.cli.exits import DONE, FOUND, INCOMPLETE
from agent.cli.options import (
    FailOn,
    FailOnOption,
    FormatOption,
    OuiOption,
    OutputFormat,
    OutputOption,
    PolicyOption,
    QuietOption,
    VerboseOption,
)
from agent.cli.wiring import deliver, opened, prepare, run_facts, say
from agent.observations import MAX_LINE, Sample, read_sample
from agent.probes import ALL
from fingerprints.codec import dumps, problem_to_json, verdict_to_json
from fingerprints.model import Device, Finding, Report, Verdict
from fingerprints.policy import apply_policies

__all__ = ["identify", "sample_lines"]

_STDIN: Final = "-"
FilesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE.jsonl...", help="Files of observations, one JSON object a line; - is stdin."
    ),
]


def identify(
    files: FilesArgument,
    form: FormatOption = None,
    output: OutputOption = None,
    policy: PolicyOption = None,
    oui: OuiOption = None,
    fail_on: FailOnOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Say who made each recorded device: one line out for each line in, in order."""
    started = datetime.now(UTC)
    bench = prepare(policy, oui)
    today = started.date()
    unreadable = 0
    found = False
    devices = []
    lines = form in {None, OutputFormat.JSONL}
    with opened(output) if lines else contextlib.nullcontext(sys.stdout) as out:
        for where, line in sample_lines(files):
            sample = read_sample(line, where, bench.judge.knowledge, ALL)
            verdict = bench.judge.judge(sample.facts)
            finding = apply_policies(verdict, bench.policies, bench.judge.knowledge, today)
            found = found or _fails(finding, fail_on)
            unreadable += not sample.facts and bool(sample.problems)
            if lines:
                _write(out, sample, verdict, finding)
                if _STDIN in files:
                    # Whoever writes to us may wait for this answer before the next question.
                    out.flush()
            else:
                name = str(sample.id) if sample.id is not None else where
                devices.append(Device(name, verdict, finding, problems=sample.problems))
            if verbose:
                for problem in sample.problems:
                    say(f"{problem.where}: {problem.what}", quiet=quiet)
    if unreadable:
        say(f"{unreadable} lines gave nothing to judge by: see their problems", quiet=quiet)
    if not lines:
        run = run_facts(bench, "identify", started, files=files)
        report = Report(tuple(devices), {"incomplete": bool(unreadable), "lines": len(devices)}, (), run)
        raise deliver(report, form, output, fail_on, quiet=quiet)
    raise typer.Exit(FOUND if found else INCOMPLETE if unreadable else DONE)


def _fails(finding: Finding, fail_on: FailOn | None) -> bool:
    if fail_on is None:
        return False
    return finding.status == "flagged" or (fail_on is FailOn.SUSPECTED and finding.status == "suspected")


def _write(out: TextIO, sample: Sample, verdict: Verdict, finding: Finding) -> None:
    row = {
        "id": sample.id,
        **verdict_to_json(verdict, finding),
        "problems": [problem_to_json(problem) for problem in sample.problems],
    }
    out.write(dumps(row) + "\n")


def sample_lines(files: list[str]) -> Iterator[tuple[str, str]]:
    """Every line of every file with its place.

    A folder stands for the ``.jsonl`` files in it. A line longer than is read is cut, which
    makes it a Problem of its own rather than a loss of the next one.
    """
    for name in files:
        for path in _expand(name):
            with _stream(path) as stream:
                number = 0
                while line := stream.readline(MAX_LINE + 2):
                    number += 1
                    if len(line) > MAX_LINE and not line.endswith("\n"):
                        while (rest := stream.readline(MAX_LINE)) and not rest.endswith("\n"):
                            pass
                    yield f"{path}:{number}", line


def _expand(name: str) -> list[str]:
    path = Path(name)
    if name != _STDIN and path.is_dir():
        return [str(file) for file in sorted(path.rglob("*.jsonl"))]
    return [name]


@contextlib.contextmanager
def _stream(name: str) -> Iterator[TextIO]:
    if name == _STDIN:
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
        yield sys.stdin
    else:
        with Path(name).open(encoding="utf-8", errors="replace") as stream:
            yield stream

"""Brings knowledge, registry and policies together for a command, then its report to the user."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO

import typer

from agent import __version__
from agent.census import Tally, provenance
from agent.cli.exits import exit_code
from agent.cli.options import FailOn, OutputFormat
from agent.cli.places import installed_or_shipped, kept, own_policies
from agent.probes import ALL
from fingerprints.compiled import compiled_matchers
from fingerprints.judge import Judge
from fingerprints.model import Report
from fingerprints.oui import Registry
from fingerprints.policy import DEFAULT_POLICIES, Policy, load_policies
from reporters import REPORTERS
from reporters.text import visible

if TYPE_CHECKING:
    from fingerprints.clouds import Cloud

__all__ = ["Bench", "deliver", "opened", "prepare", "run_facts", "say", "whole_file"]

_MAX_SAID: Final = 20


@dataclass(frozen=True, slots=True)
class Bench:
    """What every verdict needs: a judge with the policies to apply."""

    judge: Judge
    policies: tuple[Policy, ...]

    def tally(self, **more: Any) -> Tally:
        """An empty census over all protocols; `more` goes to `Tally`."""
        return Tally(self.judge, self.policies, ALL, maker_of=_cloud_of, **more)


def _cloud_of(name: str) -> Cloud | None:
    """Whose cloud a name is; the list is read with the first name, for many runs meet none."""
    from fingerprints.clouds import maker_of  # noqa: PLC0415 - see above

    return maker_of(name)


def prepare(policies: Sequence[str] | None, oui: Path | None) -> Bench:
    """Load the knowledge; raises RuleError or RegistryError naming what is wrong."""
    matchers = compiled_matchers(installed_or_shipped(), kept())
    registry = Registry.from_file(oui) if oui is not None else Registry.packaged(kept())
    chosen = load_policies(matchers.knowledge, policies or DEFAULT_POLICIES, own_policies())
    return Bench(Judge(matchers, registry), chosen)


def run_facts(bench: Bench, command: str, started: datetime, **more: Any) -> dict[str, Any]:
    """The `run` section of a report: which tool, knowledge and policies, and when."""
    return {
        "tool": "camcensus",
        "version": __version__,
        "command": command,
        "started": _stamp(started),
        "finished": _stamp(datetime.now(UTC)),
        **provenance(bench.judge, bench.policies),
        **more,
    }


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


@contextlib.contextmanager
def opened(output: Path | None) -> Iterator[TextIO]:
    """Stdout, or the `whole_file` called `output`."""
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What this terminal cannot show is written as an escape, not as a failure.
            sys.stdout.reconfigure(errors="backslashreplace")
        yield sys.stdout
        sys.stdout.flush()
        return
    with whole_file(output) as raw, io.TextIOWrapper(raw, encoding="utf-8", newline="") as out:
        yield out


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which appears whole or not at all; a device or pipe is written to."""
    if path.exists() and not path.is_file():
        # Put in its place, a file would be the end of /dev/null for everybody.
        with path.open("wb") as out:
            yield out
        return
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as out:
            yield out
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def deliver(
    report: Report,
    form: OutputFormat | None,
    output: Path | None,
    fail_on: FailOn | None,
    *,
    quiet: bool = False,
) -> typer.Exit:
    """Write the report where the user wants it; the exit to raise."""
    chosen = form or OutputFormat.TABLE
    with opened(output) as out:
        REPORTERS[chosen.value](report, out)
    if chosen in {OutputFormat.JSONL, OutputFormat.CSV} or output is not None:
        # These have no place for them, or nobody sees it.
        for problem in report.problems[:_MAX_SAID]:
            say(visible(f"{problem.where}: {problem.what}"), quiet=quiet)
        if len(report.problems) > _MAX_SAID:
            say(f"and {len(report.problems) - _MAX_SAID} more problems", quiet=quiet)
    return typer.Exit(exit_code(report, fail_on.value if fail_on else None))


def say(text: str, *, quiet: bool = False) -> None:
    """A line for people, on stderr."""
    if not quiet:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

"""``camcensus replay``: recorded captures in, a report out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from agent.capture import CaptureStats, Replay, Source, find_captures
from agent.capture.evidence import Evidence
from agent.capture.following import Following
from agent.census import Tally
from agent.cli.fanout import fan_out, is_remote
from agent.cli.keeping import keeping, read_keeping
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
from agent.cli.shares import read_shares, shares_of
from agent.cli.snapshots import write_snapshot
from agent.cli.tables import WithOption, read_tables, tell_tables
from agent.cli.wiring import prepare, run_facts, say
from agent.config import ConfigError
from agent.probes import ALL
from fingerprints.model import Problem, Report
from reporters.text import visible

__all__ = ["replay"]

_LOOK_SECONDS: Final = 1.0
_MAX_TOLD: Final = 1_000
"""Captures that a report tells of one by one when a folder is followed."""

FilesArgument = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="pcap or pcapng, .gz too; folders; - is stdin.")
]
FollowOption = Annotated[
    bool, typer.Option("--follow", help="Go on: take up captures of the folders as they are finished.")
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", help="With --follow: remember in this file what was read, for the next run."),
]
DaskOption = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="WHERE",
        help="Have workers read the captures: tcp://scheduler:8786, or how many processes here.",
    ),
]
WriteOption = Annotated[
    Path | None,
    typer.Option("--write", "-w", help="Keep the frames that were evidence in this file (pcapng)."),
]
EveryOption = Annotated[
    str | None,
    typer.Option(
        "--snapshot-every", help="With --follow: write the report to --output so often, such as 10m."
    ),
]


def replay(
    files: FilesArgument,
    follow: FollowOption = False,
    state: StateOption = None,
    snapshot_every: EveryOption = None,
    dask: DaskOption = None,
    write: WriteOption = None,
    tables: WithOption = None,
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
    """Read recorded captures: the same verdicts as live, offline."""
    started = datetime.now(UTC)
    every = seconds_of(snapshot_every, "--snapshot-every")
    if not follow and (state is not None or every is not None):
        raise ConfigError("--state and --snapshot-every go with --follow")
    if every is not None and output is None:
        raise ConfigError("--snapshot-every: name a file with --output for the snapshots")
    remote = [name for name in files if is_remote(name)]
    if remote and dask is None:
        raise ConfigError(f"{remote[0]}: captures of a store are read with --dask")
    if dask is not None and follow:
        raise ConfigError("--dask reads what is there: it does not go with --follow")
    if write is not None and (follow or dask is not None):
        raise ConfigError("--write reads one capture after the other: it does not go with --follow or --dask")
    bench = prepare(policy, oui)
    reading = _Captures(lambda: bench.tally(site=site), quiet=quiet or not verbose)

    told = tell_tables(reading.tally, read_tables(tables, reading.problems.append)) if tables else None

    def report(ended: str = "") -> Report:
        return reading.tally.report(
            coverage={
                **reading.coverage(),
                **({"tables": told} if told else {}),
                **({"ended": ended} if ended else {}),
            },
            run=run_facts(bench, "replay", started, files=files),
            on=datetime.now(UTC).date(),
            problems=reading.problems,
        )

    if follow:
        _follow(reading, files, state, every, lambda: write_snapshot(report("snapshot"), form, output))
    elif dask is not None:
        reading.fan_out(dask, files, quiet=quiet, verbose=bool(verbose))
    else:
        with keeping(write, files) as reading.evidence:
            try:
                for source in find_captures(files, reading.problems.append):
                    reading.read(source)
            except KeyboardInterrupt:
                reading.interrupted = True
                say("interrupted: this is what is known so far", quiet=quiet)
    whole = report("interrupted" if follow else "")
    raise deliver_and_keep(whole, form, output, fail_on, site=site, keep=record, quiet=quiet)


class _Captures:
    """What was read into one census."""

    def __init__(self, fresh: Callable[[], Tally], *, quiet: bool) -> None:
        self.tally = fresh()
        self._fresh = fresh
        self.problems: list[Problem] = []
        self.interrupted = False
        self.evidence: Evidence | None = None
        self._quiet = quiet
        self._told: deque[CaptureStats | dict[str, Any]] = deque()
        self._more = 0

    def read(self, source: Source, orders: Orders | None = None) -> None:
        """Read one capture, unless it is ordered to end."""
        if self.evidence is None and orders is None and self._read_shared(source):
            return
        capture = Replay(source, ALL)
        # Before it is read: what is known of a capture counts even if reading is stopped.
        self._told.append(capture.stats)
        try:
            if self.evidence is not None:
                read_keeping(capture, self.tally, self.evidence)
            for message in capture if self.evidence is None else ():
                self.tally.feed(message)
                if orders is not None and orders.end:
                    self.interrupted = True
                    break
        finally:
            self.problems += capture.problems
        say(f"{visible(capture.name)}: {capture.stats.frames} frames", quiet=self._quiet)

    def _read_shared(self, source: Source) -> bool:
        """Have several processes read it, where that pays; False where it is still to be read."""
        count = shares_of(source)
        found = read_shares(source, count, self._fresh) if count > 1 else None
        if found is None:
            return False
        for state in found.states:
            self.tally.merge(state)
        self._told.append(found.stats)
        say(f"{visible(source.name)}: {found.stats.frames} frames", quiet=self._quiet)
        if found.interrupted:
            raise KeyboardInterrupt
        return True

    def fan_out(self, cluster: str, names: Sequence[str], *, quiet: bool, verbose: bool) -> None:
        """Have workers read captures, and take in what they learned."""
        found = fan_out(cluster, names, self.tally, quiet=quiet, verbose=verbose)
        self._told += found.captures
        self.problems += found.problems
        self.interrupted = found.interrupted
        if found.interrupted:
            say("interrupted: this is what is known so far", quiet=quiet)

    def forget_details(self) -> None:
        """Keep only the latest captures by name, and their problems: this may go on for weeks."""
        while len(self._told) > _MAX_TOLD:
            self._told.popleft()
            self._more += 1
        for problem in self.problems:
            self.tally.note(problem)
        self.problems = self.problems[-1:]

    def coverage(self) -> dict[str, object]:
        """The part of a report's coverage that tells of the captures."""
        return {
            "incomplete": self.interrupted or bool(self.problems),
            "interrupted": self.interrupted,
            "captures": [told if isinstance(told, dict) else told.to_json() for told in self._told],
            **({"captures_before": self._more} if self._more else {}),
            **({} if self.evidence is None else {"evidence_frames": self.evidence.written}),
        }


def _follow(
    reading: _Captures,
    names: Sequence[str],
    state: Path | None,
    every: float | None,
    snapshot: Callable[[], object],
) -> None:
    """Read captures of folders as they are finished, until a signal ends it."""
    for name in names:
        if not Path(name).is_dir():
            raise ConfigError(f"--follow: {name}: is no folder")
    try:
        following = Following([Path(name) for name in names], reading.problems.append, state)
    except ValueError as error:
        raise ConfigError(f"--state: {error}") from None
    orders = Orders()
    due = None if every is None else time.monotonic() + every
    with orders.by_signals():
        while not orders.end:
            for source in following.finished(time.monotonic()):
                reading.read(source, orders)
                reading.forget_details()
                if orders.end:
                    break
            now = time.monotonic()
            if orders.snapshot or (due is not None and now >= due):
                orders.snapshot = False
                due = None if every is None else now + every
                snapshot()
            if not orders.end:
                time.sleep(_LOOK_SECONDS)

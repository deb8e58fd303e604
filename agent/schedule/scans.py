"""Brings one scope's scan from its beginning to a report in the outbox, whatever comes between."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from agent.outbox import Outbox, OutboxError
from agent.schedule.child import Ended, run_command
from agent.schedule.ledger import Ledger, Run
from agent.schedule.settings import ScopePlan

__all__ = ["Scans", "Told"]

_STALE_SECONDS: Final = 3 * 86_400.0
"""What a stopped scan had learned counts no more after this time: it is begun anew."""
_MAX_REPORT: Final = 1 << 30
_DONE: Final = frozenset({0, 3, 4})
_DEATH: Final = 128


@dataclass(frozen=True, slots=True)
class Told:
    """How a run ended: ``done``, ``incomplete``, ``stopped`` (to be gone on with) or ``failed``, with why."""

    outcome: str
    word: str = ""
    report: str = ""


class Scans:
    """Runs scans as processes. `program` are the words that start our command line; `folder` is the agent's."""

    def __init__(
        self,
        program: Sequence[str],
        folder: Path,
        ledger: Ledger,
        outbox: Outbox,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make the folders that are not there."""
        self._program, self._ledger, self._outbox, self._clock = tuple(program), ledger, outbox, clock
        self._spool, self._marks, self._logs = (folder / name for name in ("spool", "scans", "logs"))
        for made in (self._spool, self._marks, self._logs):
            made.mkdir(parents=True, exist_ok=True, mode=0o700)

    def scan(self, plan: ScopePlan, why: str, stop: Callable[[], bool]) -> Told:
        """Scan a scope once, going on with what was stopped; the report is on the disk when this returns."""
        now = self._clock()
        run = self._going_on(plan, now)
        checkpoint = self._marks / f"{plan.id}.scan"
        if run is None:
            checkpoint.unlink(missing_ok=True)
            run_id = uuid.uuid4().hex
            self._ledger.begin(run_id, plan.id, plan.site, why, now)
            run = self._ledger.run(run_id)
        if run is None:
            raise RuntimeError("a run that was just begun is not in the ledger")
        output = self._spool / f"{run.id}.json"
        output.unlink(missing_ok=True)
        ended = run_command(self._words(plan, output, checkpoint, now), self._logs / f"{plan.id}.log", stop)
        return self._taken(plan, run, ended, output, checkpoint)

    def put_leftovers(self) -> list[str]:
        """Put into the outbox what a crash, or a full disk, left in the spool; what could not be, by name."""
        failed = []
        for path in sorted(self._spool.glob("*.json")):
            run = self._ledger.run(path.stem)
            document = _read(path)
            if run is None or document is None:
                path.unlink(missing_ok=True)
                continue
            try:
                self._put(run, document, path)
            except OutboxError as error:
                failed.append(str(error))
        for path in self._spool.glob(".*.part"):
            path.unlink(missing_ok=True)
        return failed

    def listen(self, site: str, interfaces: Sequence[str], every: float, stop: Callable[[], bool]) -> Told:
        """Listen for `every` seconds and put the report."""
        name = f"{site}.listen-{'-'.join(interfaces)}"
        run_id = uuid.uuid4().hex
        self._ledger.begin(run_id, name, site, "listening", self._clock())
        output = self._spool / f"{run_id}.json"
        words = [*self._program, "listen", *interfaces, "--for", f"{every:.0f}s", "--site", site, "--quiet"]
        ended = run_command(
            [*words, "--format", "json", "--output", str(output)], self._logs / f"{name}.log", stop
        )
        document = _read(output)
        if ended.code not in _DONE or document is None:
            return self._failed(run_id, ended)
        run = self._ledger.run(run_id)
        if run is not None:
            self._put(run, document, output)
        return Told("done", report=run_id)

    def _going_on(self, plan: ScopePlan, now: float) -> Run | None:
        """The run of this scope that is to be gone on with; one that is too old is given up."""
        run = self._ledger.unfinished(plan.id)
        if run is None:
            return None
        if 0 <= now - run.begun <= _STALE_SECONDS:
            return run
        self._ledger.end(run.id, "given up", "it was stopped too long ago to go on with", now)
        return None

    def _words(self, plan: ScopePlan, output: Path, checkpoint: Path, now: float) -> list[str]:
        words = [*self._program, "scan"]
        settings = plan.settings
        limit = _limit(plan, now)
        more = ["--format", "json", "--output", str(output), "--checkpoint", str(checkpoint), "--quiet"]
        more += ["--site", plan.site, "--progress", "none", "--no-inventory"]
        more += ["--time-limit", f"{limit:.0f}s"] if limit is not None else []
        for name in settings.policies:
            more += ["--policy", name]
        more += ["--oui", str(settings.oui)] if settings.oui is not None else []
        if checkpoint.exists():
            return [*words, "--resume", *more]
        for option, values in (
            ("--exclude", settings.exclude),
            ("--allow-public", settings.allow_public),
            ("--interface", settings.interfaces),
        ):
            for value in values:
                more += [option, value]
        more += ["--profile", settings.profile]
        more += ["--ports", ",".join(map(str, settings.ports))] if settings.ports else []
        more += ["--rate", str(settings.rate)] if settings.rate is not None else []
        more += ["--passes", str(settings.passes)] if settings.passes is not None else []
        more += ["--vlans", plan.vlans] if plan.vlans else []
        more += ["--credentials", str(plan.credentials)] if plan.credentials else []
        return [*words, *more, "--", *settings.targets]

    def _taken(self, plan: ScopePlan, run: Run, ended: Ended, output: Path, checkpoint: Path) -> Told:
        document = _read(output)
        if ended.code not in _DONE or document is None:
            if ended.code < 0 or ended.code > _DEATH:
                # Killed: what it had learned is in the checkpoint, and the run stays open.
                return Told("stopped", f"the scan was ended by signal {abs(ended.code)}")
            checkpoint.unlink(missing_ok=True)
            return self._failed(run.id, ended)
        how = str(document.get("coverage", {}).get("ended", ""))
        if how == "finished":
            self._put(run, document, output)
            checkpoint.unlink(missing_ok=True)
            return Told("done" if ended.code != 4 else "incomplete", ended.words, run.id)
        # What it has is worth having now; the same run goes on later, and reports the whole.
        piece = f"{run.id}.{self._ledger.piece(run.id)}"
        with contextlib.suppress(OutboxError):
            self._outbox.put(plan.site, piece, document)
        output.unlink(missing_ok=True)
        return Told("stopped", how, piece)

    def _put(self, run: Run, document: Mapping[str, Any], path: Path) -> None:
        incomplete = bool(document.get("coverage", {}).get("incomplete"))
        self._outbox.put(run.site, run.id, document)
        # Only now does the scan count as done; a crash before this line puts the same again.
        self._ledger.end(run.id, "incomplete" if incomplete else "done", "", self._clock())
        path.unlink(missing_ok=True)

    def _failed(self, run: str, ended: Ended) -> Told:
        word = ended.words or f"exit code {ended.code}"
        self._ledger.end(run, "failed", word, self._clock())
        return Told("failed", word)


def _limit(plan: ScopePlan, now: float) -> float | None:
    """How long a scan may take: as long as it is allowed to, and not into hours in which nothing is sent."""
    moment = datetime.fromtimestamp(now, UTC)
    limits = [(window.begins(moment, plan.zone) - moment).total_seconds() for window in plan.blackout]
    limits += [limit for limit in (plan.longest, plan.settings.time_limit) if limit is not None]
    return max(1.0, min(limits)) if limits else None


def _read(path: Path) -> dict[str, Any] | None:
    """The report in a file; None where it is none, as after a kill."""
    try:
        if path.stat().st_size > _MAX_REPORT:
            return None
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and isinstance(document.get("devices"), list) else None

"""Keeps an agent going: scans at their times, listens, sends results, does jobs, for years.

Threads: the scheduler's (APScheduler) starts scans, one at a time for each scope; one sends; one a
listening; one asks for jobs; the main one looks after them all. None holds anything that is not on
the disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from agent import __version__
from agent.config import ConfigError
from agent.outbox import Courier, Limits, Outbox, OutboxError, Sender
from agent.schedule.jobs import Jobs, job_scope
from agent.schedule.knowledge import KnowledgeUpdates
from agent.schedule.ledger import Ledger, LedgerError
from agent.schedule.links import courier, jobs_of, load, packs_of, signer
from agent.schedule.metrics import metrics, served
from agent.schedule.notify import notify, watchdog_seconds
from agent.schedule.scans import Scans, Told
from agent.schedule.settings import AgentSettings, Listening, ScopePlan, read_settings

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

__all__ = ["Keeper", "KeeperError", "locked"]

_TICK_SECONDS: Final = 5.0
_JUMP_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 60.0
_RECEIPT_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 900.0
_KNOWLEDGE_SECONDS: Final = 3_600.0
_JOIN_SECONDS: Final = 90.0
_LONGEST_HOLD: Final = 900.0

_log = logging.getLogger("camcensus.agent")


class KeeperError(Exception):
    """The agent cannot run; the text says why."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only agent in a folder; raises KeeperError where another one is."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "agent.lock").open("a+") as file:
        _lock(file, folder)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _lock(file: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        raise KeeperError(f"another agent runs in {folder} (process {file.read(20).strip()})") from None


class Keeper:
    """An agent that runs. `program` are the words that start our command line."""

    def __init__(self, settings: AgentSettings, program: Sequence[str]) -> None:
        """Open what is on the disk; nothing runs yet. Raises OutboxError, LedgerError, KeeperError."""
        self._settings, self._program = settings, program
        folder = settings.state
        self._ledger = Ledger(folder / "ledger.sqlite3")
        self._outbox = Outbox(folder / "outbox.sqlite3", Limits(settings.outbox_size, settings.outbox_days))
        self._scans = Scans(program, folder, self._ledger, self._outbox)
        self._instance = _instance(folder)
        self._stop = threading.Event()
        self._reload = threading.Event()
        self._to_send = threading.Event()
        self._threads: list[threading.Thread] = []
        self._round = threading.Event()
        """Set when the threads of this round (until the next reload) have to end."""
        self._busy: dict[str, threading.Lock] = {}
        self._problems: dict[str, str] = {}
        self._sender: Sender | None = None
        self._scheduler: BackgroundScheduler | None = None

    def stop(self) -> None:
        """End soon: scans report what they have. For signal handlers, too."""
        self._stop.set()
        self._round.set()
        self._to_send.set()

    def reload(self) -> None:
        """Read agent.toml again soon. For signal handlers, too."""
        self._reload.set()

    def run(self) -> None:
        """Keep going until `stop`."""
        self._leftovers()
        with served(self._settings.metrics_listen, self._metrics):
            self._begin()
            notify("READY=1", f"STATUS=watching {len(self._settings.scopes)} scopes")
            try:
                self._watch()
            finally:
                notify("STOPPING=1")
                self.stop()
                self._end()
                self._tell("stopped")
                self._outbox.close()
                self._ledger.close()

    def once(self, names: Sequence[str] = ()) -> dict[str, Told]:
        """Scan each scope (or those of `names`) now, one after the other, and send what waits."""
        self._leftovers()
        told = {}
        for plan in self._settings.scopes:
            if (not names or plan.id in names or plan.name in names) and not self._stop.is_set():
                told[plan.id] = self._scans.scan(plan, "asked for", self._stop.is_set)
        self._sender = sender = self._new_sender()
        if sender is not None:
            with contextlib.closing(sender.courier):
                sender.send_due(self._stop.is_set)
        self._tell("once")
        return told

    # -- what the main thread does

    def _begin(self) -> None:
        from apscheduler.executors.pool import ThreadPoolExecutor  # noqa: PLC0415 - slow
        from apscheduler.schedulers.background import BackgroundScheduler  # noqa: PLC0415 - slow

        self._round = threading.Event()
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(self._settings.parallel)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )
        self._scheduler.start()
        for plan in self._settings.scopes:
            self._plan(plan, self._first(plan))
        if self._settings.central is not None:
            load(self._settings.central)
        self._thread("sending", self._send)
        if self._settings.central is not None:
            self._thread("jobs", self._look_for_jobs)
            self._thread("knowledge", self._keep_knowledge)
        for listening in self._settings.listening:
            self._thread(f"listening {'-'.join(listening.interfaces)}", self._listen, listening)

    def _end(self) -> None:
        self._round.set()
        self._to_send.set()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)
        self._threads.clear()

    def _watch(self) -> None:
        tick = min(_TICK_SECONDS, (watchdog_seconds() or 60.0) / 2)
        wall, steady = time.time(), time.monotonic()
        while not self._stop.wait(tick):
            jump = (time.time() - wall) - (time.monotonic() - steady)
            wall, steady = time.time(), time.monotonic()
            if abs(jump) > _JUMP_SECONDS:
                self._clock_jumped(jump)
            if self._scheduler is not None:
                # It sleeps by the clock that was right when it went to sleep.
                self._scheduler.wakeup()
            if self._reload.is_set():
                self._reload.clear()
                self._read_again()
            self._leftovers()
            self._tell("running")
            notify("WATCHDOG=1")

    def _clock_jumped(self, jump: float) -> None:
        _log.warning("the clock jumped by %+.0f s", jump)
        now = time.time()
        self._outbox.hold_no_longer(now + _LONGEST_HOLD)
        if jump < 0:
            for plan in self._settings.scopes:
                self._plan(plan, None)

    def _read_again(self) -> None:
        try:
            settings = read_settings(self._settings.path, self._settings.state)
        except ConfigError as error:
            self._problems["settings"] = str(error)
            _log.error("not taken over: %s", error)
            return
        if settings.state != self._settings.state:
            self._problems["settings"] = "the folder of an agent changes with a new start only"
            return
        self._problems.pop("settings", None)
        notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self._end()
        self._settings = settings
        self._begin()
        notify("READY=1")
        _log.info("took over %s", settings.path)

    def _leftovers(self) -> None:
        try:
            failed = self._scans.put_leftovers() if not self._scanning() else []
        except (LedgerError, OSError) as error:
            failed = [str(error)]
        self._note("disk", failed[0] if failed else "")

    def _scanning(self) -> bool:
        return any(lock.locked() for lock in self._busy.values())

    # -- scans

    def _first(self, plan: ScopePlan) -> datetime | None:
        """When a scope is scanned first after a start: at once, if a scan was stopped or a time was missed."""
        now = datetime.now(UTC)
        if plan.cron is None:
            return None
        last = self._ledger.last(plan.id)
        if last is None or last.begun > now.timestamp():
            return None
        if last.ended is None:
            return now
        missed = plan.cron.after(datetime.fromtimestamp(last.begun, UTC))
        # However many were missed, one scan makes up for them all.
        return now + _spread(plan.jitter) if missed is not None and missed <= now else None

    def _plan(self, plan: ScopePlan, first: datetime | None) -> None:
        """Put the next scan of a scope into the schedule."""
        if self._scheduler is None or plan.cron is None or self._round.is_set():
            return
        when = first
        if when is None:
            after = plan.cron.after(datetime.now(UTC))
            when = after + _spread(plan.jitter) if after is not None else None
        if when is None:
            return
        self._scheduler.add_job(
            self._scheduled, "date", run_date=when, args=(plan,), id=plan.id, replace_existing=True
        )

    def _scheduled(self, plan: ScopePlan) -> None:
        next_time: datetime | None = None
        try:
            next_time = self._scan(plan, "schedule")
        except Exception:  # noqa: BLE001 - see below
            # A scan that fails in an unforeseen way must not end the schedule.
            _log.exception("%s", plan.id)
            self._problems[plan.id] = "failed in an unforeseen way; see the log"
        self._plan(plan, next_time)

    def _scan(self, plan: ScopePlan, why: str, stop: Callable[[], bool] | None = None) -> datetime | None:
        """Scan now, unless nothing may be sent now; when to go on, where that is known."""
        now = datetime.now(UTC)
        ends = max(
            (end for window in plan.blackout if (end := window.ends(now, plan.zone)) is not None),
            default=None,
        )
        if ends is not None:
            return ends
        lock = self._busy.setdefault(plan.id.removesuffix("!"), threading.Lock())
        with lock:
            told = self._scans.scan(plan, why, stop or self._round.is_set)
        self._to_send.set()
        self._note(plan.id, told.word if told.outcome == "failed" else "")
        _log.info("%s: %s %s", plan.id, told.outcome, told.word)
        if told.outcome == "failed":
            return datetime.now(UTC) + timedelta(seconds=_RETRY_SECONDS) if why == "schedule" else None
        if told.outcome == "stopped" and not self._round.is_set():
            windows = [window.ends(datetime.now(UTC), plan.zone) for window in plan.blackout]
            return next((end for end in windows if end is not None), None)
        return None

    # -- what the other threads do

    def _send(self) -> None:
        self._sender = sender = self._new_sender()
        if sender is None:
            return
        with contextlib.closing(sender.courier):
            while not self._round.is_set():
                self._to_send.clear()
                try:
                    sender.send_due(self._round.is_set)
                except OutboxError as error:
                    sender.state = str(error)
                    sender.pause = _IDLE_SECONDS
                pause = sender.pause
                if pause:
                    # The link is down: what comes now waits with the rest.
                    self._round.wait(pause)
                else:
                    # What was handed over is gone only when the receipt is here.
                    waiting = self._outbox.status().parts
                    self._to_send.wait(_RECEIPT_SECONDS if waiting else _IDLE_SECONDS)

    def _new_sender(self) -> Sender | None:
        central = self._settings.central
        if central is None:
            return None
        try:
            link: Courier = courier(central, self._settings.name)
            sign = signer(self._settings, self._instance)
        except ConfigError as error:
            self._problems["inventory"] = str(error)
            return None
        self._problems.pop("inventory", None)
        return Sender(self._outbox, link, sign)

    def _listen(self, listening: Listening) -> None:
        while not self._round.is_set():
            told = self._scans.listen(
                listening.site, listening.interfaces, listening.every, self._round.is_set
            )
            self._note(
                f"listening {' '.join(listening.interfaces)}", told.word if told.outcome == "failed" else ""
            )
            self._to_send.set()
            if told.outcome == "failed":
                self._round.wait(_IDLE_SECONDS)

    def _look_for_jobs(self) -> None:
        central = self._settings.central
        if central is None:
            return
        try:
            jobs: Jobs = jobs_of(central, self._settings)
        except ConfigError as error:
            self._problems["jobs"] = str(error)
            return
        with contextlib.closing(jobs):
            while not self._round.is_set():
                for job in jobs.take():
                    if self._round.is_set():
                        return
                    scope = job_scope(job, self._settings)
                    if isinstance(scope, str):
                        jobs.refuse(job, scope)
                        _log.warning("job %s refused: %s", job.id, scope)
                        continue
                    self._do_job(jobs, job.id, scope)
                self._note("jobs", jobs.state)
                self._round.wait(central.poll)

    def _keep_knowledge(self) -> None:
        central = self._settings.central
        if central is None:
            return
        try:
            packs = packs_of(central, self._settings.name)
        except ConfigError as error:
            self._problems["knowledge"] = str(error)
            return
        updates = KnowledgeUpdates(packs, self._program, self._settings.state)
        with contextlib.closing(packs):
            while not self._round.is_set():
                self._note("knowledge", updates.look(self._round.is_set))
                self._round.wait(max(central.poll, _KNOWLEDGE_SECONDS))

    def _do_job(self, jobs: Jobs, job: str, scope: ScopePlan) -> None:
        later = self._scan(scope, f"job {job}")
        if later is not None:
            jobs.refuse_later(job, f"nothing may be sent before {later.isoformat(timespec='minutes')}")
            return
        last = self._ledger.last(scope.id)
        if last is None or last.ended is None:
            jobs.refuse_later(job, "the scan was stopped")
        else:
            jobs.done(job, last.id, last.outcome, last.word)

    # -- what others see

    def _note(self, what: str, problem: str) -> None:
        if problem:
            self._problems[what] = problem
        else:
            self._problems.pop(what, None)

    def status(self, state: str) -> dict[str, Any]:
        """How the agent is, JSON-shaped; times are UTC."""
        scopes = []
        for plan in self._settings.scopes:
            last = self._ledger.last(plan.id)
            job = self._scheduler.get_job(plan.id) if self._scheduler is not None else None
            lock = self._busy.get(plan.id)
            scopes.append(
                {
                    "scope": plan.id,
                    "running": lock is not None and lock.locked(),
                    "last": None if last is None else _stamp(last.begun),
                    "outcome": None if last is None else last.outcome or "not finished",
                    "word": "" if last is None else last.word,
                    "next": None if job is None else _stamp(job.next_run_time.timestamp()),
                }
            )
        outbox = self._outbox.status()
        sender = self._sender
        return {
            "state": state,
            "at": _stamp(time.time()),
            "process": os.getpid(),
            "version": __version__,
            "name": self._settings.name,
            "instance": self._instance,
            "scopes": scopes,
            "outbox": asdict(outbox),
            "link": {
                "url": self._settings.central.url if self._settings.central else None,
                "state": sender.state if sender is not None else "no inventory",
                "last_sent": _stamp(sender.last_sent) if sender and sender.last_sent else None,
            },
            "problems": dict(sorted(self._problems.items())),
        }

    def _tell(self, state: str) -> None:
        try:
            status = self.status(state)
            _whole(self._settings.state / "status.json", json.dumps(status, indent=1))
            if self._settings.metrics_file is not None:
                _whole(self._settings.metrics_file, metrics(status))
        except (OSError, OutboxError, LedgerError) as error:
            _log.warning("status: %s", error)

    def _metrics(self) -> str:
        return metrics(self.status("running"))

    def _thread(self, name: str, target: Callable[..., None], *values: object) -> None:
        thread = threading.Thread(target=self._guarded, args=(target, *values), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guarded(self, target: Callable[..., None], *values: object) -> None:
        """A thread that fails in an unforeseen way begins anew after a while."""
        ended = self._round
        while not ended.is_set():
            try:
                target(*values)
            except Exception as error:  # noqa: BLE001 - it is logged, and tried again
                name = threading.current_thread().name
                _log.exception("%s", name)
                self._problems[name] = f"failed in an unforeseen way: {type(error).__name__}"
                ended.wait(_IDLE_SECONDS)
            else:
                return


def _instance(folder: Path) -> str:
    """What tells this machine from another that has the same identity."""
    path = folder / "instance"
    with contextlib.suppress(FileExistsError):
        _whole_new(path, secrets.token_hex(8))
    return path.read_text(encoding="ascii").strip()[:64]


def _whole_new(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _spread(seconds: float) -> timedelta:
    return timedelta(seconds=secrets.randbelow(int(seconds) + 1)) if seconds else timedelta()


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

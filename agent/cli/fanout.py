"""Fans the captures of an archive out over many workers.

Each capture is a task, and the workers are Dask's: processes of this machine, or of a cluster
whose scheduler is named. A task returns the state of a census as compressed JSON; states are
merged as they arrive, in any order, so this side holds one census and a few results at a time. A
worker that dies has its tasks done by another; a capture that no worker survives is a Problem that
names it.

Whoever can reach a scheduler can run programs on its workers: that is what Dask is for. Name one
that you trust (``tls://`` with certificates, or a network of your own).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from agent import __version__
from agent.capture import Replay, find_captures
from agent.capture.sources import looks_like_capture
from agent.census import Tally
from agent.cli.orders import Orders
from agent.cli.wiring import prepare, say
from agent.config import ConfigError
from agent.probes import ALL
from agent.processors import processors
from fingerprints.model import Problem
from reporters.text import visible

__all__ = ["FannedOut", "fan_out", "is_remote", "read_one"]

_SCHEDULER: Final = re.compile(r"(?:tcp|tls|ucx|ws|wss|inproc)://\S+")
_REMOTE: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_MOST_WORKERS: Final = 256
_MOST_CAPTURES: Final = 1_000_000
_IN_FLIGHT: Final = 4
"""Tasks for each thread of the cluster that are given out at one time."""
_LARGEST_RESULT: Final = 1 << 30
"""Bytes of JSON that one capture's census may have."""
_CONNECT_SECONDS: Final = 15
_LOOK_SECONDS: Final = 0.5
_MISSING: Final = "--dask: needs more packages: pip install 'camcensus[dask]'"


@dataclass(slots=True)
class FannedOut:
    """What the workers read: `captures` and `problems` in the order of the names."""

    captures: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    interrupted: bool = False


def is_remote(name: str) -> bool:
    """Whether a name is a URL such as ``s3://bucket/site/``, rather than a path."""
    return _REMOTE.match(name) is not None


def read_one(name: str, place: str) -> bytes:
    """What one capture tells, read where this runs: compressed JSON for `fan_out`. It is the task of a worker.

    `name` is what it is called by, `place` where it is: a path, or a URL, which is copied to a file first.
    """
    tally = _judge().tally()
    problems: list[Problem] = []
    captures: list[dict[str, Any]] = []
    with _at_hand(name, place, problems) as path:
        for source in find_captures([str(path)] if path is not None else [], problems.append):
            capture = Replay(replace(source, name=name), ALL)
            for message in capture:
                tally.feed(message)
            problems += capture.problems
            captures.append(capture.stats.to_json())
    told = [
        {"where": row.where.replace(str(path), name), "what": row.what, "kind": row.kind} for row in problems
    ]
    found = {"version": __version__, "state": tally.state(), "captures": captures, "problems": told}
    return zlib.compress(json.dumps(found).encode(), 1)


@lru_cache(maxsize=1)
def _judge() -> Any:
    """Knowledge is loaded once in each worker. Which policies apply is for who reports."""
    return prepare(None, None)


@contextmanager
def _at_hand(name: str, place: str, problems: list[Problem]) -> Iterator[Path | None]:
    """The path of a capture, or of a copy of what a URL names; None where it cannot be had."""
    if not is_remote(place):
        yield Path(place)
        return
    import fsspec  # noqa: PLC0415 - for URLs alone

    with tempfile.TemporaryDirectory(prefix="camcensus-") as folder:
        path: Path | None = Path(folder) / "capture"
        try:
            with fsspec.open(place, "rb") as there, path.open("wb") as here:  # type: ignore[union-attr]
                shutil.copyfileobj(there, here, 1 << 20)
        except Exception as error:  # noqa: BLE001 - every kind of store has errors of its own
            why = " ".join(str(error).split())[:300] or type(error).__name__
            problems.append(Problem(name, f"cannot be fetched: {why}", "unreadable"))
            path = None
        yield path


def fan_out(
    cluster: str, names: Sequence[str], tally: Tally, *, quiet: bool, verbose: bool = False
) -> FannedOut:
    """Have `names` (paths that the workers can see, folders, URLs) read, and merge the results into `tally`.

    `cluster` is the address of a scheduler, or how many processes of this machine (``local``: as many
    as it has processors). Raises ConfigError where there is no such cluster.
    """
    result = FannedOut()
    try:
        import distributed  # noqa: PLC0415 - slow, for this alone
    except ImportError:
        raise ConfigError(_MISSING) from None
    # What cannot be read at all is told before anything is started for it.
    todo = list(_captures(names, result.problems))
    with _connected(cluster, distributed) as client:
        told: dict[int, tuple[list[dict[str, Any]], list[Problem]]] = {}
        tasks: dict[Any, int] = {}
        threads = max(1, sum(client.nthreads().values()))
        left = iter(enumerate(todo))
        done: SimpleQueue[Any] = SimpleQueue()

        def give_out(count: int) -> None:
            for number, (name, place) in islice(left, count):
                # Its number is in the key: a capture that is named twice is found twice, as by hand.
                key = f"camcensus-{os.getpid()}-{number}"
                task = client.submit(read_one, name, place, key=key, retries=1, pure=False)
                tasks[task] = number
                task.add_done_callback(done.put)

        orders = Orders()
        with _progress(len(todo), quiet=quiet, verbose=verbose) as show, orders.by_signals():
            give_out(threads * _IN_FLIGHT)
            while tasks and not orders.end and client.status != "closed":
                try:
                    task = done.get(timeout=_LOOK_SECONDS)
                except Empty:
                    continue
                number = tasks.pop(task)
                told[number] = _take_in(task, todo[number][0], tally)
                task.release()
                show(todo[number][0], told[number][0])
                give_out(1)
        if tasks:
            result.interrupted = True
            if client.status == "closed":
                result.problems.append(
                    Problem(cluster, "the scheduler went away: not everything was read", "worker")
                )
            else:
                client.cancel(list(tasks))
    for _, (captures, problems) in sorted(told.items()):
        result.captures += captures
        result.problems += problems
    return result


def _take_in(task: Any, name: str, tally: Tally) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Merge the result of one task; one that failed is a Problem of its capture."""
    if task.status != "finished":
        why = "it was given up"
        if task.status == "error":
            error = task.exception()
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return [], [Problem(name, f"no worker could read it: {why}", "worker")]
    try:
        inflate = zlib.decompressobj()
        found = json.loads(inflate.decompress(task.result(), _LARGEST_RESULT))
        if found["version"] != __version__:
            why = f"the worker has camcensus {found['version']}, this is {__version__}: install the same"
            return [], [Problem(name, why, "worker")]
        problems = [Problem(row["where"], row["what"], row["kind"]) for row in found["problems"]]
        captures = list(found["captures"])
        tally.merge(found["state"])
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        return [], [Problem(name, f"what the worker returned cannot be read: {error}", "worker")]
    return captures, problems


@contextmanager
def _connected(cluster: str, dask: Any) -> Iterator[Any]:
    """A client of the named cluster, or of one made here that ends with it."""
    if _SCHEDULER.fullmatch(cluster):
        try:
            client = dask.Client(cluster, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ConfigError(f"--dask: no scheduler answers at {cluster}: {error}") from None
        with client:
            if not client.nthreads():
                raise ConfigError(f"--dask: the scheduler at {cluster} has no workers")
            yield client
        return
    if cluster != "local" and not (
        cluster.isascii() and cluster.isdigit() and 0 < int(cluster) <= _MOST_WORKERS
    ):
        raise ConfigError(
            f"--dask: {cluster!r} is no scheduler (tcp://host:8786), no number of workers, and not 'local'"
        )
    count = processors() if cluster == "local" else int(cluster)
    with (
        dask.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            host="127.0.0.1",
            # None would be one fixed port, which a second replay beside this one finds in use.
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as here,
        dask.Client(here, set_as_default=False) as client,
    ):
        yield client


def _captures(names: Iterable[str], problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """The name and the place of each capture under `names`: folders and prefixes of stores give what is named like one."""
    count = 0
    for name in names:
        for found in _of_store(name, problems) if is_remote(name) else _of_folder(name, problems):
            count += 1
            if count > _MOST_CAPTURES:
                problems.append(
                    Problem(name, f"more than {_MOST_CAPTURES} captures: the rest is not read", "oversize")
                )
                return
            yield found


def _of_folder(name: str, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    if name == "-":
        raise ConfigError("--dask: workers cannot read standard input")
    if not Path(name).exists():
        # It may be there where the workers are.
        yield name, name
        return
    for source in find_captures([name], problems.append):
        yield source.name, str((source.path or Path(source.name)).absolute())


def _of_store(name: str, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - for URLs alone
    except ImportError:
        raise ConfigError(_MISSING) from None
    try:
        store, path = url_to_fs(name)
        if not store.isdir(path):
            yield name, name
            return
        found = sorted(store.find(path))
    except Exception as error:  # noqa: BLE001 - every kind of store has errors of its own
        why = " ".join(str(error).split())[:300] or type(error).__name__
        problems.append(Problem(name, f"cannot be listed: {why}", "unreadable"))
        return
    for entry in found:
        if looks_like_capture(entry):
            url = store.unstrip_protocol(entry)
            yield url, url


@contextmanager
def _progress(total: int, *, quiet: bool, verbose: bool) -> Iterator[Any]:
    """Tells on stderr how far it is: a line that changes on a terminal, else a line each tenth."""
    terminal = sys.stderr.isatty() and not quiet
    done = frames = 0

    def show(name: str, captures: list[dict[str, Any]]) -> None:
        nonlocal done, frames
        done += 1
        read = sum(int(row.get("frames_read", 0)) for row in captures)
        frames += read
        line = f"{done} of {total} captures, {frames:,} frames read"
        if verbose:
            say(f"{visible(name)}: {read} frames", quiet=quiet)
        if terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        elif done * 10 // total != (done - 1) * 10 // total:
            say(line, quiet=quiet)

    try:
        yield show
    finally:
        if terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

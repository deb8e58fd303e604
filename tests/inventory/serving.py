"""Starts the inventory as a user does, on a free port of this machine."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.places import REPO

__all__ = ["Answer", "Served", "environment", "serving"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Served:
    """A running inventory."""

    port: int
    process: subprocess.Popen[bytes]

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            link.request(method, path, body, headers or {})
            answer = link.getresponse()
            return Answer(
                answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
            )
        finally:
            link.close()


def environment(described: dict[str, Any], state: Path) -> dict[str, str]:
    """The environment in which the inventory keeps to the database that a test uses."""
    if described["ENGINE"].endswith("sqlite3"):
        url = f"sqlite://{quote(described['NAME'])}"
    else:
        url = (
            f"postgresql://{described['USER']}@/{described['NAME']}?host={quote(described['HOST'], safe='')}"
        )
    return {
        **os.environ,
        "CAMCENSUS_DATABASE_URL": url,
        "CAMCENSUS_HTTPS": "0",
        "CAMCENSUS_SECRET_KEY": "of-this-test-alone-" * 4,
        "XDG_STATE_HOME": str(state),
        "PYTHONPATH": str(REPO),
    }


@contextlib.contextmanager
def serving(described: dict[str, Any], state: Path, **more: str) -> Generator[Served]:
    """Serve the database until the block ends; the server has to stop by itself when told to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    state.mkdir(parents=True, exist_ok=True)
    # A file, not a pipe: nobody reads while a test sends, and a full pipe would stop the server.
    log = state / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "agent.cli", "inventory", "serve", "--port", str(port)],
            env={**environment(described, state), **more},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    served = Served(port, process)
    try:
        _await(served, log)
        yield served
        process.terminate()
        assert process.wait(timeout=40) == 0
    finally:
        if process.poll() is None:
            # Its workers are processes of their own.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await(served: Served, log: Path) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError):
            if served.ask("GET", "/healthz").status == 200:
                return
        if served.process.poll() is not None:
            raise AssertionError(f"the server did not start: {log.read_text()}")
        time.sleep(0.1)
    raise AssertionError("the server did not answer")

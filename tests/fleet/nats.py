"""Starts a NATS server with JetStream of our own, on a free port of this machine."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Nats", "free_port", "installed"]


def installed() -> str | None:
    """The program, if it is here."""
    return shutil.which("nats-server", path="/usr/sbin:/usr/local/bin:/usr/bin:/sbin:/bin")


def free_port() -> int:
    """A port of the loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Nats:
    """A server whose stream lies in `folder`, and outlives its process. `more` are lines of its settings."""

    folder: Path
    more: str = ""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "nats.conf"
        settings.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{self.folder}/store", max_file_store: 4GB }}\n{self.more}\n'
        )
        program = installed()
        assert program is not None
        with (self.folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "-c", str(settings)], stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(200):
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1) as link,
            ):
                if link.recv(4) == b"INFO":
                    return
            assert self.process.poll() is None, (self.folder / "nats.log").read_text()
            time.sleep(0.05)
        raise AssertionError("NATS did not start")

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(20)
            self.process = None

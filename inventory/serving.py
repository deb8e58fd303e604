"""Serves the inventory until it is told to stop."""

from __future__ import annotations

import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from typing import Final

from django.db import connections
from granian import Granian
from granian.constants import Interfaces

__all__ = ["serve", "serve_locally"]

_HOST: Final = "127.0.0.1"
_TRIES: Final = 300
_WAIT_SECONDS: Final = 0.1


def serve(host: str, port: int, workers: int, started: Callable[[], object] | None = None) -> None:
    """Serve until a signal ends it; `started` is called when the port is open."""
    connections.close_all()
    server = Granian(
        "inventory.wsgi:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=4,
        workers_kill_timeout=30,
        respawn_failed_workers=True,
    )
    if started is not None:
        server.on_startup(started)
    server.serve()


def serve_locally(port: int, *, browser: bool, tell: Callable[[str], object]) -> None:
    """Serve this machine alone (port 0: any that is free), with a link that signs its user in."""
    from inventory.opening import path_for_owner  # noqa: PLC0415 - after Django is loaded

    port = port or _free_port()
    link = f"http://{_HOST}:{port}{path_for_owner()}"

    def opened() -> None:
        if not _answers(port):
            return
        tell(f"the inventory: {link}\n(the link is good once; Ctrl-C ends it)")
        # Without a desktop the link is opened by hand.
        if browser and sys.stderr.isatty():
            webbrowser.open(link)

    # The server calls before it listens, so somebody has to wait beside it.
    serve(_HOST, port, 1, threading.Thread(target=opened, name="opening", daemon=True).start)


def _answers(port: int) -> bool:
    for _ in range(_TRIES):
        try:
            socket.create_connection((_HOST, port), _WAIT_SECONDS).close()
        except OSError:
            time.sleep(_WAIT_SECONDS)
        else:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])

"""Shows the status of an agent to monitoring, in the text format of Prometheus."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

__all__ = ["metrics", "served"]

_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ANSWER_SECONDS: Final = 10


def metrics(status: Mapping[str, Any]) -> str:
    """The figures of a status, one a line."""
    outbox = status["outbox"]
    lines = [
        _line("camcensus_agent_info", 1, version=status["version"], name=status["name"]),
        _line("camcensus_agent_problems", len(status["problems"])),
        _line("camcensus_outbox_reports", outbox["reports"]),
        _line("camcensus_outbox_bytes", outbox["size"]),
        _line("camcensus_outbox_oldest_seconds", outbox["oldest"] or 0),
        _line("camcensus_outbox_aside", outbox["aside"]),
        _line("camcensus_outbox_lost_sightings", outbox["lost_unchanged"] + outbox["lost_changed"]),
    ]
    for scope in status["scopes"]:
        name = scope["scope"]
        lines.append(_line("camcensus_scope_running", int(scope["running"]), scope=name))
        for key in ("last", "next"):
            if scope[key]:
                at = datetime.fromisoformat(scope[key]).timestamp()
                lines.append(_line(f"camcensus_scope_{key}_timestamp_seconds", int(at), scope=name))
        failed = int(scope["outcome"] == "failed")
        lines.append(_line("camcensus_scope_failed", failed, scope=name))
    return "".join(lines)


@contextlib.contextmanager
def served(address: tuple[str, int] | None, text: Callable[[], str]) -> Iterator[int]:
    """Serve `text` at ``/metrics`` of an address while the block runs; gives the port. Raises OSError."""
    if address is None:
        yield 0
        return

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = _ANSWER_SECONDS

        def do_GET(self) -> None:
            """Answer."""
            if self.path != "/metrics":
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            body = text().encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", _TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing: monitoring asks all day."""

    with http.server.ThreadingHTTPServer(address, Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def _line(name: str, value: float, /, **labels: str) -> str:
    said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{said}}} {value}\n" if said else f"{name} {value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

"""A proxy before the real inventory that spoils answers as bad links and broken receivers do."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

__all__ = ["FAULTS", "spoiling"]

Handler = http.server.BaseHTTPRequestHandler


def _status(code: int, body: bytes = b"out of order", **headers: str) -> Callable[[Handler, bytes], None]:
    def answer(handler: Handler, _: bytes) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def _half(handler: Handler, body: bytes) -> None:
    """The inventory has stored it, and half of its answer arrives."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def _none(handler: Handler, _: bytes) -> None:
    """The inventory has stored it, and dies before it answers."""
    handler.close_connection = True


def _rubbish(handler: Handler, _: bytes) -> None:
    handler.wfile.write(bytes(range(256)) * 40)
    handler.close_connection = True


def _slow(handler: Handler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    step = len(body) // 20 + 1
    for start in range(0, len(body), step):
        time.sleep(0.02)
        handler.wfile.write(body[start : start + step])


FAULTS: dict[str, Callable[[Handler, bytes], None]] = {
    "500": _status(500),
    "502 of a proxy": _status(502, b"<html>Bad gateway</html>"),
    "429": _status(429, Retry_After="1"),
    "503": _status(503, b'{"detail": "away"}', Retry_After="1"),
    "413 of a proxy": _status(413, b"too large"),
    "400 of a proxy": _status(400, b"<html>Bad request</html>"),
    "another's 200": _status(200, b"<html>Sign in to the hotel</html>"),
    "200 of nothing": _status(200, b"{}"),
    "204": _status(204, b""),
    "a redirect": _status(302, b"", Location="http://127.0.0.1:9/elsewhere"),
    "half an answer": _half,
    "no answer": _none,
    "rubbish": _rubbish,
    "a slow answer": _slow,
}


@contextlib.contextmanager
def spoiling(port: int, faults: list[str]) -> Iterator[int]:
    """Forward to the inventory at `port`; each request meets the next of `faults` until none is left."""

    class Proxy(Handler):
        lock: ClassVar = threading.Lock()

        def do_POST(self) -> None:  # noqa: N802 - the library's name
            """Forward, or not, and answer, or not."""
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            link.request("POST", self.path, sent, dict(self.headers.items()))
            answer = link.getresponse()
            body = answer.read()
            link.close()
            with self.lock:
                fault = faults.pop(0) if faults else ""
            if fault:
                FAULTS[fault](self, body)
                return
            _status(answer.status, body)(self, b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()

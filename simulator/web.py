"""Answers one HTTP request as a device's web server did."""

from __future__ import annotations

import http
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from simulator import login, soap
from simulator.device import Answer, Device, Http, Onvif, Place, Route

__all__ = ["Request", "answer", "head_end", "parse"]

_REQUEST_LINE: Final = re.compile(r"([A-Z]{1,16}) (\S{1,2048}) ((?:HTTP|RTSP)/\d\.\d)")


@dataclass(frozen=True, slots=True)
class Request:
    """One request of HTTP or RTSP: header names are in lower case."""

    method: str
    target: str
    version: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        """The path, without query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the path."""
        return self.target.partition("?")[2]

    @property
    def length(self) -> int:
        """Bytes of body that follow (0 if it does not say, or not in a number)."""
        value = self.headers.get("content-length", "0")
        return int(value) if value.isascii() and value.isdigit() else 0

    @property
    def persistent(self) -> bool:
        """Whether the connection stays open after the answer."""
        connection = self.headers.get("connection", "").lower()
        return connection == "keep-alive" if self.version == "HTTP/1.0" else connection != "close"


def head_end(data: bytes) -> int:
    """Where the head of the message in `data` ends, or -1 if it is not whole."""
    end = data.find(b"\r\n\r\n")
    return end + 4 if end >= 0 else -1


def parse(head: bytes) -> Request | None:
    """The request of `head`, or None if it is none."""
    lines = head.decode("latin-1").split("\r\n")
    start = _REQUEST_LINE.fullmatch(lines[0])
    if start is None:
        return None
    pairs = (line.partition(":") for line in lines[1:] if ":" in line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(start[1], start[2], start[3], headers)


def answer(device: Device, server: Http, place: Place, request: Request, body: bytes) -> bytes:
    """The whole answer, head and body, to `request` on that `server` of `device`."""
    service = device.onvif
    if service and not server.tls and service.port == server.port and request.path == service.path:
        return _onvif(device, service, server, place, request, body)
    wanted = "GET" if request.method == "HEAD" else request.method
    for route in server.route:
        if route.path == request.path and route.method == wanted and route.query in {"", request.query}:
            account = device.account
            told = request.headers.get("authorization", "")
            if route.login and account and not login.is_right(account, request.method, request.target, told):
                return _render(server, Answer(401, (login.challenge(account),)), place, request)
            return _render(server, route, place, request)
    return _render(server, Answer(404), place, request)


def _onvif(
    device: Device, service: Onvif, server: Http, place: Place, request: Request, body: bytes
) -> bytes:
    text = body.decode("utf-8", "replace")
    known = device.account is not None and login.token_is_right(device.account, text)
    reply = soap.device_service(service, text, known=known)
    return _render(server, reply, place, request)


def _render(server: Http, reply: Answer | Route, place: Place, request: Request) -> bytes:
    content = place.fill(reply.body).encode()
    try:
        reason = http.HTTPStatus(reply.status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [
        f"HTTP/1.1 {reply.status} {reason}",
        *(place.fill(line) for line in (*server.headers, *reply.headers)),
        f"Content-Length: {len(content)}",
        f"Connection: {'keep-alive' if request.persistent else 'close'}",
    ]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    return head if request.method == "HEAD" else head + content

"""HTTP, plain or inside TLS: headers, title, body, favicon, and the few questions that tell makers apart.

Tolerant of what old cameras send. A client's request says the client's agent and the path it
wanted; an answer says everything about its server. Every question is an unauthenticated GET.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent import http_wire
from agent.probes.rtsp import masked
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["HTTP", "TELLING"]

_BODY: Final = 4_096
_TITLE: Final = re.compile(r"<title[^>]{0,200}>([^<]{1,400})</title", re.IGNORECASE)
_ICON: Final = re.compile(
    r"<link\s[^>]{0,300}?rel=[\"']?(?:shortcut )?icon[\"']?[^>]{0,300}?>", re.IGNORECASE
)
_HREF: Final = re.compile(r"href=[\"']?([^\"'\s>]{1,300})", re.IGNORECASE)
_MOVED: Final = (
    re.compile(r"<meta\s[^>]{0,100}?url=[\"']?([^\"'\s>]{1,300})", re.IGNORECASE),
    re.compile(r"location(?:\.href)?\s{0,4}=\s{0,4}[\"']([^\"'\s]{1,300})[\"']", re.IGNORECASE),
    re.compile(r"location\.replace\(\s{0,4}[\"']([^\"'\s]{1,300})[\"']", re.IGNORECASE),
)
_REQUEST: Final = re.compile(rb"(?:GET|POST|HEAD|PUT|OPTIONS|DELETE) [^\s]{1,2000} HTTP/\d\.\d\r?\n")
_PATH: Final = re.compile(rb"[A-Z]{3,8} ([^\s]{1,2000}) HTTP/\d")
_TEXT: Final = re.compile(r"text|xml|json|html|javascript|^$", re.IGNORECASE)
_IMAGE_STARTS: Final = (b"\0\0\1\0", b"\x89PNG", b"GIF8", b"\xff\xd8\xff")
_HEADERS: Final = frozenset(
    {"x-powered-by", "x-frame-options", "set-cookie", "content-type", "pragma", "via"}
)
_MAX_ASKS: Final = 6
_MAX_MESSAGES: Final = 16


@dataclass(frozen=True, slots=True)
class Telling:
    """A path that some makers' devices answer without a login, and where that was read."""

    path: str
    source: str


TELLING: Final = (
    Telling(
        "/ISAPI/System/deviceInfo", "recorded 401 with realm or DeviceInfo (hikvision_next, hikvision-client)"
    ),
    Telling(
        "/cgi-bin/magicBox.cgi?action=getDeviceType", "recorded 401 with `Login to` realm (rroller/dahua)"
    ),
)


def _mine(payload: bytes) -> bool:
    return payload.startswith(b"HTTP/") or (
        _REQUEST.match(payload) is not None and not payload.startswith(b"OPTIONS rtsp")
    )


def _get(path: str, host: str) -> Ask:
    return Ask(http_wire.build_request("GET", path, host), f"GET {path}", http_wire.whole_response)


def _hello(target: Target) -> tuple[Ask, ...]:
    return (_get("/", http_wire.authority(target.ip, target.port, target.transport)),)


def _follow(ask: Ask, reply: bytes) -> tuple[Ask, ...]:
    """A redirect on the same host, the icon, the telling paths: each only from the first pages."""
    response = http_wire.split_response(reply)
    asked = _PATH.match(ask.payload)
    if response is None or asked is None:
        return ()
    path = asked.group(1).decode("ascii", "replace")
    host = http_wire.split_head(ask.payload).first("host")
    hops = len(ask.what.split(" > ")) - 1
    target = _redirect(response, host)
    if hops > 2 or (path != "/" and not hops):
        return ()
    more: list[Ask] = []
    if target is not None and target != path and hops < 2:
        step = _get(target, host)
        more.append(Ask(step.payload, f"{ask.what} > {target}", step.whole))
    elif response.body:
        more.append(_get(_icon(_decode(response)), host))
    if not hops:
        more += [_get(telling.path, host) for telling in TELLING]
    return tuple(more[:_MAX_ASKS])


def _redirect(response: http_wire.Response, host: str) -> str | None:
    """Where a page sends its reader, if that is on the same host and port."""
    wanted = response.head.first("location") if 300 <= response.status < 400 else ""
    if not wanted and response.status == 200 and len(response.body) < _BODY:
        text = _decode(response)
        wanted = next((found[1] for pattern in _MOVED if (found := pattern.search(text))), "")
    if wanted.startswith("//") or not wanted:
        return None
    if "://" in wanted:
        url = http_wire.split_url(wanted)
        if url is None or http_wire.authority(url[1], url[2], url[0]) not in {host, f"{host}:80"}:
            return None
        return url[3]
    if re.match(r"[a-z]{2,12}:", wanted, re.IGNORECASE):
        return None
    return wanted if wanted.startswith("/") else f"/{wanted.removeprefix('./')}"


def _icon(text: str) -> str:
    link = _ICON.search(text)
    found = _HREF.search(link[0]) if link else None
    path = found[1] if found else "/favicon.ico"
    if "://" in path or path.startswith(("//", "data:")):
        return "/favicon.ico"
    return path if path.startswith("/") else f"/{path.removeprefix('./')}"


def _decode(response: http_wire.Response) -> str:
    return response.body.decode("utf-8", "replace").replace("\0", "")


def _dissect(payload: bytes, asked: bytes) -> Iterator[Fact]:
    if payload.startswith(b"HTTP/"):
        yield from _answer(payload, asked)
        return
    at = 0
    for _ in range(_MAX_MESSAGES):
        if not _REQUEST.match(payload, at):
            return
        head = http_wire.split_head(payload, at)
        path = head.start.split(" ")[1]
        if path.startswith("/") and path != "/":
            yield Fact("http.path", masked(path), "listener")
        yield from (Fact("http.user-agent", agent) for agent in head.values("user-agent"))
        if head.end is None:
            return
        length = head.first("content-length")
        at = head.end + (int(length) if length.isascii() and length.isdecimal() and len(length) < 6 else 0)


def _answer(payload: bytes, asked: bytes) -> Iterator[Fact]:
    response = http_wire.split_response(payload)
    if response is None:
        return
    found = _PATH.match(asked)
    path = masked(found.group(1).decode("utf-8", "replace")) if found else ""
    if path in {"", "/"}:
        yield Fact("http.status", str(response.status))
    else:
        yield Fact("http.path", f"{path} {response.status}")
    for name, value in response.head.headers:
        if name in {"server", "www-authenticate", "location"} and value:
            yield Fact(f"http.{name}", value)
        elif name in _HEADERS and value:
            yield Fact("http.header", f"{name}: {_no_session(name, value)}")
    if response.body:
        yield from _body(response)


def _no_session(name: str, value: str) -> str:
    """A cookie's name tells the server software; its value is somebody's session."""
    return value.partition("=")[0] if name == "set-cookie" else value


def _body(response: http_wire.Response) -> Iterator[Fact]:
    body = response.body
    kind = response.head.first("content-type")
    if body.startswith(_IMAGE_STARTS):
        if response.whole and response.status == 200:
            yield Fact("http.favicon.mmh3", str(_favicon(body)))
        return
    if not _TEXT.search(kind) or b"\0" in body[:64]:
        return
    text = _decode(response)
    title = _TITLE.search(text)
    if title and title[1].strip():
        yield Fact("http.title", " ".join(html.unescape(title[1]).split()))
    yield Fact("http.body", text[:_BODY])


def _favicon(body: bytes) -> int:
    """MurmurHash3 as public favicon catalogues have it: of the base64 text in lines of 76."""
    import mmh3  # noqa: PLC0415 - only where an icon came

    return mmh3.hash(base64.encodebytes(body))


HTTP: Final = Probe(
    name="http",
    transport="tcp",
    ports=(80, 443, 81, 88, 8000, 8080, 8081, 8443, 9000, 5000),
    fields=(
        "http.status",
        "http.server",
        "http.www-authenticate",
        "http.location",
        "http.header",
        "http.title",
        "http.body",
        "http.favicon.mmh3",
        "http.path",
        "http.user-agent",
    ),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    follow=_follow,
    prefixes=(b"HTTP/1.", b"GET /", b"POST /", b"HEAD /"),
    order=2,
    source="RFC 9110, RFC 9112; recorded answers",
    says="server, realm, title, beginning of the page, favicon",
)

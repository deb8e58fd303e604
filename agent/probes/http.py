"""HTTP, plain or inside TLS: headers, title, body, favicon, with the few questions that tell makers apart.

Tolerant of what old cameras send. A client's request says the client's agent, the path it
wanted and the name of the server it wanted it from; an answer says everything about its server. Every question is an unauthenticated GET,
at most seven to a port: the first page, where it leads to (twice), its icon, a page that
nobody has, and then the makers' own paths.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from agent import http_wire
from agent.drawn import NONCE
from agent.paths import masked
from agent.redaction import redacted
from agent.wire import Ask, Probe, Target, Transport
from fingerprints.model import Fact

__all__ = ["HTTP", "TELLING", "Telling"]

_PORTS: Final = (80, 443, 81, 88, 8000, 8080, 8081, 8443, 9000, 5000)
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
_STATUS: Final = re.compile(rb"[\r\n]{0,4}HTTP/\d")
_REQUEST: Final = re.compile(rb"(?:GET|POST|HEAD|PUT|OPTIONS|DELETE) [^\s]{1,2000} HTTP/\d\.\d\r?\n")
_PATH: Final = re.compile(rb"[A-Z]{3,8} ([^\s]{1,2000}) HTTP/\d")
_NAMED: Final = re.compile(r"((?:[A-Za-z0-9_-]{1,63}\.){1,16}[A-Za-z][A-Za-z0-9-]{0,62})\.?(?::\d{1,5})?")
"""A name of the world in a Host header; an address says only what the packet says."""
_TEXT: Final = re.compile(r"text|xml|json|html|javascript|^$", re.IGNORECASE)
_IMAGE_STARTS: Final = (b"\0\0\1\0", b"\x89PNG", b"GIF8", b"\xff\xd8\xff")
_HEADERS: Final = frozenset(
    {"x-powered-by", "x-frame-options", "set-cookie", "content-type", "pragma", "via"}
)
_OURS: Final = "camcensus"
"""The User-Agent of `http_wire.build_request`."""
_MAX_MESSAGES: Final = 16
_MAX_HOPS: Final = 2

Url = tuple[Transport, str, int, str]
"""Transport, host, port and path, as `http_wire.split_url` gives them."""

_FIRST: Final = "GET /"
_NOWHERE: Final = "/no-such-page"
"""A path that no device has: whoever refuses this one too refuses everybody everything."""


@dataclass(frozen=True, slots=True)
class Telling:
    """A path that only some makers' devices know, and where that was read.

    `answer` is in the body of a real 200: servers that give one page for every path exist.
    """

    path: str
    answer: re.Pattern[bytes]
    source: str


TELLING: Final = (
    Telling(
        "/ISAPI/System/deviceInfo",
        re.compile(rb"<DeviceInfo\b"),
        "recorded 401 with realm, and DeviceInfo (maciej-or/hikvision_next, hikvision-client)",
    ),
    Telling(
        "/cgi-bin/magicBox.cgi?action=getDeviceType",
        re.compile(rb"\Atype="),
        "recorded 401 with a `Login to` realm (rroller/dahua)",
    ),
)


def _mine(payload: bytes) -> bool:
    return _STATUS.match(payload) is not None or _REQUEST.match(payload) is not None


def _hello(target: Target) -> tuple[Ask, ...]:
    return (_get((target.transport, target.ip, target.port, "/"), _FIRST),)


def _get(url: Url, what: str = "") -> Ask:
    """A GET; port and transport stand in every Ask, because `_follow` sees no target."""
    transport, ip, port, path = url
    request = http_wire.build_request("GET", path, http_wire.authority(ip, port, transport))
    return Ask(request, what or f"GET {path}", http_wire.whole_response, port, transport)


def _follow(ask: Ask, reply: bytes) -> tuple[Ask, ...]:
    """What the answer makes worth asking: the next page or the icon, then what tells makers apart.

    A device that demands a login for its first page, or for a page that does not exist, demands
    it for the makers' paths as well: its refusal would say nothing there, so it is not asked.
    """
    here, response = _asked(ask), http_wire.split_response(reply)
    if here is None or response is None:
        return ()
    moved, refused = 300 <= response.status < 400, response.status == 401
    trail = ask.what.split(" > ")
    if trail[0] == _FIRST:
        onward = () if refused else _onward(ask.what, here, response)
        first = len(trail) == 1 and not refused and (onward or not moved)
        return (*onward, _get((*here[:3], _NOWHERE))) if first else onward
    paths = (_NOWHERE, *(telling.path for telling in TELLING))
    if here[3] not in paths[:-1] or moved or refused:
        return ()
    return (_get((*here[:3], paths[paths.index(here[3]) + 1])),)


def _asked(ask: Ask) -> Url | None:
    """Where an Ask of ours went."""
    path = _PATH.match(ask.payload)
    host = http_wire.split_head(ask.payload).first("host")
    scheme = "https" if ask.transport == "tls" else "http"
    return http_wire.split_url(f"{scheme}://{host}{path.group(1).decode('ascii')}") if path else None


def _onward(what: str, here: Url, response: http_wire.Response) -> tuple[Ask, ...]:
    """The page that this one leads to, or else its icon."""
    trail = what.split(" > ")
    text = _decode(response)
    to = _resolved(here, _moved(response, text)) if len(trail) <= _MAX_HOPS else None
    if to is not None:
        new = to[3] not in {"/", here[3], *trail} if to[:3] == here[:3] else to[2] not in _PORTS
        if new:
            return (_get(to, f"{what} > {to[3]}"),)
    if 300 <= response.status < 400 or not text:
        return ()
    link = _ICON.search(text[: 4 * _BODY])
    named = _HREF.search(link[0]) if link else None
    icon = _resolved(here, named[1]) if named else None
    same = icon is not None and icon[:3] == here[:3]
    return (_get(icon if icon and same else (*here[:3], "/favicon.ico")),)


def _moved(response: http_wire.Response, text: str) -> str:
    """Where an answer sends its reader, as it says it; empty where it does not."""
    if 300 <= response.status < 400:
        return response.head.first("location")
    if response.status != 200 or len(text) > _BODY:
        return ""
    return next((html.unescape(found[1]) for pattern in _MOVED if (found := pattern.search(text))), "")


def _resolved(here: Url, reference: str) -> Url | None:
    """The URL that `reference` means on the page `here`; None on any other host."""
    transport, ip, port, path = here
    scheme = "https" if transport == "tls" else "http"
    try:
        url = urljoin(f"{scheme}://{http_wire.authority(ip, port, transport)}{path}", reference)
    except ValueError:
        return None
    there = http_wire.split_url(url) if reference else None
    return there if there is not None and there[1] == ip else None


def _decode(response: http_wire.Response) -> str:
    return response.body.decode("utf-8", "replace").replace("\0", "")


def _dissect(payload: bytes, asked: bytes) -> Iterator[Fact]:
    if _STATUS.match(payload):
        yield from _answer(payload, asked)
        return
    if _PATH.match(asked) and payload.lstrip()[:1] == b"<":
        # As before HTTP/1.0: a page without a head.
        yield from _page(payload.decode("utf-8", "replace").replace("\0", ""))
        return
    at = 0
    for _ in range(_MAX_MESSAGES):
        if not _REQUEST.match(payload, at):
            return
        head = http_wire.split_head(payload, at)
        path = head.start.split(" ")[1]
        # Our own scan, when it is captured, asks every host for paths that few have.
        if path.startswith("/") and path != "/" and head.first("user-agent") != _OURS:
            yield Fact("http.path", masked(path), "listener")
        yield from (Fact("http.user-agent", agent) for agent in head.values("user-agent"))
        name = _NAMED.fullmatch(head.first("host"))
        if name:
            yield Fact("http.host", name[1].lower())
        if head.end is None:
            return
        length = head.first("content-length")
        at = head.end + (int(length) if length.isascii() and length.isdecimal() and len(length) < 6 else 0)


def _answer(payload: bytes, asked: bytes) -> Iterator[Fact]:
    response = http_wire.split_response(payload)
    if response is None:
        return
    found = _PATH.match(asked)
    path = found.group(1).decode("utf-8", "replace").replace("\0", "") if found else "/"
    if path == "/":
        yield Fact("http.status", str(response.status))
    elif response.status != 200 or _is_real(path, response.body):
        yield Fact("http.path", f"{masked(path)} {response.status}")
    for name, value in response.head.headers:
        if name in {"server", "www-authenticate", "location"} and value:
            yield Fact(f"http.{name}", redacted(value) if name == "location" else value)
        elif name in _HEADERS and value:
            yield Fact("http.header", f"{name}: {_no_session(name, value)}")
    if response.body:
        yield from _body(response)


def _is_real(path: str, body: bytes) -> bool:
    """Whether a 200 is this path's own answer rather than the one page a server has for all."""
    return next((bool(telling.answer.search(body)) for telling in TELLING if telling.path == path), True)


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
    yield from _page(_decode(response))


def _page(text: str) -> Iterator[Fact]:
    title = _TITLE.search(text[: 4 * _BODY])
    if title and title[1].strip():
        yield Fact("http.title", " ".join(html.unescape(title[1]).split()))
    yield Fact("http.body", redacted(text[:_BODY]))


def _favicon(body: bytes) -> int:
    """MurmurHash3 as public favicon catalogues have it: of the base64 text in lines of 76."""
    import mmh3  # noqa: PLC0415 - only where an icon came

    return mmh3.hash(base64.encodebytes(body))


HTTP: Final = Probe(
    name="http",
    transport="tcp",
    ports=_PORTS,
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
        "http.host",
    ),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    follow=_follow,
    prefixes=(b"HTTP/1.", b"GET /", b"POST /", b"HEAD /"),
    order=2,
    source="RFC 9110, RFC 9112; recorded answers",
    says="server, realm, title, beginning of the page, favicon",
    fresh=NONCE,
)

"""Tests of HTTP."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from agent import http_wire
from agent.probes.http import HTTP, TELLING
from agent.wire import Ask, Target
from tests.frames import streams
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways

# The form of recorded answers, with their own numbers changed.
HIKVISION = (
    b"HTTP/1.1 401 Unauthorized\r\nDate: Mon, 23 Nov 2026 07:00:00 GMT\r\nServer: App-webs/\r\n"
    b"X-Frame-Options: SAMEORIGIN\r\nContent-Type: text/html\r\nContent-Length: 58\r\n"
    b'WWW-Authenticate: Digest qop="auth", realm="IP Camera(C0000)", nonce="00", stale="FALSE"\r\n'
    b'WWW-Authenticate: Basic realm="IP Camera(C0000)"\r\n\r\n'
    b"<html><head><title>Document Error: Unauthorized</title></h>"
)
ASKED = http_wire.build_request("GET", "/", "192.0.2.7")
ICON = b"\0\0\1\0" + bytes(range(200))


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A complete HTTP answer."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def facts(payload: bytes, asked: bytes = ASKED) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in HTTP.dissect(payload, asked)]


def murmur3(data: bytes) -> int:
    """MurmurHash3 (x86, 32 bit, seed 0, signed), written after its public description."""
    mask, value = 0xFFFFFFFF, 0
    for at in range(0, len(data), 4):
        block = data[at : at + 4]
        part = int.from_bytes(block, "little") * 0xCC9E2D51 & mask
        part = ((part << 15 | part >> 17) & mask) * 0x1B873593 & mask
        value ^= part
        if len(block) == 4:
            value = ((value << 13 | value >> 19) * 5 + 0xE6546B64) & mask
    value ^= len(data)
    for factor, shift in ((1, 16), (0x85EBCA6B, 13), (0xC2B2AE35, 16)):
        value = value * factor & mask
        value ^= value >> shift
    return value - (1 << 32) if value >> 31 else value


def visit(pages: Mapping[str, bytes], other: bytes, transport: str = "tcp") -> list[str]:
    """What the probe asks of a server that has `pages` and answers `other` to the rest."""
    assert HTTP.hello is not None
    waiting = list(HTTP.hello(Target("192.0.2.7", 80 if transport == "tcp" else 443, transport)))  # type: ignore[arg-type]
    asked: list[str] = []
    while waiting:
        ask = waiting.pop(0)
        path = ask.payload.split(b" ")[1].decode()
        asked.append(path if ask.port in {80, 443} else f"{ask.transport}:{ask.port}{path}")
        assert len(asked) <= 7
        waiting += HTTP.follow(ask, pages.get(path, other))
    return asked


def test_an_answer_gives_status_headers_title_and_body() -> None:
    """Each header that tells a maker is one fact, and each challenge one of its own."""
    assert HTTP.mine(HIKVISION)
    assert facts(HIKVISION) == [
        ("http.status", "401"),
        ("http.server", "App-webs/"),
        ("http.header", "x-frame-options: SAMEORIGIN"),
        ("http.header", "content-type: text/html"),
        ("http.www-authenticate", 'Digest qop="auth", realm="IP Camera(C0000)", nonce="00", stale="FALSE"'),
        ("http.www-authenticate", 'Basic realm="IP Camera(C0000)"'),
        ("http.title", "Document Error: Unauthorized"),
        ("http.body", "<html><head><title>Document Error: Unauthorized</title></h"),
    ]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Dev.Hik-Connect.com", "dev.hik-connect.com"),
        ("api.eu.xiaoyi.com:8080", "api.eu.xiaoyi.com"),
        ("easy4ip.com.", "easy4ip.com"),
        ("192.0.2.7", None),
        ("192.0.2.7:80", None),
        ("[2001:db8::7]", None),
        ("camera", None),
        ("a b.example", None),
    ],
)
def test_a_request_names_its_server(host: str, name: str | None) -> None:
    """A name in the Host header is whom the client calls; an address or a single word is not kept."""
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    said = [(fact.field, fact.text, fact.about) for fact in HTTP.dissect(request, b"")]
    assert said == ([("http.host", name, "speaker")] if name else [])
    three_ways(HTTP, request)


@needs_shared
def test_a_recorded_camera_calls_its_maker() -> None:
    """A Yi camera's plain requests name its maker's cloud."""
    capture = SHARED / "pcaps" / "pos-yi-camera-setup-lan.pcap"
    said = {fact for part in streams(capture, 80) for fact in facts(part, b"")}
    assert ("http.host", "api.eu.xiaoyi.com") in said


@pytest.mark.parametrize(
    "payload",
    [
        HIKVISION,
        answer("200 OK", ICON),
        answer("302 Found", b"", "Location: /login.htm", "Set-Cookie: sid=s3cret; path=/"),
        b"GET /live?user=admin&password=s3cret HTTP/1.1\r\nUser-Agent: viewer\r\n\r\nGET /two HTTP/1.0\r\n\r\n",
    ],
    ids=["page", "icon", "redirect", "requests"],
)
def test_three_ways(payload: bytes) -> None:
    """Whole, cut at every byte and with a tail, nothing tells more than it says."""
    three_ways(HTTP, payload, ASKED)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(
        HTTP, HIKVISION, answer("200 OK", ICON), b"POST /x?a=1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    )


def test_another_path_gives_its_status() -> None:
    """What a path was answered with stands with the path; its login does not."""
    asked = http_wire.build_request("GET", "/snap.cgi?user=admin&pwd=s3cret", "192.0.2.7")
    assert ("http.path", "/snap.cgi?user=..&pwd=.. 401") in facts(HIKVISION, asked)
    assert "http.status" not in dict(facts(HIKVISION, asked))


def test_a_path_that_the_host_does_not_have_says_so() -> None:
    """The refusal takes back what a client's question alone would suggest."""
    asked = http_wire.build_request("GET", TELLING[0].path, "192.0.2.7")
    assert facts(answer("404 Not Found"), asked) == [("http.path", "/ISAPI/System/deviceInfo 404")]


def test_our_own_scan_says_nothing_of_the_asked() -> None:
    """A captured scan of ours asks every host for the makers' paths; they are not the hosts' own."""
    for telling in TELLING:
        asked = http_wire.build_request("GET", telling.path, "192.0.2.7")
        assert facts(asked, b"") == [("http.user-agent", "camcensus")]


def test_a_page_for_every_path_is_no_answer_of_the_makers() -> None:
    """A 200 on a telling path counts only with the content that the real one has."""
    isapi, magic_box = (http_wire.build_request("GET", telling.path, "192.0.2.7") for telling in TELLING)
    page = answer("200 OK", b"<html><title>Router</title></html>")
    for asked in (isapi, magic_box):
        assert "http.path" not in dict(facts(page, asked))
    known = answer(
        "200 OK", b'<?xml version="1.0"?>\n<DeviceInfo version="2.0">', "Content-Type: application/xml"
    )
    assert ("http.path", "/ISAPI/System/deviceInfo 200") in facts(known, isapi)
    device_type = answer("200 OK", b"type=IPC-HDW5442\r\n", "Content-Type: text/plain")
    assert ("http.path", "/cgi-bin/magicBox.cgi?action=getDeviceType 200") in facts(device_type, magic_box)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (
            b"HTTP/1.0 200\nServer: uc-httpd 1.0.0\n\n<title>NETSurveillance WEB</title>",
            "NETSurveillance WEB",
        ),
        (
            b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n<TITLE>\n WEB  SERVICE </TITLE>",
            "WEB SERVICE",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n<title>A&amp;B \xb9</title>",
            "A&B \N{REPLACEMENT CHARACTER}",
        ),
        (b"<html><title>before heads</title>", "before heads"),
    ],
    ids=["bare line feeds, no reason", "empty line first, wrong length", "no length, not UTF-8", "no head"],
)
def test_what_old_cameras_send_is_read(payload: bytes, said: str) -> None:
    """Answers that break the standard still give their title."""
    assert ("http.title", said) in facts(payload)


def test_a_body_is_bounded_and_only_text() -> None:
    """At most 4096 characters of a text are kept, and nothing of a picture."""
    assert len(dict(facts(answer("200 OK", b"x" * 9000)))["http.body"]) == 4096
    assert "http.body" not in dict(facts(answer("200 OK", b"\0\1\2" * 99, "Content-Type: text/html")))
    assert "http.body" not in dict(facts(answer("200 OK", b"abc", "Content-Type: video/mp4")))


def test_an_icon_is_hashed_as_catalogues_do() -> None:
    """The hash is MurmurHash3 of the base64 text in lines of 76; only a whole icon has one."""
    hashed = str(murmur3(base64.encodebytes(ICON)))
    assert ("http.favicon.mmh3", hashed) in facts(answer("200 OK", ICON))
    assert "http.favicon.mmh3" not in dict(facts(answer("200 OK", ICON)[:-1]))
    assert "http.favicon.mmh3" not in dict(facts(answer("404 Not Found", ICON)))


def test_a_session_is_not_kept() -> None:
    """A cookie's name tells the software; its value stays out."""
    cookie = answer("200 OK", b"", "Set-Cookie: DhWebCookie=s3cret; path=/")
    assert ("http.header", "set-cookie: DhWebCookie") in facts(cookie)


def test_a_request_tells_of_both_sides() -> None:
    """The agent is who speaks; the path, masked, is what the listener offers."""
    request = (
        b"GET /cgi-bin/snapshot.cgi?channel=1&user=admin&password=s3cret HTTP/1.1\r\nUser-Agent: viewer/2\r\n"
        b"Authorization: Basic YWRtaW46czNjcmV0\r\n\r\nPOST /RPC2_Login HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\n\r\n"
    )
    assert [(fact.field, fact.text, fact.about) for fact in HTTP.dissect(request, b"")] == [
        ("http.path", "/cgi-bin/snapshot.cgi?channel=1&user=..&password=..", "listener"),
        ("http.user-agent", "viewer/2", "speaker"),
        ("http.path", "/RPC2_Login", "listener"),
    ]


@pytest.mark.parametrize(
    "payload",
    [
        b"RTSP/1.0 200 OK\r\nServer: Rtsp Server/3.0\r\n\r\n",
        b"OPTIONS rtsp://192.0.2.7/ RTSP/1.0\r\n\r\n",
        b"M-SEARCH * HTTP/1.1\r\n\r\n",
        b"HTTP/",
        b"",
    ],
)
def test_what_is_not_http_says_nothing(payload: bytes) -> None:
    """RTSP looks alike and is not read as HTTP."""
    assert not HTTP.mine(payload)
    assert facts(payload, b"") == []


NONE = answer("404 Not Found")
LOGIN = answer("200 OK", b"<html><link rel='shortcut icon' href='img/fav.ico'></html>")


def test_a_login_page_is_followed_to_its_icon_and_the_makers_paths() -> None:
    """A script that moves the reader on is followed; the icon is where the page says."""
    root = answer("200 OK", b'<script>window.location.href = "/doc/page/login.asp?_" + new Date()</script>')
    pages = {"/": root, "/doc/page/login.asp?_": LOGIN, "/ISAPI/System/deviceInfo": HIKVISION}
    assert visit(pages, NONE) == [
        "/",
        "/doc/page/login.asp?_",
        "/no-such-page",
        "/doc/page/img/fav.ico",
        "/ISAPI/System/deviceInfo",
    ]


def test_both_makers_are_asked_where_the_first_does_not_know_its_path() -> None:
    """A server that knows neither path costs five questions."""
    paths = [telling.path for telling in TELLING]
    assert visit({"/": LOGIN}, NONE) == ["/", "/img/fav.ico", "/no-such-page", *paths]
    assert visit({"/": answer("404 Not Found", b"gone")}, NONE) == [
        "/",
        "/favicon.ico",
        "/no-such-page",
        *paths,
    ]


def test_a_device_that_refuses_everything_is_not_asked_on() -> None:
    """Where the first page or a page that does not exist demands a login, a refusal says nothing of the maker."""
    assert visit({}, HIKVISION) == ["/"]
    assert visit({"/": LOGIN}, HIKVISION) == ["/", "/img/fav.ico", "/no-such-page"]
    assert visit({"/": LOGIN}, answer("302 Found", b"", "Location: /")) == [
        "/",
        "/img/fav.ico",
        "/no-such-page",
    ]


@pytest.mark.parametrize(
    "location",
    [
        "http://198.51.100.1/",
        "//198.51.100.1/x",
        "https://192.0.2.7/",
        "http://camera.example/",
        "javascript:alert(1)",
        "http://[",
        "http://192.0.2.7:99999/",
        "/",
        "",
    ],
)
def test_a_redirect_never_leaves_the_host(location: str) -> None:
    """Another host, another scheme's usual port, the same page or nonsense: nothing is asked."""
    assert visit({"/": answer("302 Found", b"moved", f"Location: {location}")}, NONE) == ["/"]


def test_an_unusual_port_of_the_same_host_is_followed() -> None:
    """A web server that sends its reader to HTTPS on a port of its own is asked there, by that transport."""
    moved = answer("301 Moved", b"", "Location: https://192.0.2.7:4443/login")
    assert visit({"/": moved}, NONE)[:3] == ["/", "tls:4443/login", "/no-such-page"]


def test_a_chain_of_redirects_ends() -> None:
    """Two hops are made, and no page is asked twice."""
    pages = {f"/{at or ''}": answer("302 Found", b"", f"Location: /{at + 1}") for at in range(9)}
    assert [path for path in visit(pages, NONE) if path[1:].isdigit()] == ["/1", "/2"]
    circle = {"/": answer("302 Found", b"", "Location: /a"), "/a": answer("302 Found", b"", "Location: /")}
    assert visit(circle, NONE)[:3] == ["/", "/a", "/no-such-page"]


def test_questions_inside_tls_stay_there() -> None:
    """A page read over TLS leads to pages over TLS."""
    assert HTTP.hello is not None
    (ask,) = HTTP.hello(Target("192.0.2.7", 8443, "tls"))
    more = HTTP.follow(ask, answer("302 Found", b"", "Location: https://192.0.2.7:8443/login"))
    assert [(next_.port, next_.transport, next_.payload.split(b" ")[1]) for next_ in more] == [
        (8443, "tls", b"/login"),
        (8443, "tls", b"/no-such-page"),
    ]


def test_every_question_is_a_get_without_a_login() -> None:
    """Nothing is written, and nobody is logged in."""
    assert HTTP.hello is not None
    asks: list[Ask] = list(HTTP.hello(Target("fe80::1%eth0", 8080, "tcp")))
    asks += HTTP.follow(asks[0], LOGIN)
    for ask in asks:
        assert ask.payload.startswith(b"GET /")
        assert b"Host: [fe80::1]:8080\r\n" in ask.payload
        assert b"uthorization" not in ask.payload
        assert ask.whole is not None
        assert ask.whole(LOGIN)


@needs_shared
def test_a_recorded_camera_is_used_by_its_application() -> None:
    """A D-Link camera's HNAP exchange gives the application's agent, the path and the answer's beginning."""
    capture = SHARED / "pcaps" / "der-dlink-dcs935l.pcap.gz"
    said = {(fact.field, fact.text) for part in streams(capture, 80) for fact in HTTP.dissect(part, b"")}
    assert {
        ("http.path", "/HNAP1/"),
        ("http.user-agent", "ksoap2-android/2.6.0+"),
        ("http.status", "200"),
    } <= said
    assert any(field == "http.body" and "<soap:Envelope" in text for field, text in said)

"""Tests of HTTP framing: requests we send, answers taken apart."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.http_wire import (
    MAX_BODY,
    authority,
    build_request,
    split_head,
    split_response,
    split_url,
    whole_response,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n6;x=y\r\npedia \r\n0\r\n\r\n"


def answer(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode() + body


def test_request_is_complete_and_asks_for_a_close() -> None:
    """A request names its host, its length and its wish to close."""
    request = build_request("POST", "/x", "192.0.2.7:8080", [("Content-Type", "text/xml")], b"<a/>")
    head = split_head(request)
    assert head.start == "POST /x HTTP/1.1"
    assert head.first("host") == "192.0.2.7:8080"
    assert head.first("connection") == "close"
    assert head.first("content-length") == "4"
    assert request[head.end :] == b"<a/>"


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_nothing_from_the_network_starts_a_second_line(path: str, host: str, value: str) -> None:
    """Whatever path, host and value hold, the request has the lines it was given."""
    request = build_request("GET", path, host, [("X", value)])
    assert request.count(b"\r\n") == 7
    assert request.count(b"\n") == 7
    assert request.split(b"\r\n")[0].count(b" ") == 2


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (("192.0.2.7", 80, "tcp"), "192.0.2.7"),
        (("192.0.2.7", 443, "tls"), "192.0.2.7"),
        (("192.0.2.7", 443, "tcp"), "192.0.2.7:443"),
        (("fe80::1%eth0", 80, "tcp"), "[fe80::1]"),
        (("2001:db8::1", 8080, "tcp"), "[2001:db8::1]:8080"),
    ],
)
def test_authority_is_what_a_host_header_wants(target: tuple[str, int, str], text: str) -> None:
    """IPv6 gets brackets, the scheme's own port is left out, zones stay at home."""
    ip, port, transport = target
    assert authority(ip, port, "tls" if transport == "tls" else "tcp") == text


def test_chunks_are_joined() -> None:
    """A chunked body is whole after its last chunk, extensions are ignored."""
    response = split_response(CHUNKED)
    assert response is not None
    assert (response.body, response.whole) == (b"Wikipedia ", True)
    assert whole_response(CHUNKED)


def test_a_cut_is_a_prefix_and_never_whole() -> None:
    """Every cut of a chunked answer gives a prefix of its body, not declared whole before the last chunk."""
    last_size = CHUNKED.rindex(b"0\r\n") + 3
    for length in range(last_size):
        response = split_response(CHUNKED[:length])
        assert not whole_response(CHUNKED[:length])
        assert response is None or b"Wikipedia ".startswith(response.body)


def test_length_decides_where_a_body_ends() -> None:
    """Content-Length makes a body whole, bytes behind it are not part of it."""
    assert not whole_response(answer(b"abc", "Content-Length: 4"))
    response = split_response(answer(b"abcdTAIL", "Content-Length: 4"))
    assert response is not None
    assert (response.body, response.whole) == (b"abcd", True)


@pytest.mark.parametrize("length", ["-1", "4, 4", "x", "", "9" * 40, "\u0664"])
def test_a_length_that_makes_no_sense_is_no_length(length: str) -> None:
    """A wrong Content-Length leaves the close to end the body."""
    response = split_response(answer(b"abcd", f"Content-Length: {length}"))
    assert response is not None
    assert (response.body, response.whole) == (b"abcd", False)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"hello" * 10, mtime=0)),
        ("deflate", zlib.compress(b"hello" * 10)),
        ("deflate", zlib.compress(b"hello" * 10, wbits=-15)),
        ("gzip", b"hello" * 10),
        ("br", b"hello" * 10),
    ],
)
def test_content_coding_is_undone(coding: str, body: bytes) -> None:
    """Gzip and both forms of deflate are undone; a body that is neither stays as it is."""
    response = split_response(answer(body, f"Content-Encoding: {coding}"))
    assert response is not None
    assert response.body == b"hello" * 10


def test_a_bomb_stays_small() -> None:
    """Sixteen megabytes in a few kilobytes come out as MAX_BODY bytes."""
    response = split_response(answer(gzip.compress(bytes(1 << 24)), "Content-Encoding: gzip"))
    assert response is not None
    assert len(response.body) == MAX_BODY


def test_headers_are_read_as_cameras_write_them() -> None:
    """Bare line feeds, a missing reason, repeated names and folded lines are all understood."""
    response = split_response(
        b'\r\nHTTP/1.0 401\nSERVER:App-webs/\nWWW-Authenticate: Digest\n realm="x"\n\nno'
    )
    assert response is not None
    assert (response.status, response.reason, response.body) == (401, "", b"no")
    assert response.head.first("server") == "App-webs/"
    assert response.head.values("www-authenticate") == ("Digest", 'realm="x"')


def test_an_unfinished_line_is_no_header() -> None:
    """A header whose line end has not come is not there yet."""
    response = split_response(b"HTTP/1.1 200 OK\r\nServer: nginx\r\nX-A: b")
    assert response is not None
    assert response.head.headers == (("server", "nginx"),)
    assert response.head.end is None


def test_interim_answers_are_passed_over() -> None:
    """The answer behind 100 Continue is the answer."""
    response = split_response(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
    assert response is not None
    assert (response.status, response.whole) == (204, True)


@pytest.mark.parametrize("payload", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 2", b"HTTP/x 200 OK\r\n\r\n"])
def test_what_is_no_answer_is_none(payload: bytes) -> None:
    """Bytes of another protocol, or too few, are no answer, and never whole."""
    assert split_response(payload) is None
    assert not whole_response(payload)


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_no_bytes_raise(payload: bytes) -> None:
    """Whatever comes, taking it apart does not fail."""
    split_head(payload)
    split_response(payload)
    split_response(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n" + payload
    )


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://192.0.2.7/a?b#c", ("tcp", "192.0.2.7", 80, "/a?b")),
        ("HTTPS://[FE80::1%25eth0]:8443", ("tls", "fe80::1", 8443, "/")),
        ("http://cam.example:65535/x", ("tcp", "cam.example", 65535, "/x")),
        ("http://192.0.2.7:65536/", None),
        ("http://192.0.2.7:0/", None),
        ("http://user@192.0.2.7/", None),
        ("ftp://192.0.2.7/", None),
        ("http://192.0.2.7/ \r\nX: y", None),
        ("", None),
    ],
)
def test_urls_are_taken_apart_or_refused(url: str, parts: tuple[str, str, int, str] | None) -> None:
    """Only plain http and https URLs with a real port are understood."""
    assert split_url(url) == parts

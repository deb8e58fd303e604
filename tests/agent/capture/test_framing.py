"""How much more a message wants, by its beginning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.capture.framing import FIRST, missing

HELLO = b"\x16\x03\x01\x00\x0a" + b"\x01\x00\x00\x06" + b"hello!"
CERTIFICATE = b"\x16\x03\x03\x00\x08\x02\x00\x00\x04srvr\x16\x03\x03\x00\x09\x0b\x00\x00\x05certs"


@pytest.mark.parametrize(
    "message",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\ncontent-length:4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\nContent-Length: 4\n\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 4\r\n\r\nv=0\n",
        b"DESCRIBE rtsp://x/ RTSP/1.0\r\nCSeq: 2\r\n\r\n",
        HELLO,
        CERTIFICATE,
    ],
)
def test_a_message_is_whole_at_its_end_and_not_before(message: bytes) -> None:
    """Nothing is missing from a whole message, and something from every shorter one."""
    assert missing(message) == 0
    for at in range(8, len(message)):
        if not message[at:].strip(b"0\r\n"):
            break
        assert missing(message[:at]) > 0, message[:at]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 90000\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
        b"\x16\x03\x03\x00\x04\x02\x00\x00\x00\x17\x03\x03\x00\x10",
    ],
)
def test_media_and_secrets_are_not_waited_for(head: bytes) -> None:
    """A head that announces media, an answer without a body, or encrypted records: the rest does not matter."""
    assert missing(head) == 0


def test_without_an_end() -> None:
    """An answer without a length goes on; what has no framing is read for its first bytes."""
    assert missing(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>") == 1
    assert missing(b"\xff\x01ab") == FIRST - 4
    assert missing(bytes(FIRST)) == 0
    assert missing(b"GET /" + b"a" * 20_000) == 0


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n"]),
)
def test_anything(data: bytes, start: bytes) -> None:
    """Whatever the bytes are: a number of bytes, never less than none."""
    assert missing(start + data) >= 0

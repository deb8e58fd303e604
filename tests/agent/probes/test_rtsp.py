"""Tests of RTSP."""

from __future__ import annotations

import pytest

from agent.probes.rtsp import RTSP
from agent.wire import Target
from tests.frames import streams
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways

SDP = b"v=0\r\no=- 2251939947 2251939947 IN IP4 0.0.0.0\r\ns=Media Server\r\na=packetization-supported:DH\r\n"
OPTIONS = (
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: Rtsp Server/3.0\r\n"
    b"Public: OPTIONS, DESCRIBE, ANNOUNCE, SETUP, PLAY, RECORD, PAUSE, TEARDOWN\r\n\r\n"
)
REFUSAL = (
    b'RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\nWWW-Authenticate: Digest realm="4419b6000000", nonce="00", stale="FALSE"\r\n'
    b'WWW-Authenticate: Basic realm="4419b6000000"\r\n\r\n'
)
DESCRIBED = (
    b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(SDP)
    + SDP
)
REQUESTS = (
    b"OPTIONS rtsp://192.0.2.7:554/user=admin&password=s3cret&channel=1&stream=0.sdp RTSP/1.0\r\nCSeq: 1\r\n"
    b"User-Agent: LibVLC/3.0.16\r\n\r\n"
    b"DESCRIBE rtsp://admin:s3cret@192.0.2.7/Streaming/Channels/101 RTSP/1.0\r\nCSeq: 2\r\n"
    b"Authorization: Basic YWRtaW46czNjcmV0\r\n\r\n"
    b"SET_PARAMETER rtsp://192.0.2.7/ RTSP/1.0\r\nCSeq: 3\r\nContent-Length: 4\r\n\r\na: b"
    b"TEARDOWN rtsp://192.0.2.7/trackID=0 RTSP/1.0\r\n\r\n"
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in RTSP.dissect(payload, b"")]


def test_answers_give_server_methods_realms_and_description() -> None:
    """Every answer of a stream is read: each challenge is a fact of its own, lines of the SDP end in LF."""
    assert RTSP.mine(OPTIONS)
    assert facts(OPTIONS + REFUSAL + DESCRIBED) == [
        ("rtsp.server", "Rtsp Server/3.0"),
        ("rtsp.public", "OPTIONS, DESCRIBE, ANNOUNCE, SETUP, PLAY, RECORD, PAUSE, TEARDOWN"),
        ("rtsp.www-authenticate", 'Digest realm="4419b6000000", nonce="00", stale="FALSE"'),
        ("rtsp.www-authenticate", 'Basic realm="4419b6000000"'),
        ("rtsp.sdp", SDP.decode().strip().replace("\r\n", "\n")),
    ]


def test_requests_tell_of_both_sides() -> None:
    """The path is what the listener offers, without the login; the agent is who speaks."""
    assert [(fact.field, fact.text, fact.about) for fact in RTSP.dissect(REQUESTS, b"")] == [
        ("rtsp.path", "/user=..&password=..&channel=1&stream=0.sdp", "listener"),
        ("rtsp.user-agent", "LibVLC/3.0.16", "speaker"),
        ("rtsp.path", "/Streaming/Channels/101", "listener"),
        ("rtsp.path", "/trackID=0", "listener"),
    ]


@pytest.mark.parametrize(
    "payload", [OPTIONS, REFUSAL, DESCRIBED, REQUESTS], ids=["options", "401", "sdp", "requests"]
)
def test_three_ways(payload: bytes) -> None:
    """Whole, cut at every byte and with a tail, nothing tells more than it says."""
    three_ways(RTSP, payload)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(RTSP, OPTIONS + DESCRIBED, REQUESTS)


def test_a_description_is_read_to_its_last_whole_line() -> None:
    """Where the body is cut, the line that may go on is left out; a wrong length is no obstacle."""
    assert facts(DESCRIBED[:-3])[0][1].splitlines()[-1] == "s=Media Server"
    wrong = DESCRIBED.replace(b"Content-Length: %d" % len(SDP), b"Content-Length: 9999")
    assert facts(wrong) == facts(DESCRIBED)


def test_bare_line_feeds_are_read() -> None:
    """Old servers end their lines with LF alone."""
    assert facts(OPTIONS.replace(b"\r\n", b"\n")) == facts(OPTIONS)


@pytest.mark.parametrize(
    "payload",
    [
        b"HTTP/1.1 400 Bad Request\r\nServer: App-webs/\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS / HTTP/1.1\r\nUser-Agent: curl/8\r\n\r\n",
        b"OPTIONS sip:100@192.0.2.7 SIP/2.0\r\nUser-Agent: phone\r\n\r\n",
        b"$\0\0\x04abcd",
        b"",
    ],
    ids=["HTTP answer", "HTTP request", "HTTP options", "SIP", "interleaved media", "empty"],
)
def test_what_is_not_rtsp_says_nothing(payload: bytes) -> None:
    """HTTP and SIP look alike, and a web server may stand on the port of RTSP."""
    assert not RTSP.mine(payload)
    assert facts(payload) == []


@pytest.mark.parametrize(
    ("ip", "url"), [("192.0.2.7", b"rtsp://192.0.2.7:8554/"), ("fe80::1%eth0", b"rtsp://[fe80::1]:8554/")]
)
def test_two_questions_without_a_login(ip: str, url: bytes) -> None:
    """OPTIONS, then one DESCRIBE of the root whatever OPTIONS was answered with, then no more."""
    assert RTSP.hello is not None
    (first,) = RTSP.hello(Target(ip, 8554, "tcp"))
    assert first.payload.startswith(b"OPTIONS " + url + b" RTSP/1.0\r\nCSeq: 1\r\n")
    for reply in (OPTIONS, REFUSAL):
        (second,) = RTSP.follow(first, reply)
        assert second.payload.startswith(b"DESCRIBE " + url + b" RTSP/1.0\r\nCSeq: 2\r\n")
        assert b"uthorization" not in first.payload + second.payload
        assert RTSP.follow(second, REFUSAL) == ()
    assert RTSP.follow(first, b"HTTP/1.1 400 Bad Request\r\n\r\n") == ()


def test_an_answer_is_whole_when_its_body_is() -> None:
    """Reading stops at the end of the description, not before."""
    assert RTSP.hello is not None
    (ask,) = RTSP.hello(Target("192.0.2.7", 554, "tcp"))
    assert ask.whole is not None
    assert [at for at in range(len(DESCRIBED) + 1) if ask.whole(DESCRIBED[:at])] == [len(DESCRIBED)]


@needs_shared
def test_a_recorded_dahua_camera_is_played() -> None:
    """The recorded session gives server, realm with the serial, methods and Dahua's session description."""
    capture = SHARED / "pcaps" / "pos-dahua-rtsp-tcp-digest.pcapng"
    found = [facts_of(RTSP, said) for said in streams(capture, 554)]
    said = {(fact.field, fact.text.partition(", nonce")[0]) for facts, _ in found for fact in facts}
    assert not any(broken for _, broken in found)
    assert {
        ("rtsp.server", "Rtsp Server/3.0"),
        ("rtsp.www-authenticate", 'Digest realm="Login to 4H01D66PAJ2FA64"'),
        ("rtsp.path", "/trackID=0"),
    } <= said
    (description,) = {text for field, text in said if field == "rtsp.sdp"}
    assert "a=packetization-supported:DH" in description.splitlines()


@needs_shared
def test_a_recorded_player_is_no_camera() -> None:
    """A client of a radio station says its agent and the path; nothing in it breaks."""
    said = {
        fact.field
        for part in streams(SHARED / "pcaps" / "neg-wmplayer-rtsp.pcap", 554)
        for fact in RTSP.dissect(part, b"")
    }
    assert {"rtsp.user-agent", "rtsp.path"} <= said

"""Tests of DNS questions."""

from __future__ import annotations

import pytest

from agent.probes.dns import DNS, DNS_TCP
from agent.wire import Malformed
from tests.frames import datagrams, streams
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways


def question(
    name: str, kind: int = 1, flags: int = 0x0100, tail: bytes = b"", counts: str = "0001 0000 0000 0000"
) -> bytes:
    """A DNS message that asks for one name."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (
        b"\x12\x34"
        + flags.to_bytes(2)
        + bytes.fromhex(counts)
        + labels
        + b"\0"
        + kind.to_bytes(2)
        + b"\0\1"
        + tail
    )


def facts(payload: bytes) -> list[tuple[str, str, str]]:
    return [(fact.field, fact.text, fact.about) for fact in DNS.dissect(payload, b"")]


@pytest.mark.parametrize("kind", [1, 28, 65])
def test_a_question_is_about_who_asks(kind: int) -> None:
    """The name that a device looks up, in lower case, for either kind of address or HTTPS."""
    payload = question("Dev.Hik-Connect.COM", kind)
    assert DNS.mine(payload)
    assert facts(payload) == [("dns.query", "dev.hik-connect.com", "speaker")]
    three_ways(DNS, payload)


def test_an_answer_tells_where_a_name_leads() -> None:
    """Addresses of either kind are told of the name that was asked for, whatever names lead there."""
    alias = b"\xc0\x0c\0\5\0\1\0\0\0\x1e\0\7\4edge\xc0\x10"
    four = b"\xc0\x31\0\1\0\1\0\0\0\x1e\0\4\xcb\0\x71\7"
    six = b"\xc0\x31\0\x1c\0\1\0\0\0\x1e\0\x10" + bytes.fromhex("20010db8") + bytes(11) + b"\7"
    payload = question(
        "Dev.hik-connect.com", flags=0x8180, tail=alias + four + six, counts="0001 0003 0000 0000"
    )
    assert DNS.mine(payload)
    assert facts(payload) == [
        ("dns.answer", "dev.hik-connect.com 203.0.113.7", "listener"),
        ("dns.answer", "dev.hik-connect.com 2001:db8::7", "listener"),
    ]
    three_ways(DNS, payload)
    only_malformed(DNS, payload)
    refused = question("dev.hik-connect.com", flags=0x8183, tail=four, counts="0001 0001 0000 0000")
    assert facts(refused) == []
    assert DNS.fresh is not None
    assert DNS.fresh.sub(b"", b"\1\2" + payload[2:]) == payload[2:]


def test_an_option_record_does_not_hide_the_question() -> None:
    """EDNS adds a record to a question (RFC 6891)."""
    payload = question(
        "easy4ip.com", counts="0001 0000 0000 0001", tail=bytes.fromhex("00 0029 1000 00000000 0000")
    )
    assert facts(payload) == [("dns.query", "easy4ip.com", "speaker")]
    three_ways(DNS, payload)


@pytest.mark.parametrize(
    "payload",
    [
        question("easy4ip.com", flags=0x8180),
        question("easy4ip.com", flags=0x2800),
        question("easy4ip.com", kind=12),
        question("EJFDEFEBFEBFACACACACACACACACAAA", kind=32),
        question("camera.local"),
        question("7.2.0.192.in-addr.arpa"),
        question("a b.example"),
        question("x", counts="0000 0000 0000 0000"),
        b"",
    ],
    ids=[
        "answer",
        "update",
        "reverse lookup",
        "NetBIOS",
        "local",
        "reverse zone",
        "no host name",
        "no question",
        "empty",
    ],
)
def test_what_names_no_host_of_the_world_says_nothing(payload: bytes) -> None:
    """Answers, NetBIOS, local names and reverse lookups tell nothing of the device's maker."""
    assert facts(payload) == []


def test_a_loop_is_malformed() -> None:
    """A name that points at itself raises Malformed at its offset."""
    with pytest.raises(Malformed) as caught:
        facts(question("x")[:12] + b"\xc0\x0c\0\1\0\1")
    assert caught.value.offset == 12


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(DNS, question("dev.hik-connect.com"))


@needs_shared
def test_a_recorded_camera_calls_home() -> None:
    """A D-Link camera's questions name its maker's cloud."""
    capture = SHARED / "pcaps" / "pos-dlink-dcs935l-setup-B-1.pcap"
    asked = {fact.text for payload in datagrams(capture, 53) for fact in DNS.dissect(payload, b"")}
    assert {"ntp1.dlink.com", "signal.mydlink.com"} <= {text for text in asked if " " not in text}


def framed(*messages: bytes) -> bytes:
    """Messages behind their lengths, as over TCP."""
    return b"".join(len(message).to_bytes(2) + message for message in messages)


def test_questions_over_tcp() -> None:
    """Each question of a connection is told; one that is cut, and what comes behind an answer, is not."""
    asked = framed(question("dev.hik-connect.com"), question("easy4ip.com"))
    assert DNS_TCP.mine(asked)
    said = [("dns.query", "dev.hik-connect.com"), ("dns.query", "easy4ip.com")]
    assert [(fact.field, fact.text) for fact in DNS_TCP.dissect(asked, b"")] == said
    assert [fact.text for fact in DNS_TCP.dissect(asked[:-1], b"")] == ["dev.hik-connect.com"]
    three_ways(DNS_TCP, asked)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        question("easy4ip.com"),
        framed(question("easy4ip.com", flags=0x8180)),
        framed(question("easy4ip.com"))[:-1],
        framed(question("easy4ip.com", counts="0002 0000 0000 0000")),
        framed(question("x")[:12] + b"\xc0\x0c\0\1\0\1"),
        b"\0\x20" + b"GET / HTTP/1.1\r\nHost: camera\r\n\r\n",
    ],
    ids=["empty", "unframed", "answer", "cut", "fewer than counted", "loop", "HTTP"],
)
def test_a_stream_that_does_not_begin_with_questions_is_anothers(payload: bytes) -> None:
    """Nothing marks DNS in a stream, so it must read as DNS to its last question."""
    assert not DNS_TCP.mine(payload)
    assert list(DNS_TCP.dissect(payload, b"")) == []


def test_only_malformed_escapes_a_stream() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(DNS_TCP, framed(question("dev.hik-connect.com"), question("easy4ip.com")))


@needs_shared
def test_a_recorded_resolver_asks_over_tcp() -> None:
    """A computer's questions over TCP are read, one behind another."""
    capture = SHARED / "pcaps" / "pos-dahua-rtsp-tcp-digest.pcapng"
    asked = {fact.text for said in streams(capture, 53) for fact in DNS_TCP.dissect(said, b"")}
    assert {"api.steampowered.com", "optimizationguide-pa.googleapis.com"} <= asked

"""Tests of DNS questions."""

from __future__ import annotations

import pytest

from agent.probes.dns import DNS
from agent.wire import Malformed
from tests.frames import datagrams
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
    assert {"ntp1.dlink.com", "signal.mydlink.com"} <= asked

"""Tests of who asks whom for the time."""

from __future__ import annotations

import pytest

from agent.probes.ntp import NTP
from tests.frames import datagrams
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways


def packet(mode: int, version: int = 4, stratum: int = 0, reference: bytes = bytes(4)) -> bytes:
    """A packet as RFC 5905 figure 8 lays it out, with its times at noon."""
    return bytes([version << 3 | mode, stratum, 6, 0xEC]) + bytes(8) + reference + b"\xe0\1\2\3\0\0\0\0" * 4


def facts(payload: bytes) -> list[tuple[str, str, str]]:
    return [(fact.field, fact.text, fact.about) for fact in NTP.dissect(payload, b"")]


def test_a_question_makes_the_asked_a_time_server() -> None:
    """The client is told of itself, the server of the address that it was asked at."""
    payload = packet(3)
    assert NTP.mine(payload)
    assert facts(payload) == [
        ("ntp.client", "version 4", "speaker"),
        ("ntp.server", "asked", "listener"),
    ]
    three_ways(NTP, payload)


@pytest.mark.parametrize(
    ("stratum", "reference", "said"),
    [
        (1, b"GPS\0", [("ntp.server", "stratum 1"), ("ntp.reference", "GPS")]),
        (2, bytes([192, 168, 1, 1]), [("ntp.server", "stratum 2"), ("ntp.reference", "192.168.1.1")]),
        (3, bytes([8, 8, 8, 8]), [("ntp.server", "stratum 3")]),
        (1, b"\xff\xfe\0\0", [("ntp.server", "stratum 1")]),
        (0, b"RATE", []),
        (16, bytes(4), []),
    ],
    ids=["clock", "private server", "public server", "no clock", "refusal", "without a clock"],
)
def test_an_answer_tells_what_the_server_follows(
    stratum: int, reference: bytes, said: list[tuple[str, str]]
) -> None:
    """A clock or a server of the site is told; who gives no time says nothing."""
    payload = packet(4, stratum=stratum, reference=reference)
    assert facts(payload) == [(*fact, "speaker") for fact in said]
    three_ways(NTP, payload)


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", packet(3)[:47], packet(6), packet(7), packet(5), packet(3, version=0), packet(3, version=7)),
        packet(3, stratum=17),
        packet(4, stratum=200),
        packet(3).replace(b"\x06\xec", b"\x12\xec"),
        packet(4, stratum=1).replace(b"\x06\xec", b"\x06\x14"),
        packet(4, stratum=1)[:40] + bytes(8),
        b"\x1b[0;31mlines for a terminal begin with the byte of a question\x1b[0m",
    ],
    ids=[
        *("empty", "short", "control", "private", "broadcast", "version 0", "version 7"),
        *("reserved stratum", "server's reserved stratum", "longest poll", "coarse clock", "no time"),
        "another protocol",
    ],
)
def test_what_is_no_client_or_server_says_nothing(payload: bytes) -> None:
    """Control messages and other programs' datagrams on the port give no fact."""
    assert not NTP.mine(payload)
    assert facts(payload) == []


def test_times_make_no_new_message() -> None:
    """Two questions differ in their times alone."""
    assert NTP.fresh is not None
    later = packet(3).replace(b"\xe0\1", b"\xe1\2")
    assert later != packet(3)
    assert NTP.fresh.sub(b"", later) == NTP.fresh.sub(b"", packet(3))
    assert NTP.fresh.sub(b"", packet(4)) != NTP.fresh.sub(b"", packet(3))


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(NTP, packet(3), packet(4, stratum=1, reference=b"GPS\0"))


@needs_shared
@pytest.mark.parametrize(
    ("file", "versions"),
    [("pos-skyworth-camera.pcap", {"version 3"}), ("pos-blink-security-hub-idle.pcap", {"version 4"})],
)
def test_recorded_devices_ask_for_the_time(file: str, versions: set[str]) -> None:
    """Recorded questions and answers are read without a break."""
    said = [fact for payload in datagrams(SHARED / "pcaps" / file, 123) for fact in facts(payload)]
    assert {text for field, text, _ in said if field == "ntp.client"} == versions
    assert ("ntp.server", "asked", "listener") in said

"""Tests of SIP."""

from __future__ import annotations

import pytest

from agent.probes.sip import SIP
from tests.frames import datagrams
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways

REQUEST = b"REGISTER sip:192.0.2.1 SIP/2.0\r\nUser-Agent: Phone 1\r\nServer: no\r\n\r\nUser-Agent: body\r\n"
ANSWER = (
    b'SIP/2.0 401 Unauthorized\r\nserver: Proxy\r\nWWW-Authenticate: Digest nonce="1", realm="door"\r\n\r\n'
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in SIP.dissect(payload, b"")]


def test_each_names_itself_alone() -> None:
    """A request names the asker's program, an answer the server's and its realm; a body names nobody."""
    assert facts(REQUEST) == [("sip.user-agent", "Phone 1")]
    assert facts(ANSWER) == [("sip.user-agent", "Proxy"), ("sip.realm", "door")]


@pytest.mark.parametrize("payload", [b"", b"OPTIONS rtsp://192.0.2.7/ RTSP/1.0\r\nUser-Agent: x\r\n\r\n"])
def test_others_are_not_read(payload: bytes) -> None:
    """RTSP asks in the same form and is not SIP."""
    assert facts(payload) == []


def test_hostile_bytes() -> None:
    """Three ways hold and no bytes raise anything."""
    three_ways(SIP, REQUEST)
    three_ways(SIP, ANSWER)
    only_malformed(SIP, REQUEST, ANSWER)


@needs_shared
def test_recorded_phones() -> None:
    """Recorded phones and their proxies name their programs."""
    said = set()
    for payload in datagrams(SHARED / "pcaps" / "neg-sip-phones.pcap", 5060):
        said |= set(facts(payload))
    assert {
        ("sip.user-agent", "Nero SIPPS IP Phone Version 2.0.51.16"),
        ("sip.user-agent", "Sip EXpress router (0.8.12 (i386/linux))"),
    } <= said

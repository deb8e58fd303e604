"""Tests of SSDP."""

from __future__ import annotations

import json

import pytest

from agent.probes.ssdp import SSDP
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways

HEADERS = (
    b"CACHE-CONTROL: max-age=1800\r\nLOCATION: http://192.0.2.7:49152/desc.xml\r\nServer:Linux UPnP/1.0 DCS-935L/1.0\r\n"
    b"NT: upnp:rootdevice\r\nNTS: ssdp:alive\r\nUSN: uuid:1::upnp:rootdevice\r\n"
)
NOTIFY = b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n" + HEADERS + b"\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n" + HEADERS.replace(b"NT:", b"ST:") + b"\r\n"
EXPECTED = [
    ("ssdp.location", "http://192.0.2.7:49152/desc.xml"),
    ("ssdp.server", "Linux UPnP/1.0 DCS-935L/1.0"),
    ("ssdp.st", "upnp:rootdevice"),
    ("ssdp.usn", "uuid:1::upnp:rootdevice"),
]


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in SSDP.dissect(payload, b"")]


@pytest.mark.parametrize("payload", [NOTIFY, ANSWER, HEADERS], ids=["announcement", "answer", "headers"])
def test_headers_are_read(payload: bytes) -> None:
    """An announcement, an answer and bare header lines give the same facts."""
    assert facts(payload) == EXPECTED


@pytest.mark.parametrize("payload", [NOTIFY, ANSWER, HEADERS], ids=["announcement", "answer", "headers"])
def test_three_ways(payload: bytes) -> None:
    """Whole, cut at every byte and with a tail, the block never tells more than it says."""
    three_ways(SSDP, payload)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(SSDP, NOTIFY, ANSWER, HEADERS)


@pytest.mark.parametrize(
    "payload",
    [
        b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nST: ssdp:all\r\n\r\n',
        b"HTTP/1.1 200 OK\r\nServer: nginx\r\nLocation: http://192.0.2.7/\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nST: x\r\nUSN: y\r\n\r\n",
        b"Server: nginx\r\nLocation: x\r\n\r\n",
        b"",
    ],
)
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """Searches say nothing of who sent them; web servers are not SSDP."""
    assert facts(payload) == []
    assert not SSDP.mine(payload)


@pytest.mark.parametrize(
    ("ip", "host"),
    [
        ("239.255.255.250", b"239.255.255.250:1900"),
        ("192.0.2.7", b"192.0.2.7:1900"),
        ("ff02::c", b"[ff02::c]:1900"),
        ("fe80::1%eth0", b"[fe80::1]:1900"),
    ],
)
def test_the_only_questions_are_searches(ip: str, host: bytes) -> None:
    """Both requests are M-SEARCH, for root devices and for everything, to the host they go to."""
    assert SSDP.hello is not None
    asks = SSDP.hello(Target(ip, 1900))
    form = b'M-SEARCH * HTTP/1.1\r\nHOST: %s\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: %s\r\n\r\n'
    assert [ask.payload for ask in asks] == [form % (host, b"upnp:rootdevice"), form % (host, b"ssdp:all")]


@needs_shared
def test_recorded_announcement() -> None:
    """The recorded announcement gives its location, server and names."""
    payload = (SHARED / "replies" / "ssdp.bin").read_bytes()
    assert facts(payload) == [
        ("ssdp.location", "http://240.0.1.0/rootDesc.xml"),
        ("ssdp.server", "Universal Scanner/0.0, Virtual/1.0"),
        ("ssdp.st", "uuid:unique-id-12345678"),
        ("ssdp.usn", "uuid:unique-id-12345678"),
    ]
    three_ways(SSDP, payload)


@needs_shared
def test_recorded_cameras_and_neighbours() -> None:
    """Every recorded announcement gives all four facts."""
    rows = [json.loads(line) for line in (SHARED / "corpus" / "train.jsonl").read_text("utf-8").splitlines()]
    payloads = [
        seen["payload"] for row in rows for seen in row["observations"] if seen.get("protocol") == "ssdp"
    ]
    assert len(payloads) == 8
    for payload in payloads:
        assert sorted(field for field, _ in facts(payload.encode())) == [field for field, _ in EXPECTED]

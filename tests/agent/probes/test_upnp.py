"""Tests of the UPnP description."""

from __future__ import annotations

import pytest

from agent.http_wire import split_head
from agent.probes.upnp import UPNP, description_ask
from tests.probe_cases import only_malformed, three_ways

DESCRIPTION = (
    b'<?xml version="1.0"?>\n<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major></specVersion>'
    b"<device><deviceType>urn:schemas-upnp-org:device:Basic:1</deviceType><friendlyName>Yard & Gate</friendlyName>"
    b"<manufacturer>D-Link</manufacturer><manufacturerURL>http://www.dlink.com</manufacturerURL><modelName>DCS-935L</modelName>"
    b"<modelNumber>1.0</modelNumber><serialNumber></serialNumber><UDN>uuid:1</UDN><deviceList><device><modelName>inner</modelName>"
    b"</device></deviceList></device></root>\r\n"
)
EXPECTED = [
    ("upnp.device-type", "urn:schemas-upnp-org:device:Basic:1"),
    ("upnp.friendly-name", "Yard & Gate"),
    ("upnp.manufacturer", "D-Link"),
    ("upnp.manufacturer-url", "http://www.dlink.com"),
    ("upnp.model", "DCS-935L"),
    ("upnp.model-number", "1.0"),
    ("upnp.udn", "uuid:1"),
]
HTTP = b"HTTP/1.1 200 OK\r\nServer: Cellvision UPnP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (
    len(DESCRIPTION),
    DESCRIPTION,
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in UPNP.dissect(payload, b"")]


def test_the_root_device_is_read() -> None:
    """With its HTTP head or bare, a description gives the root device and no embedded one."""
    assert facts(DESCRIPTION) == EXPECTED
    assert facts(HTTP) == [("http.server", "Cellvision UPnP/1.0"), *EXPECTED]
    assert UPNP.mine(DESCRIPTION)
    assert UPNP.mine(HTTP)


def test_a_fragment_is_read_as_far_as_it_goes() -> None:
    """Part of a description, as a log quotes it, still gives its facts."""
    start, end = DESCRIPTION.index(b"Gate<"), DESCRIPTION.index(b"L</modelName>")
    assert facts(DESCRIPTION[start:end]) == EXPECTED[2:4]


@pytest.mark.parametrize("payload", [DESCRIPTION, HTTP], ids=["bare", "http"])
def test_three_ways(payload: bytes) -> None:
    """Whole, cut at every byte and with a tail, the description never tells more than it says."""
    three_ways(UPNP, payload)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(UPNP, DESCRIPTION, HTTP)


@pytest.mark.parametrize(
    "payload",
    [
        b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 6\r\n\r\n<root>",
        b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\n\r\n",
        b"<html><manufacturer>x</manufacturer></html>",
        b"",
    ],
)
def test_what_is_no_description_says_nothing(payload: bytes) -> None:
    """Other answers, and other XML, give no facts."""
    assert facts(payload) == []
    assert not UPNP.mine(payload)


@pytest.mark.parametrize(
    ("location", "ip", "port", "transport", "path", "host"),
    [
        ("http://192.0.2.7:49152/d.xml?x=1", "192.0.2.7", 49152, "tcp", "/d.xml?x=1", "192.0.2.7:49152"),
        ("http://192.0.2.7", "192.0.2.7", 80, "tcp", "/", "192.0.2.7"),
        ("https://192.0.2.7/d", "192.0.2.7", 443, "tls", "/d", "192.0.2.7"),
        ("http://[FE80:0::1]:8200/d", "fe80::1%eth0", 8200, "tcp", "/d", "[fe80::1]:8200"),
    ],
)
def test_the_only_question_is_a_get_at_the_answering_host(
    location: str, ip: str, port: int, transport: str, path: str, host: str
) -> None:
    """A LOCATION on the answering address becomes one GET there."""
    ask = description_ask(location, ip)
    assert ask is not None
    assert (ask.port, ask.transport) == (port, transport)
    head = split_head(ask.payload)
    assert head.start == f"GET {path} HTTP/1.1"
    assert head.first("host") == host
    assert ask.payload.endswith(b"\r\n\r\n")
    assert ask.whole is not None
    assert ask.whole(HTTP)


@pytest.mark.parametrize(
    "location",
    [
        "http://192.0.2.8/d.xml",
        "http://camera.example/d.xml",
        "http://192.0.2.7@203.0.113.9/",
        "http://192.0.2.7:0/",
        "file:///etc/hostname",
        "",
    ],
)
def test_a_location_elsewhere_is_not_fetched(location: str) -> None:
    """A device cannot send us to another host, a name, or anything but the web."""
    assert description_ask(location, "192.0.2.7") is None

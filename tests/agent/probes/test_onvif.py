"""Tests of the ONVIF device service."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from ipycam.config import CameraConfig
from ipycam.http import IPCameraHTTPHandler
from ipycam.onvif import ONVIFService

from agent.http_wire import split_head
from agent.probes.onvif import ONVIF, service_ask
from agent.wire import Ask, Target
from agent.xml import read
from tests.probe_cases import only_malformed, three_ways

DEVICE = "http://www.onvif.org/ver10/device/wsdl"


def envelope(body: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"'
        f' xmlns:tds="{DEVICE}" xmlns:tt="http://www.onvif.org/ver10/schema"><env:Body>{body}</env:Body></env:Envelope>'
    ).encode()


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    return (
        "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]).encode() + body
    )


INFORMATION = envelope(
    "<tds:GetDeviceInformationResponse><tds:Manufacturer>Dahua</tds:Manufacturer><tds:Model>IPC-HDW1025C</tds:Model>"
    "<tds:FirmwareVersion>2.420.Dahua 00.14.R, build: 2016-06-18</tds:FirmwareVersion>"
    "<tds:SerialNumber>2J01018PAA00000</tds:SerialNumber><tds:HardwareId>1.00</tds:HardwareId></tds:GetDeviceInformationResponse>"
)
DATE = envelope(
    "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime/></tds:GetSystemDateAndTimeResponse>"
)
FAULT = envelope(
    "<env:Fault><env:Code><env:Value>env:Sender</env:Value><env:Subcode><env:Value>ter:NotAuthorized</env:Value></env:Subcode>"
    "</env:Code><env:Reason><env:Text>Sender not Authorized</env:Text></env:Reason></env:Fault>"
)
INFORMATION_FACTS = [
    ("onvif.manufacturer", "Dahua"),
    ("onvif.model", "IPC-HDW1025C"),
    ("onvif.firmware", "2.420.Dahua 00.14.R, build: 2016-06-18"),
    ("onvif.serial", "2J01018PAA00000"),
    ("onvif.hardware", "1.00"),
]


def facts(payload: bytes, asked: bytes = b"") -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in ONVIF.dissect(payload, asked)]


def first_ask(ip: str = "192.0.2.7", port: int = 80) -> Ask:
    assert ONVIF.hello is not None
    (ask,) = ONVIF.hello(Target(ip, port, "tcp"))
    return ask


def operation(ask: Ask) -> str:
    """The one element in the Body of the request."""
    head = split_head(ask.payload)
    body = ask.payload[head.end :]
    assert read(body).broken is None
    action = head.first("content-type").partition('action="')[2].rstrip('"')
    assert head.first("content-length") == str(len(body))
    name = action.removeprefix(f"{DEVICE}/")
    assert body.partition(b":Body><")[2].startswith(f'{name} xmlns="{DEVICE}">'.encode())
    return name


def test_device_information_is_read() -> None:
    """With its HTTP head, bare, or as part of the answer, the information gives the same facts."""
    assert facts(INFORMATION) == INFORMATION_FACTS
    assert facts(http(INFORMATION, "200 OK", "Server: gSOAP/2.8")) == [
        ("http.server", "gSOAP/2.8"),
        *INFORMATION_FACTS,
    ]
    part = INFORMATION[INFORMATION.index(b"<tds:Manu") : INFORMATION.index(b"</tds:GetDev")]
    assert facts(part) == INFORMATION_FACTS
    assert ONVIF.mine(http(INFORMATION))


def test_scopes_services_and_host_name_are_read() -> None:
    """Scopes, service addresses, a maker's namespace and the host name are facts."""
    body = envelope(
        "<tds:GetScopesResponse><tds:Scopes><tt:ScopeDef>Fixed</tt:ScopeDef><tt:ScopeItem>onvif://www.onvif.org/name/General"
        "</tt:ScopeItem></tds:Scopes></tds:GetScopesResponse>"
    )
    assert facts(body) == [("onvif.scope", "onvif://www.onvif.org/name/General")]
    body = envelope(
        "<tds:GetServicesResponse><tds:Service><tds:Namespace>http://www.onvif.org/ver10/media/wsdl</tds:Namespace>"
        "<tds:XAddr>http://192.0.2.7/onvif/media</tds:XAddr></tds:Service><tds:Service><tds:Namespace>"
        "http://www.maker.example/vapix/wsdl</tds:Namespace></tds:Service></tds:GetServicesResponse>"
    )
    assert facts(body) == [
        ("onvif.namespace", "http://www.maker.example/vapix/wsdl"),
        ("onvif.xaddr", "http://192.0.2.7/onvif/media"),
    ]
    body = envelope(
        "<tds:GetHostnameResponse><tds:HostnameInformation><tt:FromDHCP>false</tt:FromDHCP><tt:Name>cam-1</tt:Name>"
        "</tds:HostnameInformation></tds:GetHostnameResponse>"
    )
    assert facts(body) == [("onvif.hostname", "cam-1")]


def test_a_refusal_is_evidence() -> None:
    """The fault's code and text are facts, and so is the realm of a 401, when ONVIF was asked."""
    assert facts(http(FAULT, "400 Bad Request")) == [
        ("onvif.fault", "ter:NotAuthorized"),
        ("onvif.fault", "Sender not Authorized"),
    ]
    refusal = http(b"", "401 Unauthorized", 'WWW-Authenticate: Digest realm="Login to 1"')
    assert facts(refusal, first_ask().payload) == [("http.www-authenticate", 'Digest realm="Login to 1"')]


@pytest.mark.parametrize(
    "payload", [http(INFORMATION), INFORMATION, http(FAULT, "500 Oops")], ids=["http", "bare", "fault"]
)
def test_three_ways(payload: bytes) -> None:
    """Whole, cut at every byte and with a tail, the answer never tells more than it says."""
    three_ways(ONVIF, payload)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(ONVIF, INFORMATION, http(FAULT))


@pytest.mark.parametrize(
    ("payload", "asked"),
    [
        (http(b"<html>no</html>", "404 Not Found", "Server: nginx"), first_ask().payload),
        (http(b"", "401 Unauthorized", "WWW-Authenticate: Basic"), b"GET / HTTP/1.1\r\n\r\n"),
        (http(b"<html>hello</html>", "200 OK", "Server: nginx"), b""),
        (envelope("<tds:GetScopes/>"), b""),
        (b"<root><XAddr>x</XAddr></root>", b""),
        (b"", b""),
    ],
)
def test_what_is_not_its_answer_says_nothing(payload: bytes, asked: bytes) -> None:
    """A web server without ONVIF, another protocol's 401 and a request give no facts."""
    assert facts(payload, asked) == []
    assert not ONVIF.mine(payload)


def test_the_first_question_is_the_date() -> None:
    """Before anything else one unauthenticated GetSystemDateAndTime goes to the target's port."""
    ask = first_ask(port=8899)
    assert operation(ask) == "GetSystemDateAndTime"
    assert split_head(ask.payload).start == "POST /onvif/device_service HTTP/1.1"
    assert split_head(ask.payload).first("host") == "192.0.2.7:8899"
    assert b"Security" not in ask.payload
    assert ask.whole is not None
    assert ask.whole(http(DATE))
    assert not ask.whole(http(DATE)[:-1])


def test_more_is_asked_only_of_an_onvif_service() -> None:
    """After an ONVIF answer come the other reading operations; after anything else, nothing."""
    ask = first_ask()
    then = ONVIF.follow(ask, http(DATE))
    assert [operation(one) for one in then] == [
        "GetDeviceInformation",
        "GetScopes",
        "GetServices",
        "GetHostname",
    ]
    assert [operation(one) for one in ONVIF.follow(ask, http(FAULT, "400 Bad Request"))] == [
        operation(one) for one in then
    ]
    for reply in (
        b"",
        http(b"<html/>"),
        http(b"", "401 Unauthorized"),
        http(b"<s:Envelope><s:Body/></s:Envelope>"),
    ):
        assert ONVIF.follow(ask, reply) == ()
    assert ONVIF.follow(then[0], http(INFORMATION)) == ()


def test_devices_without_services_are_asked_for_capabilities() -> None:
    """Where GetServices is refused its predecessor is asked, once."""
    services = ONVIF.follow(first_ask(), http(DATE))[2]
    (ask,) = ONVIF.follow(services, http(FAULT, "400 Bad Request"))
    assert operation(ask) == "GetCapabilities"
    assert ONVIF.follow(ask, http(FAULT, "400 Bad Request")) == ()


def test_an_announced_address_is_asked_at_the_answering_host() -> None:
    """Path, port and scheme of an XAddr are used, its host is not, and follow-ups stay there."""
    ask = service_ask("https://203.0.113.9:8443/onvif/device", "192.0.2.7")
    assert ask is not None
    assert (ask.port, ask.transport, operation(ask)) == (8443, "tls", "GetSystemDateAndTime")
    for one in (ask, *ONVIF.follow(ask, http(DATE))):
        head = split_head(one.payload)
        assert head.start == "POST /onvif/device HTTP/1.1"
        assert head.first("host") == "192.0.2.7:8443"
        assert (one.port, one.transport) == (8443, "tls")
    assert service_ask("soap.udp://192.0.2.7", "192.0.2.7") is None


@contextmanager
def ipycam_at_loopback(**settings: str) -> Iterator[int]:
    """The ONVIF service of ipycam, a camera that nobody here wrote, on a port of its own."""
    camera = SimpleNamespace(onvif=ONVIFService(CameraConfig(**settings)))
    handler = type("Handler", (IPCameraHTTPHandler,), {"camera": camera})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def conversation(port: int) -> dict[str, list[tuple[str, str]]]:
    """Ask all there is to ask over real sockets, each reply read until its framing says it is whole."""
    asks = [first_ask("127.0.0.1", port)]
    told: dict[str, list[tuple[str, str]]] = {}
    for ask in asks:
        reply = b""
        assert ask.whole is not None
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(ask.payload)
            while not ask.whole(reply):
                more = connection.recv(512)
                assert more
                reply += more
        told[operation(ask)] = [fact for fact in facts(reply, ask.payload) if fact[0] != "http.server"]
        asks.extend(ONVIF.follow(ask, reply))
    return told


def test_a_real_camera_service_tells_who_it_is() -> None:
    """A camera (ipycam) without a password gives its device information, scopes and services."""
    with ipycam_at_loopback(manufacturer="Maker", model="Model-1") as port:
        told = conversation(port)
    assert list(told) == [
        "GetSystemDateAndTime",
        "GetDeviceInformation",
        "GetScopes",
        "GetServices",
        "GetHostname",
    ]
    assert told["GetDeviceInformation"][:2] == [("onvif.manufacturer", "Maker"), ("onvif.model", "Model-1")]
    assert ("onvif.scope", "onvif://www.onvif.org/Profile/Streaming") in told["GetScopes"]
    assert {field for field, _ in told["GetServices"]} == {"onvif.xaddr"}


def test_a_real_camera_service_with_a_password_is_asked_once() -> None:
    """A camera (ipycam) with a password refuses with a fault, which is kept, and it is left alone."""
    with ipycam_at_loopback(username="user", password="not-guessed") as port:  # noqa: S106 - a password of the test's own server
        assert conversation(port) == {"GetSystemDateAndTime": [("onvif.fault", "Sender not authorized")]}

"""Answers lead only to the host that gave them."""

from __future__ import annotations

import pytest

from agent.leads import leads, ports_named
from agent.wire import Message
from fingerprints.model import Speaker

SSDP = "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nUSN: uuid:1::upnp:rootdevice\r\nLOCATION: {}\r\nSERVER: x\r\n\r\n"
SADP = "<ProbeMatch><Types>inquiry</Types><CommandPort>8000</CommandPort><HttpPort>{}</HttpPort></ProbeMatch>"
WS_DISCOVERY = (
    '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><e:Body><d:ProbeMatches><d:ProbeMatch>'
    "<d:XAddrs>{}</d:XAddrs></d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>"
)


def said(protocol: str, text: str) -> Message:
    """A datagram from 192.0.2.7."""
    return Message("udp", text.encode(), Speaker("192.0.2.7", None, 1), Speaker(), protocol=protocol)


def test_discovery_answers_name_ports() -> None:
    """Web ports and those of every URL; a maker's binary port is left alone, what is no number is none."""
    assert list(ports_named(said("sadp", SADP.format(81)))) == [81]
    assert list(ports_named(said("sadp", SADP.format("x")))) == []
    assert list(ports_named(said("ssdp", SSDP.format("http://192.0.2.7:49152/d.xml")))) == [49152]
    assert list(ports_named(said("ws-discovery", WS_DISCOVERY.format("http://10.0.0.9:8899/onvif")))) == [
        8899
    ]


def test_a_description_is_read_only_on_the_host_itself() -> None:
    """A LOCATION elsewhere leads nowhere."""
    ((probe, ask),) = leads(said("ssdp", SSDP.format("http://192.0.2.7:49152/d.xml")))
    assert (probe.name, ask.port) == ("upnp", 49152)
    assert ask.payload.startswith(b"GET /d.xml HTTP/1.1\r\nHost: 192.0.2.7:49152\r\n")
    assert list(leads(said("ssdp", SSDP.format("http://192.0.2.8:49152/d.xml")))) == []


def test_an_onvif_service_is_asked_at_the_sender() -> None:
    """An XAddr may hold a previous address: its port and path are used, the sender is asked."""
    ((probe, ask),) = leads(said("ws-discovery", WS_DISCOVERY.format("http://10.0.0.9:8899/onvif/svc")))
    assert (probe.name, ask.port) == ("onvif", 8899)
    assert b"POST /onvif/svc HTTP/1.1\r\nHost: 192.0.2.7:8899\r\n" in ask.payload


@pytest.mark.parametrize(
    "message", [said("http", "HTTP/1.1 200 OK\r\n\r\n"), said("sadp", "<ProbeMatch><Ty")]
)
def test_nothing_leads_nowhere(message: Message) -> None:
    """Answers of other protocols, and what cannot be read, give nothing."""
    assert list(leads(message)) == []
    assert list(ports_named(message)) == []

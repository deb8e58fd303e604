"""Tests of WS-Discovery."""

from __future__ import annotations

import json
import re

import pytest

from agent.probes.ws_discovery import WS_DISCOVERY
from agent.wire import Target
from agent.xml import read
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways

NAMESPACES = (
    b'xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    b' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:x1="http://www.onvif.org/ver10/network/wsdl"'
    b' xmlns:wsdp="http://schemas.xmlsoap.org/ws/2006/02/devprof" xmlns:hikwsd="http://www.onvifext.com/onvif/ext/ver10/wsdl"'
)
MATCH = (
    b"<a:EndpointReference><a:Address>urn:uuid:00000000-0000-0000-0000-000000000001</a:Address></a:EndpointReference>"
    b"<d:Types>x1:NetworkVideoTransmitter wsdp:Device</d:Types>"
    b"<d:Scopes>onvif://www.onvif.org/name/HIKVISION%20X\n onvif://www.onvif.org/Profile/G</d:Scopes>"
    b"<d:XAddrs>http://192.0.2.7/onvif/device_service http://[fe80::1]/onvif/device_service</d:XAddrs>"
)
ANNOUNCED = [
    ("onvif.endpoint", "urn:uuid:00000000-0000-0000-0000-000000000001"),
    ("onvif.type", "NetworkVideoTransmitter"),
    ("ws-discovery.type", "wsdp:Device"),
    ("onvif.scope", "onvif://www.onvif.org/name/HIKVISION%20X"),
    ("onvif.scope", "onvif://www.onvif.org/Profile/G"),
    ("onvif.xaddr", "http://192.0.2.7/onvif/device_service"),
    ("onvif.xaddr", "http://[fe80::1]/onvif/device_service"),
]
NAMESPACE = ("onvif.namespace", "http://www.onvifext.com/onvif/ext/ver10/wsdl")


def message(body: bytes) -> bytes:
    header = b"<s:Header><a:ReplyTo><a:Address>urn:uuid:none</a:Address></a:ReplyTo></s:Header>"
    return b"<s:Envelope " + NAMESPACES + b">" + header + b"<s:Body>" + body + b"</s:Body></s:Envelope>"


MATCHES = message(b"<d:ProbeMatches><d:ProbeMatch>" + MATCH + b"</d:ProbeMatch></d:ProbeMatches>")


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in WS_DISCOVERY.dissect(payload, b"")]


@pytest.mark.parametrize(
    "payload",
    [
        MATCHES,
        message(b"<d:ResolveMatches><d:ResolveMatch>" + MATCH + b"</d:ResolveMatch></d:ResolveMatches>"),
        message(b"<d:Hello>" + MATCH + b"</d:Hello>"),
    ],
    ids=["ProbeMatches", "ResolveMatches", "Hello"],
)
def test_matches_and_announcements_are_read(payload: bytes) -> None:
    """Each scope, type and address is its own fact; types are told apart by their namespace."""
    assert facts(payload) == [NAMESPACE, *ANNOUNCED]
    assert WS_DISCOVERY.mine(payload)


def test_three_ways() -> None:
    """Whole, cut at every byte and with a tail, the answer never tells more than it says."""
    three_ways(WS_DISCOVERY, MATCHES)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(WS_DISCOVERY, MATCHES)


def test_a_type_without_a_name_is_no_onvif_type() -> None:
    """A prefix alone is kept as it stands, not as an empty ONVIF type."""
    assert facts(message(b"<d:Hello><d:Types>x1:</d:Types></d:Hello>")) == [
        NAMESPACE,
        ("ws-discovery.type", "x1:"),
    ]


def test_a_refusal_is_evidence() -> None:
    """The reason and the code of a SOAP fault are facts."""
    fault = (
        b"<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>d:MatchingRuleNotSupported</s:Value></s:Subcode>"
        b"</s:Code><s:Reason><s:Text xml:lang='en'>the matching rule is not supported</s:Text></s:Reason></s:Fault>"
    )
    assert [fact for fact in facts(message(fault)) if fact[0] == "onvif.fault"] == [
        ("onvif.fault", "d:MatchingRuleNotSupported"),
        ("onvif.fault", "the matching rule is not supported"),
    ]


@pytest.mark.parametrize(
    "payload",
    [
        message(b"<d:Probe><d:Types>x1:NetworkVideoTransmitter</d:Types></d:Probe>"),
        message(
            b"<d:Resolve><a:EndpointReference><a:Address>urn:uuid:1</a:Address></a:EndpointReference></d:Resolve>"
        ),
        b"<ProbeMatch><Types>inquiry</Types></ProbeMatch>",
        b"<d:Probe><d:Types>a</d:Types><d:Scopes>b</d:Scopes></d:Probe>",
        b"",
    ],
)
def test_questions_say_nothing_of_who_asked(payload: bytes) -> None:
    """Probe and Resolve, whole or part, give no facts; SADP is not WS-Discovery."""
    assert facts(payload) == []
    assert not WS_DISCOVERY.mine(payload)


def test_the_only_questions_are_probes_in_four_variants() -> None:
    """Every request is a Probe on one line, each with an id of its own."""
    assert WS_DISCOVERY.hello is not None
    asks = WS_DISCOVERY.hello(Target("239.255.255.250", 3702))
    assert len(asks) == 4
    ids: set[str] = set()
    for ask, (types, namespace) in zip(
        asks,
        [
            (("dn:NetworkVideoTransmitter",), "http://www.onvif.org/ver10/network/wsdl"),
            (("tds:Device",), "http://www.onvif.org/ver10/device/wsdl"),
            (("wsdp:Device",), "http://schemas.xmlsoap.org/ws/2006/02/devprof"),
            ((), None),
        ],
        strict=True,
    ):
        document = read(ask.payload)
        assert document.broken is None
        assert b"\n" not in ask.payload
        assert document.texts("Action") == ("http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe",)
        assert document.texts("Body", "Probe", "Types") == types
        assert document.namespace(types[0].partition(":")[0] if types else "dn") == namespace
        ids.update(document.texts("MessageID"))
        assert facts(ask.payload) == []
    assert len(ids) == 4
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", text) for text in ids)


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives its endpoint, types and addresses; its empty scopes give none."""
    payload = (SHARED / "replies" / "wsdiscovery.bin").read_bytes()
    assert facts(payload) == [
        ("onvif.endpoint", "urn:uuid:11223344-5566-7788-9900-000000000002"),
        ("ws-discovery.type", "Virtual"),
        ("onvif.type", "Device"),
        ("onvif.xaddr", "http://240.0.2.0/"),
        ("onvif.xaddr", "http://[::1]/"),
    ]
    three_ways(WS_DISCOVERY, payload)


@needs_shared
def test_recorded_fragment() -> None:
    """A quoted part without declarations gives the camera's name, model and addresses."""
    for line in (SHARED / "corpus" / "train.jsonl").read_text("utf-8").splitlines():
        for row in json.loads(line)["observations"]:
            if row.get("field") == "ws-discovery.fragment":
                fragment = row["text"].encode()
    found = facts(fragment)
    assert found[:3] == [
        ("onvif.endpoint", "urn:uuid:18ec6401-3aa0-11b5-83f6-b4a3820fd92d"),
        ("onvif.type", "NetworkVideoTransmitter"),
        ("onvif.type", "Device"),
    ]
    assert ("onvif.scope", "onvif://www.onvif.org/name/HIKVISION%20DS-2CD3955FWD-IWS") in found
    assert len(found) == 13
    three_ways(WS_DISCOVERY, fragment)


def test_what_is_new_each_time_is_in_no_fact() -> None:
    """Of two announcements that differ in their number alone, one need be read."""
    hello = (
        b'<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Header><a:MessageID>urn:uuid:%s'
        b"</a:MessageID><a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Hello</a:Action></e:Header>"
        b"<e:Body><d:Hello><d:XAddrs>http://192.0.2.7/onvif/device_service</d:XAddrs></d:Hello></e:Body></e:Envelope>"
    )
    one, other = hello % b"11111111-77ee", hello % b"22222222-77ee"
    assert WS_DISCOVERY.fresh is not None
    assert WS_DISCOVERY.fresh.sub(b"", one) == WS_DISCOVERY.fresh.sub(b"", other) != other
    assert [*WS_DISCOVERY.dissect(one, b"")] == [*WS_DISCOVERY.dissect(other, b"")] != []

"""WS-Discovery: SOAP over UDP 3702, by which ONVIF devices are found.

Messages after WS-Discovery (April 2005) and ONVIF Core chapter 7. The question goes out in
four variants, since devices differ in which one they answer. Addresses inside an answer
may be old ones: the sender of the datagram is who speaks.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Final

from agent import soap, xml
from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["WS_DISCOVERY"]

_ADDRESSING: Final = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_DISCOVERY: Final = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_DEVICE_PROFILE: Final = "http://schemas.xmlsoap.org/ws/2006/02/devprof"
_VARIANTS: Final = (
    ("dn:NetworkVideoTransmitter", f' xmlns:dn="{soap.NETWORK}"'),
    ("tds:Device", f' xmlns:tds="{soap.DEVICE}"'),
    # Computers and printers answer to this one alone (wsdd compares it as text).
    ("wsdp:Device", f' xmlns:wsdp="{_DEVICE_PROFILE}"'),
    ("", ""),
)

_ANSWERS: Final = frozenset({"ProbeMatches", "ResolveMatches", "Hello", "Bye"})
_ANSWER: Final = re.compile(rb"<(?:[\w.-]{1,64}:)?(?:ProbeMatches|ResolveMatches|Hello|Bye|Fault)[\s>]")
_REQUEST: Final = re.compile(rb"<(?:[\w.-]{1,64}:)?(?:Probe|Resolve|Envelope)[\s/>]")
_OWN_WORDS: Final = re.compile(rb"</(?:[\w.-]{1,64}:)?(?:XAddrs|Scopes|EndpointReference|MetadataVersion)>")

# What the prefixes mean where a fragment does not declare them.
_CUSTOM: Final = {"dn": soap.NETWORK, "tdn": soap.NETWORK, "tds": soap.DEVICE}


def _mine(payload: bytes) -> bool:
    return (
        xml.looks_like(payload, b"Envelope")
        and b"/discovery" in payload
        and _ANSWER.search(payload) is not None
    )


def _hello(_target: Target) -> tuple[Ask, ...]:
    asks: list[Ask] = []
    for types, namespace in _VARIANTS:
        header = (
            f"<a:Action>{_DISCOVERY}/Probe</a:Action>"
            f"<a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>"
            "<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>"
        )
        body = f"<d:Probe><d:Types>{types}</d:Types></d:Probe>" if types else "<d:Probe><d:Types/></d:Probe>"
        namespaces = f' xmlns:a="{_ADDRESSING}" xmlns:d="{_DISCOVERY}"{namespace}'
        asks.append(Ask(soap.envelope(body, header, namespaces), f"WS-Discovery Probe {types}".strip()))
    return tuple(asks)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """Facts of matches and announcements, whole or part; questions say nothing of who sent them."""
    if not _mine(payload) and (_REQUEST.search(payload) or not _OWN_WORDS.search(payload)):
        return
    document = xml.read(payload)
    yield from soap.common_facts(document)
    for leaf in document.leaves:
        if leaf.path[0] != "Envelope" or not _ANSWERS.isdisjoint(leaf.path):
            yield from _facts(leaf, document)
    document.finish()


def _facts(leaf: xml.Leaf, document: xml.Document) -> Iterator[Fact]:
    if leaf.name == "Address":
        # A fragment may begin inside the reference.
        if leaf.path[-2:-1] == ("EndpointReference",) or (len(leaf.path) == 1 and "uuid:" in leaf.text):
            yield Fact("onvif.endpoint", leaf.text)
    elif leaf.name == "Types":
        for name in leaf.text.split():
            prefix, _, local = name.rpartition(":")
            if local and soap.is_onvif(document.namespace(prefix) or _CUSTOM.get(prefix)):
                yield Fact("onvif.type", local)
            else:
                yield Fact("ws-discovery.type", name)
    elif leaf.name == "Scopes":
        yield from (Fact("onvif.scope", scope) for scope in leaf.text.split())
    elif leaf.name == "XAddrs":
        yield from (Fact("onvif.xaddr", address) for address in leaf.text.split())


WS_DISCOVERY: Final = Probe(
    name="ws-discovery",
    transport="udp",
    ports=(3702,),
    fields=(
        "onvif.endpoint",
        "onvif.fault",
        "onvif.namespace",
        "onvif.scope",
        "onvif.type",
        "onvif.xaddr",
        "ws-discovery.type",
    ),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("239.255.255.250", "ff02::c"),
    order=0,
    aliases=("wsdiscovery",),
    source="WS-Discovery 2005/04; ONVIF Core 7; recorded announcements",
    says="ONVIF scopes (name, model), types, service addresses, stable identifier",
    fresh=re.compile(rb"MessageID>[0-9A-Za-z:-]{1,64}<"),
)

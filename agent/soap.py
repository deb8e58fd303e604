"""SOAP as ONVIF and WS-Discovery use it: envelopes we send, faults with namespaces we read.

Envelopes are one line, because some Hikvision firmware refuses a question with line feeds
in it (edgexfoundry/device-onvif-camera issue 134).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent.xml import Document
from fingerprints.model import Fact

__all__ = ["DEVICE", "NETWORK", "common_facts", "envelope", "is_onvif"]

DEVICE: Final = "http://www.onvif.org/ver10/device/wsdl"
"""Namespace of the ONVIF device service."""

NETWORK: Final = "http://www.onvif.org/ver10/network/wsdl"
"""Namespace of the ONVIF types in WS-Discovery."""

_ENVELOPE: Final = "http://www.w3.org/2003/05/soap-envelope"
_HOST: Final = re.compile(r"https?://([\w.-]{1,255})", re.ASCII | re.IGNORECASE)
# Whose namespaces stand in answers of every maker: standards bodies, and the SOAP toolkits.
_COMMON: Final = (
    "w3.org",
    "xmlsoap.org",
    "onvif.org",
    "oasis-open.org",
    "microsoft.com",
    "tempuri.org",
    "wapforum.org",
)


def envelope(body: str, header: str = "", namespaces: str = "") -> bytes:
    """A SOAP 1.2 document on one line, with prefix ``s`` for the envelope."""
    head = f"<s:Header>{header}</s:Header>" if header else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<s:Envelope xmlns:s="{_ENVELOPE}"{namespaces}>{head}<s:Body>{body}</s:Body></s:Envelope>'
    ).encode()


def is_onvif(namespace: str | None) -> bool:
    """Whether a namespace is one of ONVIF's own."""
    return _owner(namespace or "") == "onvif.org"


def common_facts(document: Document) -> Iterator[Fact]:
    """What any SOAP answer may tell: namespaces of a maker, the reason and code of a fault."""
    declared = [uri for _, uri in document.namespaces]
    for uri in dict.fromkeys([*declared, *document.texts("Namespace")]):
        owner = _owner(uri)
        if owner and owner not in _COMMON:
            yield Fact("onvif.namespace", uri)
    for leaf in document.leaves:
        # SOAP 1.2: Reason/Text and Code/Subcode/Value; SOAP 1.1: faultstring.
        if "Fault" in leaf.path and (
            leaf.path[-2:] in (("Reason", "Text"), ("Subcode", "Value")) or leaf.name == "faultstring"
        ):
            yield Fact("onvif.fault", leaf.text)


def _owner(namespace: str) -> str:
    """The registered part of the namespace's host, such as ``onvif.org``."""
    found = _HOST.match(namespace)
    return ".".join(found.group(1).lower().split(".")[-2:]) if found else ""

"""The ONVIF device service without a login: SOAP over HTTP.

``GetSystemDateAndTime`` is open on every device (ONVIF Core 5.9.4, access class PRE_AUTH);
the rest is asked only where that showed an ONVIF service. A refusal is evidence as well:
its realm, its fault text. Only operations that read are ever built here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent import http_wire, soap, xml
from agent.drawn import NONCE
from agent.wire import Ask, Malformed, Probe, Target, Transport
from fingerprints.model import Fact

__all__ = ["ONVIF", "service_ask"]

_PATH: Final = "/onvif/device_service"
_FIRST: Final = "GetSystemDateAndTime"
_THEN: Final = ("GetDeviceInformation", "GetScopes", "GetServices", "GetHostname")
_ARGUMENTS: Final = {
    "GetServices": "<IncludeCapability>false</IncludeCapability>",
    "GetCapabilities": "<Category>All</Category>",
}
_ASKED: Final = re.compile(rb"<(?:[\w.-]{1,64}:)?(Get\w{1,64})[\s/>]")
_ANSWER: Final = re.compile(
    rb"<(?:[\w.-]{1,64}:)?Get(?:SystemDateAndTime|DeviceInformation|NetworkInterfaces|Scopes|Services|Capabilities|Hostname)Response[\s/>]"
)
_OWN_WORDS: Final = (b"HardwareId>", b"FirmwareVersion>", b"ScopeItem>", b"XAddr>", b"HostnameInformation>")
_LEAVES: Final[dict[tuple[str, ...], str]] = {
    ("GetDeviceInformationResponse", "Manufacturer"): "onvif.manufacturer",
    ("GetDeviceInformationResponse", "Model"): "onvif.model",
    ("GetDeviceInformationResponse", "FirmwareVersion"): "onvif.firmware",
    ("GetDeviceInformationResponse", "SerialNumber"): "onvif.serial",
    ("GetDeviceInformationResponse", "HardwareId"): "onvif.hardware",
    ("Info", "HwAddress"): "onvif.mac",
    ("HostnameInformation", "Name"): "onvif.hostname",
    ("Scopes", "ScopeItem"): "onvif.scope",
}
# Without the element around them, these words still mean one thing.
_LONE: Final = {path[-1]: field for path, field in _LEAVES.items() if path[-1] != "Name"}


def service_ask(xaddr: str, ip: str) -> Ask | None:
    """The first question for the service that a WS-Discovery answer from `ip` announced.

    Only port and path of `xaddr` are used, because its host may be an address the device
    had before: the question always goes to the host that answered. None if it is no URL.
    """
    url = http_wire.split_url(xaddr)
    if url is None:
        return None
    transport, _, port, path = url
    return _ask(_FIRST, path, http_wire.authority(ip, port, transport), port, transport)


def _mine(payload: bytes) -> bool:
    if payload.startswith(b"HTTP/"):
        return b"Envelope" in payload and _ANSWER.search(payload) is not None
    return xml.looks_like(payload, b"Envelope") and _ANSWER.search(payload) is not None


def _hello(target: Target) -> tuple[Ask, ...]:
    host = http_wire.authority(target.ip, target.port, target.transport)
    return (_ask(_FIRST, _PATH, host),)


def _follow(ask: Ask, reply: bytes) -> tuple[Ask, ...]:
    found = _ASKED.search(ask.payload)
    response = http_wire.split_response(reply)
    if not found or response is None or not _speaks_onvif(response.body):
        return ()
    head = http_wire.split_head(ask.payload)
    path = head.start.split(" ")[1]
    if found.group(1) == _FIRST.encode():
        names: tuple[str, ...] = _THEN
    elif found.group(1) == b"GetServices" and not _ANSWER.search(response.body):
        # Older devices know the predecessor of GetServices only.
        names = ("GetCapabilities",)
    else:
        names = ()
    return tuple(_ask(name, path, head.first("host"), ask.port, ask.transport) for name in names)


def _ask(name: str, path: str, host: str, port: int | None = None, transport: Transport | None = None) -> Ask:
    body = soap.envelope(f'<{name} xmlns="{soap.DEVICE}">{_ARGUMENTS.get(name, "")}</{name}>')
    kind = f'application/soap+xml; charset=utf-8; action="{soap.DEVICE}/{name}"'
    request = http_wire.build_request("POST", path, host, [("Content-Type", kind)], body)
    return Ask(request, f"ONVIF {name}", http_wire.whole_response, port, transport)


def _dissect(payload: bytes, asked: bytes) -> Iterator[Fact]:
    """Facts of an answer with its HTTP head, of a bare envelope, or of part of one."""
    response = http_wire.split_response(payload)
    body = response.body if response else payload
    refused = response is not None and (response.status == 401 or xml.looks_like(body, b"Envelope"))
    if not (
        _speaks_onvif(body)
        or (response is None and _is_fragment(body))
        or (refused and asked.startswith(b"POST ") and soap.DEVICE.encode() in asked)
    ):
        return
    if response is not None:
        yield from (Fact("http.server", server) for server in response.head.values("server"))
        challenges = response.head.values("www-authenticate")
        yield from (Fact("http.www-authenticate", challenge) for challenge in challenges)
        if not xml.looks_like(body, b"Envelope"):
            return
    document = xml.read(body)
    yield from soap.common_facts(document)
    for leaf in document.leaves:
        field = "onvif.xaddr" if leaf.name == "XAddr" else _LEAVES.get(leaf.path[-2:])
        if field is None and len(leaf.path) == 1:
            field = _LONE.get(leaf.name)
        if field is not None:
            yield Fact(field, leaf.text)
    try:
        document.finish()
    except Malformed as error:
        offset = response.head.end if response else 0
        raise Malformed(error.what, (offset or 0) + error.offset) from None


def _speaks_onvif(body: bytes) -> bool:
    return xml.looks_like(body, b"Envelope") and (_ANSWER.search(body) is not None or _is_onvif_fault(body))


def _is_onvif_fault(body: bytes) -> bool:
    return b"Fault>" in body and b"www.onvif.org/" in body


def _is_fragment(body: bytes) -> bool:
    return any(word in body for word in _OWN_WORDS) and not xml.looks_like(body, b"Envelope", b"root")


ONVIF: Final = Probe(
    name="onvif",
    transport="tcp",
    ports=(80, 8000, 8080, 8899, 2020, 8999, 10080),
    fields=(
        "http.server",
        "http.www-authenticate",
        "onvif.fault",
        "onvif.namespace",
        "onvif.xaddr",
        *_LEAVES.values(),
    ),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    follow=_follow,
    order=4,
    source="ONVIF Core and Device Management; recorded device information",
    says="ONVIF manufacturer, model, firmware, serial, scopes, or how it refuses",
    fresh=NONCE,
)

"""The UPnP device description: an XML file that SSDP points to.

Elements after UPnP Device Architecture 1.1 section 2.3. Only the root device is read:
embedded devices are services of the same box under generic names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from agent import http_wire, xml
from agent.wire import Ask, Malformed, Probe
from fingerprints.model import Fact

__all__ = ["UPNP", "description_ask"]

_FIELDS: Final = {
    "UDN": "upnp.udn",
    "deviceType": "upnp.device-type",
    "friendlyName": "upnp.friendly-name",
    "manufacturer": "upnp.manufacturer",
    "manufacturerURL": "upnp.manufacturer-url",
    "modelDescription": "upnp.model-description",
    "modelName": "upnp.model",
    "modelNumber": "upnp.model-number",
    "modelURL": "upnp.model-url",
    "presentationURL": "upnp.presentation-url",
    "serialNumber": "upnp.serial",
}
_MARK: Final = b"urn:schemas-upnp-org:device"
_OWN_WORDS: Final = (b"<friendlyName>", b"<modelName>", b"<manufacturerURL>", b"<UDN>")


def description_ask(location: str, ip: str) -> Ask | None:
    """How to read the description at an SSDP LOCATION that came from `ip`.

    None unless the location is an http or https URL on that very address: a device does
    not get to send us elsewhere. Names are not resolved.
    """
    url = http_wire.split_url(location)
    if url is None:
        return None
    transport, host, port, path = url
    try:
        same = ipaddress.ip_address(host) == ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return None
    if not same:
        return None
    request = http_wire.build_request("GET", path, http_wire.authority(ip, port, transport))
    return Ask(request, f"GET {path}", http_wire.whole_response, port, transport)


def _mine(payload: bytes) -> bool:
    if payload.startswith(b"HTTP/1."):
        return _MARK in payload and b"<root" in payload
    return _MARK in payload and xml.looks_like(payload, b"root")


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """Facts of a description with its HTTP head, bare, or part of one."""
    response = http_wire.split_response(payload)
    body = response.body if response else payload
    whole_kind = _MARK in body and xml.looks_like(body, b"root")
    if not whole_kind and (response is not None or not any(word in body for word in _OWN_WORDS)):
        return
    if response is not None:
        yield from (Fact("http.server", server) for server in response.head.values("server"))
    document = xml.read(body)
    for leaf in document.leaves:
        field = _FIELDS.get(leaf.name)
        if field is not None and "deviceList" not in leaf.path and leaf.path[:-1][-1:] in ((), ("device",)):
            yield Fact(field, leaf.text)
    try:
        document.finish()
    except Malformed as error:
        offset = response.head.end if response else 0
        raise Malformed(error.what, (offset or 0) + error.offset) from None


UPNP: Final = Probe(
    name="upnp",
    transport="tcp",
    ports=(),
    fields=("http.server", *_FIELDS.values()),
    mine=_mine,
    dissect=_dissect,
    order=6,
    source="UPnP Device Architecture 1.1 section 2.3",
    says="UPnP manufacturer, model, serial and friendly name",
)

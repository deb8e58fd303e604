"""Says where an answer leads: ports that it names, questions that it gives rise to.

A discovery answer names the port of a device's web pages or of its ONVIF service. Only ports
are taken from it, never hosts: whatever it names is asked at the host that answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.http_wire import split_url
from agent.probes import probe_named
from agent.probes.onvif import ONVIF, service_ask
from agent.probes.upnp import UPNP, description_ask
from agent.wire import Ask, Malformed, Message, Probe
from fingerprints.model import Fact

__all__ = ["leads", "ports_named"]

# Web ports only: the makers' own binary ports are not spoken to.
_PORT_FIELDS: Final = frozenset({"sadp.http-port", "dhip.http-port", "dhip.https-port"})
_URL_FIELDS: Final = frozenset({"onvif.xaddr", "ssdp.location"})
_DISCOVERY: Final = frozenset({"sadp", "dhip", "ws-discovery", "ssdp", "onvif"})


def ports_named(message: Message) -> Iterator[int]:
    """The TCP ports that a discovery answer names for its sender."""
    for fact in _facts(message):
        if (
            fact.field in _PORT_FIELDS
            and fact.text.isascii()
            and fact.text.isdecimal()
            and len(fact.text) < 6
        ):
            yield int(fact.text)
        elif fact.field in _URL_FIELDS:
            url = split_url(fact.text)
            if url is not None:
                yield url[2]


def leads(message: Message) -> Iterator[tuple[Probe, Ask]]:
    """Questions for the host that sent `message`: its UPnP description, its ONVIF service."""
    ip = message.sender.ip
    if ip is None:
        return
    for fact in _facts(message):
        if fact.field == "ssdp.location":
            ask = description_ask(fact.text, ip)
            if ask is not None:
                yield UPNP, ask
        elif fact.field == "onvif.xaddr" and message.protocol == "ws-discovery":
            ask = service_ask(fact.text, ip)
            if ask is not None:
                yield ONVIF, ask


def _facts(message: Message) -> Iterator[Fact]:
    if message.protocol not in _DISCOVERY:
        return
    probe = probe_named(message.protocol)
    if probe is None:
        return
    try:
        yield from probe.dissect(message.payload, message.asked)
    except Malformed:
        # What was certain has been given; the census tells of the rest.
        return

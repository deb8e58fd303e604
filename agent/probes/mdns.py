"""Multicast DNS: the services and names a device announces (RFC 6762, RFC 6763)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from agent import dns_wire
from agent.wire import Ask, Malformed, Probe, Target
from fingerprints.model import Fact

__all__ = ["MDNS", "SERVICES"]

SERVICES: Final = (
    "_services._dns-sd._udp",
    "_onvif._tcp",
    "_rtsp._tcp",
    "_http._tcp",
    "_psia._tcp",
    "_CGI._tcp",
    "_axis-video._tcp",
    "_axis-nvr._tcp",
    "_arec._tcp",
    "_googlecast._tcp",
    "_hap._tcp",
    "_dhnap._tcp",
    "_dcp._tcp",
)
"""Service types that cameras and their tempting neighbours announce (field recordings)."""

_MULTICAST: Final = ("224.0.0.251", "ff02::fb")
_MAX_TXT: Final = 64
# Some responders announce the loopback interface as well; every host has these.
_EVERYBODYS: Final = frozenset({"127.0.0.1", "::1"})


def _mine(payload: bytes) -> bool:
    """An answer that speaks of ``.local``: a name server's answers are about the whole world."""
    message = dns_wire.read(payload)
    return (
        message is not None
        and message.is_answer
        and message.opcode == 0
        and sum(message.counts[1:]) > 0
        and b"\x05local\0" in payload.lower()
    )


def _hello(target: Target) -> tuple[Ask, ...]:
    """All service types in one question; a single host is asked to answer by unicast."""
    from zeroconf import DNSOutgoing, DNSQuestion  # type: ignore[attr-defined]  # noqa: PLC0415 - heavy, and only a scan asks

    alone = target.ip not in _MULTICAST
    # Written as multicast even to one host: only so does zeroconf keep the unicast-response bit.
    message = DNSOutgoing(0, multicast=True)
    for service in SERVICES:
        question = DNSQuestion(f"{service}.local.", dns_wire.PTR, 1)
        question.unicast = alone
        message.add_question(question)
    return tuple(Ask(packet, "mDNS services") for packet in message.packets())


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    message = dns_wire.read(payload)
    if message is None or not _mine(payload):
        return
    seen: set[Fact] = set()
    for record in message.records():
        for fact in _facts(payload, record):
            if fact not in seen:
                seen.add(fact)
                yield fact


def _facts(payload: bytes, record: dns_wire.Record) -> Iterator[Fact]:
    if record.kind == dns_wire.PTR:
        yield from _pointer(payload, record)
    elif record.kind == dns_wire.TXT:
        for text in _strings(record):
            yield from _text("mdns.txt", text)
    elif record.kind == dns_wire.SRV and len(record.data) > 6:
        yield from _service(payload, record)
    elif (
        record.kind in {dns_wire.A, dns_wire.AAAA} and len(record.data) in {4, 16} and _is_local(record.name)
    ):
        yield from _text("mdns.hostname", ".".join(record.name[:-1]))
        address = ipaddress.ip_address(record.data)
        if str(address) not in _EVERYBODYS and not address.is_unspecified and not address.is_multicast:
            yield Fact("ip.address", str(address))


def _pointer(payload: bytes, record: dns_wire.Record) -> Iterator[Fact]:
    """A service type with one of its instances, or one entry of the list of types."""
    name = record.name
    found = dns_wire.read_name(payload, record.offset)
    if found is None or not _is_service(name):
        return
    target = found[0]
    if name[:2] == ("_services", "_dns-sd"):
        if _is_service(target):
            yield Fact("mdns.service", ".".join(target[:2]))
        return
    yield Fact("mdns.service", ".".join(name[:2]))
    # A recorded camera names instances of one service type under another.
    if len(target) > 3 and _is_service(target[-3:]):
        yield from _text("mdns.instance", ".".join(target[:-3]))


def _service(payload: bytes, record: dns_wire.Record) -> Iterator[Fact]:
    """The instance that a SRV record belongs to, with the host it names."""
    name = record.name
    if len(name) > 3 and _is_service(name[-3:]):
        yield Fact("mdns.service", ".".join(name[-3:-1]))
        yield from _text("mdns.instance", ".".join(name[:-3]))
    found = dns_wire.read_name(payload, record.offset + 6)
    if found is not None and _is_local(found[0]):
        yield from _text("mdns.hostname", ".".join(found[0][:-1]))


def _is_local(name: tuple[str, ...]) -> bool:
    """Whether labels name a host of this link; a service type is none."""
    return len(name) > 1 and name[-1].lower() == "local" and not name[0].startswith("_")


def _is_service(name: tuple[str, ...]) -> bool:
    """Whether labels are ``_x._tcp.local`` (or the list of all such)."""
    return (
        (len(name) == 3 or name[:2] == ("_services", "_dns-sd"))
        and name[0].startswith("_")
        and (name[1] in {"_tcp", "_udp", "_dns-sd"})
    )


def _strings(record: dns_wire.Record) -> Iterator[str]:
    """The strings of a TXT record (RFC 6763 section 6.1)."""
    at = 0
    for _ in range(_MAX_TXT):
        if at >= len(record.data):
            return
        end = at + 1 + record.data[at]
        if end > len(record.data):
            raise Malformed("a TXT string longer than its record", record.offset + at)
        yield record.data[at + 1 : end].decode("utf-8", "replace")
        at = end


def _text(field: str, text: str) -> Iterator[Fact]:
    text = text.replace("\0", "").strip()
    if text:
        yield Fact(field, text)


MDNS: Final = Probe(
    name="mdns",
    transport="udp",
    ports=(5353,),
    fields=("mdns.service", "mdns.instance", "mdns.txt", "mdns.hostname", "ip.address"),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=_MULTICAST,
    order=1,
    aliases=("axis", "arecont", "googlecast"),
    source="RFC 6762, RFC 6763; recorded announcements",
    says="services, instance names, TXT strings and host names",
)

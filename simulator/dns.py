"""Answers multicast DNS questions about a device's services (RFC 6762, RFC 6763)."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import Final

from simulator.device import Mdns, Place

__all__ = ["PORT", "announcement", "answer", "wants_unicast"]

PORT: Final = 5353
_A, _PTR, _TXT, _AAAA, _SRV, _ANY = 1, 12, 16, 28, 33, 255
_CACHE_FLUSH: Final = 0x8000
_MAX_QUESTIONS: Final = 32
_ALL_SERVICES: Final = ("_services", "_dns-sd", "_udp", "local")

Name = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Question:
    name: Name
    kind: int
    unicast: bool


@dataclass(frozen=True, slots=True)
class _Record:
    name: Name
    kind: int
    data: bytes
    shared: bool = False

    def encode(self, *, flush: bool) -> bytes:
        where = 1 | _CACHE_FLUSH if flush and not self.shared else 1
        return _name(self.name) + struct.pack(">HHIH", self.kind, where, 120, len(self.data)) + self.data


def answer(device: Mdns, place: Place, asked: bytes, *, legacy: bool = False) -> bytes | None:
    """The response to a query, or None if it asks for nothing that this device has.

    `legacy` is a question from another port than 5353: its answer repeats id and question.
    """
    questions = _questions(asked)
    records = _records(device, place)
    found = [
        record
        for record in records
        if any(q.name == _lower(record.name) and q.kind in {record.kind, _ANY} for q in questions)
    ]
    if not found:
        return None
    more = [record for record in records if record not in found and record.kind != _PTR]
    if not legacy:
        return _message(0, b"", found, more)
    repeated = b"".join(_name(q.name) + struct.pack(">HH", q.kind, 1) for q in questions)
    return _message(struct.unpack_from(">H", asked)[0], repeated, found, more, len(questions))


def announcement(device: Mdns, place: Place) -> bytes:
    """The unasked response by which the device makes its services known."""
    return _message(0, b"", _records(device, place), [])


def wants_unicast(asked: bytes) -> bool:
    """Whether every question asks for a unicast answer (the QU bit)."""
    questions = _questions(asked)
    return bool(questions) and all(question.unicast for question in questions)


def _records(device: Mdns, place: Place) -> list[_Record]:
    host = (place.fill(device.host), "local")
    records = []
    for service in device.service:
        kind = (*service.type.split("."), "local")
        instance = (place.fill(service.instance), *kind)
        target = struct.pack(">HHH", 0, 0, place.port(service.port)) + _name(host)
        texts = [place.fill(text).encode()[:255] for text in service.txt] or [b""]
        records += [
            _Record(kind, _PTR, _name(instance), shared=True),
            _Record(_ALL_SERVICES, _PTR, _name(kind), shared=True),
            _Record(instance, _SRV, target),
            _Record(instance, _TXT, b"".join(bytes((len(text),)) + text for text in texts)),
        ]
    records.append(_Record(host, _A, ipaddress.IPv4Address(place.ip).packed))
    records.append(_Record(host, _AAAA, ipaddress.IPv6Address(place.ip6).packed))
    return list(dict.fromkeys(records))


def _message(
    ident: int, questions: bytes, answers: list[_Record], additional: list[_Record], asked: int = 0
) -> bytes:
    head = struct.pack(">HHHHHH", ident, 0x8400, asked, len(answers), 0, len(additional))
    # A legacy unicast answer never flushes caches (RFC 6762, section 6.7).
    flush = not questions
    return head + questions + b"".join(record.encode(flush=flush) for record in (*answers, *additional))


def _name(labels: Name) -> bytes:
    parts = [label.encode()[:63] for label in labels]
    return b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


def _lower(name: Name) -> Name:
    return tuple(label.lower() for label in name)


def _questions(data: bytes) -> list[_Question]:
    if len(data) < 12 or data[2] & 0x80:
        return []
    questions: list[_Question] = []
    offset = 12
    for _ in range(min(struct.unpack_from(">H", data, 4)[0], _MAX_QUESTIONS)):
        read = _read_name(data, offset)
        if read is None or read[1] + 4 > len(data):
            break
        name, offset = read
        kind, where = struct.unpack_from(">HH", data, offset)
        offset += 4
        questions.append(_Question(_lower(name), kind, bool(where & _CACHE_FLUSH)))
    return questions


def _read_name(data: bytes, offset: int) -> tuple[Name, int] | None:
    labels: list[str] = []
    end = 0
    for _ in range(128):
        if offset >= len(data):
            return None
        size = data[offset]
        if size == 0:
            return tuple(labels), end or offset + 1
        if size & 0xC0 == 0xC0:
            if offset + 2 > len(data):
                return None
            end = end or offset + 2
            offset = struct.unpack_from(">H", data, offset)[0] & 0x3FFF
            continue
        labels.append(data[offset + 1 : offset + 1 + size].decode("utf-8", "replace"))
        offset += 1 + size
    return None

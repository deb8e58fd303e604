"""Tests of NetBIOS names."""

from __future__ import annotations

import pytest

from agent.probes.nbns import NBNS
from tests.frames import datagrams
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways


def registration(name: str, kind: int = 0, flags: int = 0, opcode: int = 0x29) -> bytes:
    """A registration, laid out as RFC 1002 section 4.2.2 has it."""
    raw = name.ljust(15).encode() + bytes([kind])
    coded = bytes(0x41 + half for byte in raw for half in (byte >> 4, byte & 15))
    question = b"\x20" + coded + b"\0\0\x20\0\1"
    record = b"\xc0\x0c\0\x20\0\1\0\0\0\0\0\6" + bytes([flags, 0]) + b"\xc0\0\2\7"
    return b"\0\1" + bytes([opcode, 0x10]) + b"\0\1\0\0\0\0\0\1" + question + record


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in NBNS.dissect(payload, b"")]


def test_a_registration_names_its_host() -> None:
    """A host's own name is a fact; a group's, a service's and a name asked for are not."""
    assert facts(registration("CAMERA")) == [("nbns.name", "CAMERA")]
    assert facts(registration("WORKGROUP", flags=0x80)) == []
    assert facts(registration("CAMERA", kind=0x1D)) == []
    assert facts(registration("CAMERA", opcode=1)) == []


def test_hostile_bytes() -> None:
    """Three ways hold and no bytes raise anything but Malformed."""
    three_ways(NBNS, registration("CAMERA"))
    only_malformed(NBNS, registration("CAMERA"))


@needs_shared
@pytest.mark.parametrize("file", ["neg-nbns-office.pcap", "neg-office-windows-aug19.pcap"])
def test_recorded_questions_and_answers_name_nobody(file: str) -> None:
    """Recorded hosts ask and answer, none registers: no name is taken from a question about another."""
    payloads = list(datagrams(SHARED / "pcaps" / file, 137))
    assert payloads
    assert [fact for payload in payloads for fact in facts(payload)] == []

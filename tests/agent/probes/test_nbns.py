"""Tests of NetBIOS names."""

from __future__ import annotations

import pytest

from agent.probes.nbns import NBNS
from agent.wire import Malformed
from tests.frames import datagrams
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways


def registration(name: str, kind: int = 0, flags: int = 0, opcode: int = 0x29) -> bytes:
    """A registration, laid out as RFC 1002 section 4.2.2 has it."""
    question = coded(name, kind) + b"\0\x20\0\1"
    record = b"\xc0\x0c\0\x20\0\1\0\0\0\0\0\6" + bytes([flags, 0]) + b"\xc0\0\2\7"
    return b"\0\1" + bytes([opcode, 0x10]) + b"\0\1\0\0\0\0\0\1" + question + record


def coded(name: str, kind: int) -> bytes:
    """A name in half bytes, as a label of its own."""
    raw = name.ljust(15).encode() + bytes([kind])
    return b"\x20" + bytes(0x41 + half for byte in raw for half in (byte >> 4, byte & 15)) + b"\0"


def answer(name: str, kind: int = 0, flags: int = 0, header: int = 0x8500) -> bytes:
    """An answer to a question for a name (RFC 1002 section 4.2.13)."""
    data = bytes([flags, 0, 192, 0, 2, 7])
    record = coded(name, kind) + b"\0\x20\0\1\0\4\x93\xe0" + len(data).to_bytes(2) + data
    return b"\0\1" + header.to_bytes(2) + b"\0\0\0\1\0\0\0\0" + record


def status(*names: tuple[str, int, int], mac: bytes = bytes(6), cut: int = 0) -> bytes:
    """A status answer (section 4.2.18): names with number and flags, then statistics."""
    listed = b"".join(name.ljust(15).encode() + bytes([kind, flags, 0]) for name, kind, flags in names)
    data = bytes([len(names)]) + listed + mac + bytes(40)
    data = data[: len(data) - cut]
    record = b"\x20" + b"CK" + b"A" * 30 + b"\0" + b"\0\x21\0\1" + bytes(4) + len(data).to_bytes(2) + data
    return b"\0\1\x84\0\0\0\0\1\0\0\0\0" + record


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in NBNS.dissect(payload, b"")]


def test_a_registration_names_its_host() -> None:
    """A host's own name is a fact; a group's, a service's and a name asked for are not."""
    assert facts(registration("CAMERA")) == [("nbns.name", "CAMERA")]
    assert facts(registration("WORKGROUP", flags=0x80)) == []
    assert facts(registration("CAMERA", kind=0x1D)) == []
    assert facts(registration("CAMERA", opcode=1)) == []


def test_an_answer_names_its_host() -> None:
    """Who answers for a name has it; a group's member, a refusal and a name server do not tell their own."""
    assert facts(answer("NVR")) == [("nbns.name", "NVR")]
    assert facts(answer("NVR", kind=0x20)) == [("nbns.name", "NVR")]
    assert facts(answer("WORKGROUP", flags=0x80)) == []
    assert facts(answer("DOMAIN", kind=0x1C)) == []
    assert facts(answer("NVR", header=0x8503)) == []
    assert facts(answer("NVR", header=0x8580)) == []


def test_a_status_lists_names_with_the_mac() -> None:
    """Own names are facts, each with its number; the group's is not; Samba gives no MAC."""
    names = (("NVR", 0, 4), ("WORKGROUP", 0, 0x84), ("NVR", 0x20, 4), ("\1\2__MSBROWSE__\2", 1, 0x84))
    own = [("nbns.name", "NVR"), ("nbns.name", "NVR")]
    assert facts(status(*names, mac=bytes.fromhex("001241000001"))) == [
        *own,
        ("nbns.mac", "00:12:41:00:00:01"),
    ]
    assert facts(status(*names)) == own


def test_a_status_shorter_than_its_names_is_malformed() -> None:
    """A number of names that the record does not hold raises Malformed there."""
    with pytest.raises(Malformed) as caught:
        facts(status(("NVR", 0, 4), cut=50))
    assert caught.value.offset == 56


def test_hostile_bytes() -> None:
    """Three ways hold and no bytes raise anything but Malformed."""
    said = (registration("CAMERA"), answer("NVR"), status(("NVR", 0, 4), mac=bytes.fromhex("001241000001")))
    for payload in said:
        three_ways(NBNS, payload)
    only_malformed(NBNS, *said)


@needs_shared
@pytest.mark.parametrize(
    ("file", "said"),
    [
        (
            "neg-nbns-office.pcap",
            {("nbns.name", "GUNNAR"), ("nbns.name", "GURU"), ("nbns.mac", "00:1c:c4:10:79:0f")},
        ),
        (
            "neg-office-windows-normal-share-traversal.pcap",
            {
                ("nbns.name", "CHIP_DOUGLAS-PC"),
                ("nbns.mac", "08:00:27:2a:ba:35"),
                ("nbns.name", "SNICKLEFRITZ"),
                ("nbns.mac", "08:00:27:f0:68:53"),
            },
        ),
    ],
)
def test_recorded_hosts_answer_to_their_names(file: str, said: set[tuple[str, str]]) -> None:
    """Answers and status of recorded hosts give their own names; questions about others none."""
    payloads = list(datagrams(SHARED / "pcaps" / file, 137))
    assert {fact for payload in payloads for fact in facts(payload)} == said

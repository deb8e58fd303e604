"""Tests of link-local names."""

from __future__ import annotations

import pytest

from agent.probes.llmnr import LLMNR
from agent.wire import Malformed
from tests.frames import datagrams
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways


def message(name: str, kind: int, flags: int = 0, address: bytes = b"", owner: bytes = b"\xc0\x0c") -> bytes:
    """A question for a name; with an address, the answer to it."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\0" + kind.to_bytes(2) + b"\0\1"
    answer = owner + kind.to_bytes(2) + b"\0\1\0\0\0\x1e" + len(address).to_bytes(2) + address
    head = b"\x12\x34" + flags.to_bytes(2) + b"\0\1" + bool(address).to_bytes(2) + bytes(4)
    return head + question + (answer if address else b"")


CLAIM = message("Lobby-PC", 255)
ANSWER = message("NVR", 1, 0x8000, bytes([192, 0, 2, 7]))


def facts(payload: bytes) -> list[tuple[str, str, str]]:
    return [(fact.field, fact.text, fact.about) for fact in LLMNR.dissect(payload, b"")]


@pytest.mark.parametrize(
    ("payload", "name"),
    [(CLAIM, "Lobby-PC"), (ANSWER, "NVR"), (message("NVR", 28, 0x8000, bytes(16)), "NVR")],
    ids=["claim", "answer", "answer over IPv6"],
)
def test_whoever_claims_or_answers_a_name_has_it(payload: bytes, name: str) -> None:
    """The name is the speaker's own."""
    assert LLMNR.mine(payload)
    assert facts(payload) == [("llmnr.name", name, "speaker")]
    three_ways(LLMNR, payload)


@pytest.mark.parametrize(
    "payload",
    [
        message("NVR", 1),
        message("NVR", 28),
        message("NVR", 1, 0x8003),
        message("NVR", 1, 0x8400, bytes(4)),
        message("NVR", 12, 0x8000, b"\xc0\x0c"),
        message("NVR", 1, 0x8000, bytes(4), b"\3DVR\0"),
        message("nvr.example", 255),
        b"",
    ],
    ids=["asked", "asked over IPv6", "refused", "conflict", "reverse", "another's", "of the world", "empty"],
)
def test_a_name_that_is_not_the_speakers_says_nothing(payload: bytes) -> None:
    """A question about another host, a refusal and a name that two claim name nobody."""
    assert facts(payload) == []


def test_a_loop_is_malformed() -> None:
    """An answer's name that points at itself raises Malformed at its offset."""
    payload = message("NVR", 1, 0x8000, bytes(4), b"\xc0\x15")
    with pytest.raises(Malformed) as caught:
        facts(payload)
    assert caught.value.offset == 21


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(LLMNR, CLAIM, ANSWER)


@needs_shared
def test_a_recorded_computer_claims_its_name() -> None:
    """Each recorded claim gives the computer's name."""
    payloads = list(datagrams(SHARED / "pcaps" / "pos-yi-camera-setup-lan.pcap", 5355))
    assert payloads
    assert {fact for payload in payloads for fact in facts(payload)} == {
        ("llmnr.name", "Daniel-Laptop", "speaker")
    }

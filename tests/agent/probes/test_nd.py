"""Tests of IPv6 neighbour discovery."""

from __future__ import annotations

import pytest

from agent.probes.nd import ND
from agent.wire import Malformed
from tests.probe_cases import only_malformed, three_ways

MAC = "28:57:be:00:00:01"
RAW = bytes.fromhex(MAC.replace(":", ""))
ADDRESS = bytes.fromhex("fe80" + "00" * 13 + "07")
ADVERTISEMENT = b"\x88\0\0\0\x60\0\0\0" + ADDRESS + b"\2\1" + RAW


def facts(payload: bytes) -> list[tuple[str, str, str]]:
    return [(fact.field, fact.text, fact.about) for fact in ND.dissect(payload, b"")]


def test_an_advertisement_pairs_mac_and_address() -> None:
    """The target of an advertisement is the address of the MAC in it."""
    assert facts(ADVERTISEMENT) == [("mac", MAC, MAC), ("ip.address", "fe80::7", MAC)]
    three_ways(ND, ADVERTISEMENT)
    only_malformed(ND, ADVERTISEMENT)


@pytest.mark.parametrize(("kind", "size"), [(133, 8), (134, 16), (135, 24)])
def test_others_name_their_senders_mac(kind: int, size: int) -> None:
    """A solicitation is about somebody else's address: only the sender's MAC is a fact."""
    payload = bytes([kind]) + bytes(size - 1) + b"\1\1" + RAW
    assert facts(payload) == [("mac", MAC, MAC)]
    three_ways(ND, payload)


def test_what_names_nobody_says_nothing() -> None:
    """No option, a group's MAC, the wrong option or another message give no fact; no length is malformed."""
    for payload in (
        ADVERTISEMENT[:24],
        ADVERTISEMENT[:26] + b"\xff" * 6,
        ADVERTISEMENT[:24] + b"\1\1" + RAW,
        b"\x80" + ADVERTISEMENT[1:],
    ):
        assert facts(payload) == []
    with pytest.raises(Malformed):
        facts(ADVERTISEMENT[:24] + b"\2\0" + RAW)

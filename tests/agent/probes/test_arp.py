"""Tests of ARP."""

from __future__ import annotations

import pytest

from agent.probes.arp import ARP
from tests.probe_cases import only_malformed, three_ways

MAC = "28:57:be:00:00:01"


def packet(operation: int, sender: str, target: str, mac: str = MAC) -> bytes:
    """An ARP packet as it stands after the Ethernet header."""
    return (
        bytes.fromhex("0001 0800 0604")
        + operation.to_bytes(2)
        + bytes.fromhex(mac.replace(":", ""))
        + bytes(int(part) for part in sender.split("."))
        + bytes(6)
        + bytes(int(part) for part in target.split("."))
    )


def facts(payload: bytes) -> list[tuple[str, str, str]]:
    return [(fact.field, fact.text, fact.about) for fact in ARP.dissect(payload, b"")]


@pytest.mark.parametrize(
    "payload",
    [
        packet(1, "192.0.2.7", "192.0.2.1"),
        packet(2, "192.0.2.7", "192.0.2.1"),
        packet(1, "192.0.2.7", "192.0.2.7"),
        packet(2, "192.0.2.7", "192.0.2.7") + bytes(18),
    ],
    ids=["request", "reply", "announcement", "gratuitous, padded"],
)
def test_every_kind_names_its_sender(payload: bytes) -> None:
    """A question, an answer or an announcement all pair the sender's MAC with its address."""
    assert facts(payload) == [("mac", MAC, MAC), ("ip.address", "192.0.2.7", MAC)]
    three_ways(ARP, payload)


def test_a_probe_gives_no_address() -> None:
    """Whoever asks whether an address is free does not have it yet."""
    assert facts(packet(1, "0.0.0.0", "192.0.2.7")) == [("mac", MAC, MAC)]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        packet(1, "192.0.2.7", "192.0.2.1")[:27],
        packet(3, "192.0.2.7", "192.0.2.1"),
        packet(1, "192.0.2.7", "192.0.2.1", mac="00:00:00:00:00:00"),
        packet(1, "192.0.2.7", "192.0.2.1", mac="ff:ff:ff:ff:ff:ff"),
        b"\0\6" + packet(1, "192.0.2.7", "192.0.2.1")[2:],
    ],
    ids=["empty", "cut", "reverse ARP", "no sender", "broadcast sender", "token ring"],
)
def test_what_names_nobody_says_nothing(payload: bytes) -> None:
    """Cut packets, other operations and senders that cannot be one device give no fact."""
    assert facts(payload) == []


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(ARP, packet(2, "192.0.2.7", "192.0.2.1"))

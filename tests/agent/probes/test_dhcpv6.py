"""Tests of DHCPv6 clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.probes.dhcpv6 import DHCPV6
from agent.wire import Malformed
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways

MAC = bytes.fromhex("001241000001")


def option(code: int, value: bytes) -> bytes:
    return code.to_bytes(2) + len(value).to_bytes(2) + value


def relayed(message: bytes, *options: bytes) -> bytes:
    """A relay's envelope (RFC 8415 section 9) around a message."""
    return b"\x0c\0" + bytes(32) + b"".join(options) + option(9, message)


SOLICIT = b"\1abc" + b"".join(
    (
        option(1, b"\0\1\0\1\x2b\0\0\0" + MAC),
        option(6, b"\0\x17\0\x18"),
        option(16, (311).to_bytes(4) + b"\0\x08MSFT 5.0"),
        option(39, b"\0\x06camera\x07example\0"),
    )
)
SAID = [
    ("dhcpv6.duid", "000100012b000000001241000001"),
    ("dhcpv6.mac", "00:12:41:00:00:01"),
    ("dhcpv6.parameters", "23,24"),
    ("dhcpv6.enterprise", "311"),
    ("dhcpv6.vendor-class", "MSFT 5.0"),
    ("dhcpv6.hostname", "camera.example"),
]


def facts(payload: bytes) -> list[tuple[str, str, str]]:
    return [(fact.field, fact.text, fact.about) for fact in DHCPV6.dissect(payload, b"")]


def test_a_client_says_who_it_is() -> None:
    """Identifier with its MAC, what it asks for, vendor class and name are the speaker's."""
    assert DHCPV6.mine(SOLICIT)
    assert facts(SOLICIT) == [(*fact, "speaker") for fact in SAID]
    three_ways(DHCPV6, SOLICIT)


def test_a_relayed_client_is_told_by_its_mac() -> None:
    """Behind a relay that names the client's MAC the facts are the client's, not the relay's."""
    payload = relayed(SOLICIT, option(79, b"\0\1" + MAC))
    assert facts(payload) == [(*fact, "00:12:41:00:00:01") for fact in SAID]
    assert facts(relayed(payload)) == facts(payload)
    three_ways(DHCPV6, payload)


def test_a_relayed_client_without_mac_is_nobody() -> None:
    """What a relay passes on is no fact about the relay."""
    assert facts(relayed(SOLICIT)) == []


@pytest.mark.parametrize(
    ("identifier", "mac"),
    [
        (b"\0\3\0\1" + MAC, "00:12:41:00:00:01"),
        (b"\0\2\0\0\0\x09made up", None),
        (b"\0\4" + bytes(16), None),
        (b"\0\3\0\x20" + bytes(20), None),
        (b"\0\3\0\1" + b"\1" + MAC[1:], None),
    ],
    ids=["link layer", "enterprise", "UUID", "InfiniBand", "a group's"],
)
def test_only_identifiers_made_of_a_mac_give_one(identifier: bytes, mac: str | None) -> None:
    """Types 1 and 3 over Ethernet hold a MAC; others are kept as they are."""
    found = {field: text for field, text, _ in facts(b"\1abc" + option(1, identifier))}
    assert found["dhcpv6.duid"] == identifier.hex()
    assert found.get("dhcpv6.mac") == mac


@pytest.mark.parametrize(
    "payload",
    [b"", b"\1abc", b"\2" + SOLICIT[1:], b"\7" + SOLICIT[1:], b"\x0a" + SOLICIT[1:], relayed(b"\2abc")],
    ids=["empty", "no option", "advertise", "reply", "reconfigure", "relayed answer"],
)
def test_what_no_client_says_is_no_fact(payload: bytes) -> None:
    """Servers repeat the client's identifier: it is not theirs."""
    assert facts(payload) == []


@pytest.mark.parametrize(
    ("broken", "offset"),
    [
        (option(16, (311).to_bytes(4) + b"\0\x40MSFT"), 12),
        (option(39, b"\0\x80x"), 9),
        (b"\x40\0\0\0" * 129, 516),
    ],
    ids=["vendor class", "name", "options"],
)
def test_what_cannot_be_is_malformed(broken: bytes, offset: int) -> None:
    """An option that its own fields overrun raises Malformed there, after what was certain."""
    with pytest.raises(Malformed) as caught:
        facts(b"\1ab\0" + broken.replace(b"\x40\0\0\0", b"\0\x63\0\0"))
    assert caught.value.offset == offset


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(DHCPV6, SOLICIT, relayed(SOLICIT, option(79, b"\0\1" + MAC)))


def over_pppoe(capture: Path, port: int) -> list[bytes]:
    """Payloads of UDP datagrams of a port, over IPv6 in PPPoE sessions."""
    from scapy.utils import RawPcapReader  # noqa: PLC0415 - slow to load, and one test reads a capture

    with RawPcapReader(str(capture)) as frames:
        found = [data for data, _ in frames if data[12:14] == b"\x88\x64" and data[20:22] == b"\0\x57"]
    # Ethernet (14), PPPoE (6), PPP (2), IPv6 (40), UDP (8).
    udp = [data for data in found if data[28] == 17]
    return [data[70:] for data in udp if port.to_bytes(2) in {data[62:64], data[64:66]}]


@needs_shared
def test_a_recorded_client_gives_its_identifier() -> None:
    """A router's request gives identifier with MAC; the server's answers to it give nothing."""
    payloads = over_pppoe(SHARED / "pcaps" / "rob-zeek-pppoe.pcap", 546)
    assert len(payloads) == 4
    assert {fact for payload in payloads for fact in facts(payload)} == {
        ("dhcpv6.duid", "00030001cc050e880000", "speaker"),
        ("dhcpv6.mac", "cc:05:0e:88:00:00", "speaker"),
        ("dhcpv6.parameters", "25,23,24", "speaker"),
    }

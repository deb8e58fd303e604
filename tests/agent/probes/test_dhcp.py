"""Tests of DHCP client messages."""

from __future__ import annotations

import pytest

from agent.probes.dhcp import DHCP
from agent.wire import Malformed
from tests.frames import datagrams
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways

MAC = "28:57:be:00:00:01"
OPTIONS = (
    b"\x35\x01\x01"
    b"\x0c\x08camera-1"
    b"\x3c\x0cudhcp 1.19.4"
    b"\x37\x05\x01\x03\x06\x0c\x0f"
    b"\x3d\x07\x01\x28\x57\xbe\0\0\1"
    b"\x32\x04\xc0\0\2\7"
)


def message(
    options: bytes = OPTIONS + b"\xff",
    *,
    op: int = 1,
    client: bytes = bytes(4),
    relay: bytes = bytes(4),
    mac: str = MAC,
    server_name: bytes = b"",
    file: bytes = b"",
) -> bytes:
    """A DHCP message, laid out as RFC 2131 section 2 has it."""
    return (
        bytes([op, 1, 6, 1 if any(relay) else 0])
        + bytes(8)
        + client
        + bytes(8)
        + relay
        + bytes.fromhex(mac.replace(":", "")).ljust(16, b"\0")
        + server_name.ljust(64, b"\0")
        + file.ljust(128, b"\0")
        + b"\x63\x82\x53\x63"
        + options
    )


def facts(payload: bytes) -> list[tuple[str, str]]:
    found = list(DHCP.dissect(payload, b""))
    assert {fact.about for fact in found} <= {MAC}
    return [(fact.field, fact.text) for fact in found]


SAID = [
    ("mac", MAC),
    ("dhcp.hostname", "camera-1"),
    ("dhcp.vendor-class", "udhcp 1.19.4"),
    ("dhcp.parameters", "1,3,6,12,15"),
    ("dhcp.client-id", "012857be000001"),
    ("dhcp.requested-address", "192.0.2.7"),
]


def test_a_client_names_itself() -> None:
    """Every option that tells devices apart is a fact about the client's MAC."""
    assert DHCP.mine(message())
    assert facts(message()) == SAID


def test_three_ways() -> None:
    """Whole, cut at every byte and with a tail, a message never tells more than it says."""
    three_ways(DHCP, message())
    three_ways(
        DHCP, message(b"\x35\x01\x01\x34\x01\x03\xff", server_name=b"\x0c\x03cam\xff", file=b"\x3c\x02ab\xff")
    )


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(DHCP, message())


def test_a_relay_speaks_for_its_client() -> None:
    """A relayed message is about the client inside, with the address it already has."""
    relayed = message(b"\x35\x01\x03\xff", client=b"\xc0\0\2\7", relay=b"\xc0\0\2\xfe")
    assert facts(relayed) == [("mac", MAC), ("ip.address", "192.0.2.7")]


def test_options_overflow_into_the_old_fields() -> None:
    """Option 52 sends the reader to the file and server name fields."""
    payload = message(
        b"\x35\x01\x01\x34\x01\x03\xff", server_name=b"\x0c\x08camera-1\xff", file=b"\x3c\x04abcd\xff"
    )
    assert facts(payload) == [("mac", MAC), ("dhcp.vendor-class", "abcd"), ("dhcp.hostname", "camera-1")]
    assert facts(message(b"\x35\x01\x01\xff", server_name=b"\x0c\x03cam\xff")) == [("mac", MAC)]


def test_an_option_that_is_cut_is_left_out() -> None:
    """A text whose end did not come is not certain; what stands before it is."""
    assert facts(message(b"\x3c\x02ab\x0c\x40cam")) == [("mac", MAC), ("dhcp.vendor-class", "ab")]


@pytest.mark.parametrize("client", [b"\xff" * 4, b"\xe0\0\0\1", b"\x7f\0\0\1"])
def test_an_address_that_no_client_has_is_no_fact(client: bytes) -> None:
    """Broadcast, multicast and loopback addresses are nobody's."""
    assert facts(message(b"\xff", client=client)) == [("mac", MAC)]


@pytest.mark.parametrize(
    "payload",
    [
        message(op=2),
        message(mac="00:00:00:00:00:00"),
        message(mac="01:00:5e:00:00:01"),
        message().replace(b"\x63\x82\x53\x63", b"\x63\x82\x53\x64"),
        b"\1" * 300,
        b"",
    ],
    ids=["server", "no MAC", "group MAC", "no cookie", "not DHCP", "empty"],
)
def test_only_clients_are_heard(payload: bytes) -> None:
    """A server speaks about others; a message without its cookie or a client's MAC about nobody."""
    assert facts(payload) == []


def test_endless_options_are_malformed() -> None:
    """More options than any client sends stop the reading."""
    with pytest.raises(Malformed):
        facts(message(b"\x0d\x00" * 400))


@needs_shared
@pytest.mark.parametrize(
    ("file", "mac", "hostname", "vendor_class", "parameters"),
    [
        (
            "pos-dlink-dcs8000lh-dhcp-only.pcap",
            "b0:c5:54:43:54:83",
            "DCS-8000LH",
            "udhcp 1.22.1",
            "1,3,6,12,15,28,42",
        ),
        (
            "pos-edimax-ic3115w-cam1-setup-A-1.pcap",
            "74:da:38:80:7a:08",
            None,
            "udhcp 0.9.8",
            "1,3,6,12,15,28,42",
        ),
    ],
)
def test_recorded_cameras(
    file: str, mac: str, hostname: str | None, vendor_class: str, parameters: str
) -> None:
    """Recorded cameras say their host name, vendor class and parameters, and nobody else is heard."""
    heard = [
        (fact.field, fact.text)
        for payload in datagrams(SHARED / "pcaps" / file, 67, 68)
        for fact in DHCP.dissect(payload, b"")
    ]
    said = dict(heard)
    assert {text for field, text in heard if field == "mac"} == {mac}
    assert (said.get("dhcp.hostname"), said["dhcp.vendor-class"]) == (hostname, vendor_class)
    assert said["dhcp.parameters"] == parameters
    for payload in datagrams(SHARED / "pcaps" / file, 67, 68):
        three_ways(DHCP, payload)

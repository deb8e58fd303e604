"""Tests of multicast DNS."""

from __future__ import annotations

import ipaddress

import pytest

from agent import dns_wire
from agent.probes.mdns import MDNS, SERVICES
from agent.wire import Malformed, Target
from tests.frames import datagrams
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways


def name(*labels: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def record(owner: bytes, kind: int, data: bytes) -> bytes:
    """A resource record, its class with the cache-flush bit, for two minutes."""
    return owner + kind.to_bytes(2) + b"\x80\x01" + (120).to_bytes(4) + len(data).to_bytes(2) + data


def answer(*records: bytes, flags: int = 0x8400) -> bytes:
    """A response whose answer section holds `records`."""
    return b"\0\0" + flags.to_bytes(2) + b"\0\0" + len(records).to_bytes(2) + bytes(4) + b"".join(records)


SERVICE = name("_axis-video", "_tcp", "local")
INSTANCE = name("AXIS P3225 - ACCC8E000001", "_axis-video", "_tcp", "local")
HOST = name("axis-accc8e000001", "local")
ANNOUNCED = answer(
    record(SERVICE, dns_wire.PTR, INSTANCE),
    record(INSTANCE, dns_wire.SRV, bytes(4) + (80).to_bytes(2) + HOST),
    record(INSTANCE, dns_wire.TXT, b"\x17macaddress=ACCC8E000001\x00"),
    record(HOST, dns_wire.A, ipaddress.IPv4Address("192.0.2.7").packed),
    record(HOST, dns_wire.AAAA, ipaddress.IPv6Address("fe80::1").packed),
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in MDNS.dissect(payload, b"")]


def test_an_announcement_gives_service_instance_host_and_text() -> None:
    """What a device announces of itself is told once, whichever records repeat it."""
    assert MDNS.mine(ANNOUNCED)
    assert facts(ANNOUNCED) == [
        ("mdns.service", "_axis-video._tcp"),
        ("mdns.instance", "AXIS P3225 - ACCC8E000001"),
        ("mdns.hostname", "axis-accc8e000001"),
        ("mdns.txt", "macaddress=ACCC8E000001"),
        ("ip.address", "192.0.2.7"),
        ("ip.address", "fe80::1"),
    ]


def test_three_ways() -> None:
    """Whole, cut at every byte and with a tail, an announcement never tells more than it says."""
    three_ways(MDNS, ANNOUNCED)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(MDNS, ANNOUNCED)


def test_the_list_of_types_gives_services() -> None:
    """Service enumeration names the types, not an instance."""
    types = record(
        name("_services", "_dns-sd", "_udp", "local"), dns_wire.PTR, name("_onvif", "_tcp", "local")
    )
    assert facts(answer(types)) == [("mdns.service", "_onvif._tcp")]


@pytest.mark.parametrize(
    "payload",
    [
        answer(record(SERVICE, dns_wire.PTR, INSTANCE), flags=0),
        answer(record(SERVICE, dns_wire.PTR, INSTANCE), flags=0xA800),
        answer(record(name("example", "com"), dns_wire.A, b"\xc0\0\2\7")),
        answer(),
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["known answers of a question", "update", "name server", "no records", "empty", "HTTP"],
)
def test_questions_and_name_servers_say_nothing(payload: bytes) -> None:
    """Only answers about names of this link describe who sends them."""
    assert not MDNS.mine(payload)
    assert facts(payload) == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "224.0.0.251", "ff02::fb"])
def test_an_address_that_is_nobodys_is_no_fact(address: str) -> None:
    """Loopback, unset and group addresses would make one device of many."""
    packed = ipaddress.ip_address(address).packed
    said = answer(record(HOST, dns_wire.A if len(packed) == 4 else dns_wire.AAAA, packed))
    assert facts(said) == [("mdns.hostname", "axis-accc8e000001")]


def test_names_of_the_world_are_not_the_speakers() -> None:
    """In one answer with a local name, the address of another name is not the speaker's."""
    mixed = answer(
        record(HOST, dns_wire.A, b"\xc0\0\2\7"), record(name("example", "com"), dns_wire.A, b"\xc0\0\2\x08")
    )
    assert facts(mixed) == [("mdns.hostname", "axis-accc8e000001"), ("ip.address", "192.0.2.7")]


@pytest.mark.parametrize(
    "payload",
    [
        answer(record(b"\xc0\x0c", dns_wire.PTR, INSTANCE)),
        answer(record(b"\x80" + SERVICE, dns_wire.PTR, INSTANCE)),
        answer(record(INSTANCE, dns_wire.TXT, b"\x20short")),
        answer(
            record(
                b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + INSTANCE, 1, b""
            )
        ),
    ],
    ids=["a name inside itself", "an unknown label", "a text beyond its record", "a name without end"],
)
def test_what_breaks_the_format_is_malformed(payload: bytes) -> None:
    """Loops, unknown label types and lengths that cannot be raise Malformed, and no more."""
    with pytest.raises(Malformed):
        facts(payload + SERVICE + INSTANCE)


def test_one_question_asks_for_every_type() -> None:
    """A group is asked for all types in one packet; a single host is asked to answer by unicast."""
    assert MDNS.hello is not None
    for ip, unicast in (("224.0.0.251", False), ("ff02::fb", False), ("192.0.2.7", True)):
        (ask,) = MDNS.hello(Target(ip, 5353))
        message = dns_wire.read(ask.payload)
        assert message is not None
        asked = list(message.questions())
        assert [".".join(question.name) for question in asked] == [f"{service}.local" for service in SERVICES]
        assert {question.kind for question in asked} == {dns_wire.PTR}
        assert ask.payload.endswith(b"\x80\1" if unicast else b"\0\1")
        assert facts(ask.payload) == []


@needs_shared
@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            "axis",
            {("mdns.service", "_axis-video._tcp"), ("mdns.instance", "AXIS M5014 - ACCC8E3C0419 H.264")},
        ),
        ("arecont", {("mdns.service", "_arec._tcp"), ("mdns.hostname", "AV119B08")}),
        ("googlecast", {("mdns.service", "_googlecast._tcp"), ("mdns.txt", "md=Google Virtual")}),
    ],
)
def test_recorded_answers(reply: str, said: set[tuple[str, str]]) -> None:
    """Recorded answers give the service and the words that tell their makers."""
    payload = (SHARED / "replies" / f"{reply}.bin").read_bytes()
    assert said <= set(facts(payload))
    assert not [text for field, text in facts(payload) if field == "mdns.hostname" and text.startswith("_")]
    three_ways(MDNS, payload)


@needs_shared
def test_a_recorded_camera_joins_the_network() -> None:
    """A D-Link camera's own announcements name model, firmware, MAC and address, and break nowhere."""
    capture = SHARED / "pcaps" / "pos-dlink-dcs8000lh-mdns-only.pcap"
    found, broken = zip(*(facts_of(MDNS, payload) for payload in datagrams(capture, 5353)), strict=True)
    said = {(fact.field, fact.text) for facts in found for fact in facts}
    assert not any(broken)
    assert {
        ("mdns.service", "_dcp._tcp"),
        ("mdns.instance", "DCS-8000LH-5483"),
        ("mdns.hostname", "DCS-8000LH-B0C554435483"),
        ("mdns.txt", "model=DCS-8000LH"),
        ("mdns.txt", "fw_ver=2.01.03"),
        ("ip.address", "192.168.1.115"),
    } <= said

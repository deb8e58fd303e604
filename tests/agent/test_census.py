"""The census tells devices apart and believes packets before claims."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.census import Tally
from agent.wire import OPEN_PORT, SIGHTING, Malformed, Message, Probe
from fingerprints.judge import Judge
from fingerprints.matcher import Matchers
from fingerprints.model import Device, Fact, Report, Speaker
from fingerprints.oui import Registry
from tests.small_knowledge import small_knowledge


def read_lines(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """``field=text`` a line, ``>field=text`` about the listener; ``!`` is broken."""
    for line in payload.decode().splitlines():
        if line == "!":
            raise Malformed("broken", 3)
        field, _, text = line.lstrip(">").partition("=")
        yield Fact(field, text, "listener" if line.startswith(">") else "speaker")


def read_dhcp(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """``mac hostname``, said about that MAC."""
    mac, _, name = payload.decode().partition(" ")
    yield Fact("mac", mac, mac)
    yield Fact("dhcp.hostname", name, mac)


LINES = Probe("lines", "udp", (), (), lambda _: True, read_lines)
ARP = Probe("arp", "ethernet", (), (), lambda _: False, read_lines)
DHCP = Probe("dhcp", "udp", (), (), lambda _: False, read_dhcp)
HIK = "28:57:be:00:00:01"
ROUTER = "00:1b:21:00:00:09"


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """A judge over the small knowledge."""
    return Judge(Matchers(small_knowledge(tmp_path)), Registry.packaged())


@pytest.fixture
def tally(judge: Judge) -> Tally:
    """An empty census."""
    return Tally(judge, (), (LINES, ARP, DHCP))


def said(
    text: str,
    ip: str | None = "192.168.1.9",
    mac: str | None = HIK,
    *,
    protocol: str = "",
    to: str | None = None,
    at: float | None = None,
    port: int | None = None,
    vlan: tuple[int, ...] = (),
) -> Message:
    """A message with this text."""
    return Message(
        "ethernet" if protocol in {"arp", SIGHTING} else "udp",
        text.encode(),
        Speaker(ip, mac, port, vlan),
        Speaker(to, None, None, vlan),
        protocol=protocol,
        at=at,
        via="x.pcap",
    )


def one(report: Report) -> Device:
    """The only device."""
    (device,) = report.devices
    return device


def test_a_host_is_what_it_said(tally: Tally) -> None:
    """Facts of one host meet in one verdict, with the MAC of its frames."""
    tally.feed(said("http.server=acme-webs", at=5.0))
    tally.feed(said("onvif.scope=/name/Badge", at=3.0))
    tally.feed(said("", protocol=OPEN_PORT, port=554, at=9.0))
    device = one(tally.report())
    assert (device.verdict.manufacturer, device.verdict.brand, device.verdict.mac) == ("Acme", "Badge", HIK)
    assert (device.addresses, device.ports) == (("192.168.1.9",), (554,))
    assert (device.first_seen, device.last_seen) == (3.0, 9.0)
    assert device.id == HIK


def test_order_does_not_matter(judge: Judge) -> None:
    """The same messages in any order give the same devices."""
    messages = [
        said("http.server=acme-webs", at=1.0),
        said("mac=aa", ip=None, protocol=SIGHTING),
        said("ip.address=192.168.1.9", ip=None, protocol="arp"),
        said("http.server=other", ip="192.168.1.10", mac=ROUTER),
    ]
    reports = []
    for order in (messages, messages[::-1]):
        tally = Tally(judge, (), (LINES, ARP, DHCP))
        for message in order:
            tally.feed(message)
        reports.append([(device.id, device.addresses, device.verdict) for device in tally.report().devices])
    assert reports[0] == reports[1]


def test_a_router_says_nothing_of_those_behind_it(tally: Tally) -> None:
    """A MAC that carries many addresses lends them no maker; ARP says which one is its own."""
    for last in (1, 2, 3, 4):
        tally.feed(said("onvif.scope=x", ip=f"10.0.0.{last}"))
    tally.feed(said("ip.address=10.0.0.1", ip=None, protocol="arp"))
    report = tally.report()
    makers = {device.addresses: device.verdict.manufacturer for device in report.devices}
    assert makers == {("10.0.0.1",): "Acme", ("10.0.0.2",): None, ("10.0.0.3",): None, ("10.0.0.4",): None}
    assert report.coverage["without_mac"] == 3


def test_one_mac_many_addresses_without_proof_is_a_router(tally: Tally) -> None:
    """Without ARP a MAC that carries three private addresses owns none of them."""
    for last in (1, 2, 3):
        tally.feed(said("onvif.scope=x", ip=f"10.0.0.{last}"))
    assert [device.verdict.manufacturer for device in tally.report().devices] == [None, None, None]


def test_two_stacks_are_one_device(tally: Tally) -> None:
    """An IPv4 and a link-local IPv6 address of one MAC are one device."""
    tally.feed(said("http.server=acme-webs"))
    tally.feed(said("onvif.scope=/name/Badge", ip="fe80::2a57:beff:fe00:1"))
    device = one(tally.report())
    assert device.addresses == ("192.168.1.9", "fe80::2a57:beff:fe00:1")
    assert device.verdict.brand == "Badge"


def test_vlans_keep_equal_addresses_apart(tally: Tally) -> None:
    """The same address in two VLANs is two hosts."""
    tally.feed(said("http.server=acme-webs", mac=None, vlan=(10,)))
    tally.feed(said("http.server=other", mac=None, vlan=(20,)))
    assert {device.id: device.verdict.manufacturer for device in tally.report().devices} == {
        "192.168.1.9@vlan10": "Acme",
        "192.168.1.9@vlan20": "Other",
    }


def test_remote_servers_are_no_devices(tally: Tally) -> None:
    """A public address is counted, not listed: a maker's cloud is not a camera."""
    tally.feed(said("http.server=acme-webs", ip="8.8.4.4", mac=ROUTER))
    report = tally.report()
    assert report.devices == ()
    assert report.coverage["remote_addresses_left_out"] == 1


def test_what_a_client_asked_for_counts_only_for_hosts_that_spoke(tally: Tally) -> None:
    """A request names its listener; a host that never answered gains nothing by it."""
    tally.feed(said(">http.title=Acme AC-100T", ip="192.168.1.50", mac=None, to="192.168.1.9"))
    assert [device.verdict.manufacturer for device in tally.report().devices] == [None, None]
    tally.feed(said("dns.query=x", mac=None))
    makers = {device.addresses[0]: device.verdict.manufacturer for device in tally.report().devices}
    assert makers == {"192.168.1.9": "Acme", "192.168.1.50": None}


def test_an_answered_path_says_more_than_the_question(tally: Tally) -> None:
    """A path that a client wanted is not held against a host that answered it with a refusal."""
    tally.feed(said(">http.path=/ISAPI/x", ip="192.168.1.50", mac=None, to="192.168.1.9"))
    tally.feed(said("http.path=/ISAPI/x 404", mac=None))
    device = next(device for device in tally.report().devices if device.addresses == ("192.168.1.9",))
    assert [row.fact.text for row in device.observations] == ["/ISAPI/x 404"]


def test_dhcp_describes_the_client_inside(tally: Tally) -> None:
    """A relayed DHCP message speaks of the client's MAC, not of the relay's."""
    tally.feed(said(f"{HIK} door", ip="10.0.0.1", mac=ROUTER, protocol="dhcp"))
    devices = {device.id: device.hostnames for device in tally.report().devices}
    assert devices[HIK] == ("door",)


def test_the_packet_is_believed_before_the_claim(tally: Tally) -> None:
    """An address stated inside that is not the packet's is a conflict; the packet's is kept."""
    tally.feed(said("sadp.types=inquiry\nsadp.ipv4-address=192.168.1.64"))
    device = one(tally.report())
    assert device.addresses == ("192.168.1.9",)
    assert [(row.kept, row.against) for row in device.verdict.conflicts] == [("192.168.1.9", "192.168.1.64")]


def test_broken_messages_are_problems_with_their_place(tally: Tally) -> None:
    """What was certain before the break counts; the break is named with file and host."""
    tally.feed(said("http.server=acme-webs\n!"))
    report = tally.report()
    assert one(report).verdict.manufacturer == "Acme"
    assert "broken at byte 3" in report.problems[0].what
    assert "x.pcap" in report.problems[0].where
    assert report.coverage["messages_malformed"] == {"lines": 1}


def test_own_and_nobodys_addresses_are_left_out(judge: Judge) -> None:
    """The scanner itself, broadcast, multicast and unspecified senders are no devices."""
    tally = Tally(judge, (), (LINES,), own=["192.168.1.9"])
    for ip in ("192.168.1.9", "255.255.255.255", "239.255.255.250", "0.0.0.0"):
        tally.feed(said("http.server=acme-webs", ip=ip, mac=None))
    assert tally.report().devices == ()


def test_a_flood_from_one_host_is_bounded(tally: Tally) -> None:
    """Facts of one host end at a bound, and the verdict is still given."""
    tally.feed(said("http.server=acme-webs"))
    for number in range(5_000):
        tally.feed(said(f"dns.query=name{number}"))
    device = one(tally.report())
    assert device.verdict.manufacturer == "Acme"
    assert len(device.observations) <= 514

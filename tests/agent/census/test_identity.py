"""What is one device becomes one group; what only claims to be stays apart, with the clash shown."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.census.addresses import host_mac, is_invented
from agent.census.hosts import Host, Key
from agent.census.identity import Group, groups
from fingerprints.model import Fact, Observation, Speaker

FILLER = "00:11:22:33:44:55"
NOON = 1_700_000_000.0


def host(
    *facts: tuple[str, str], first: float | None = NOON, last: float | None = None, protocol: str = "test"
) -> Host:
    """A host that said these facts, and was there from `first` to `last`."""
    found = Host(spoke=True)
    for field, text in facts:
        found.learn(Observation(Fact(field, text), Speaker(), protocol, first))
    found.times.seen(first)
    found.times.seen(first if last is None else last)
    return found


def key(ip: str | None, mac: str | None = None, *vlan: int) -> Key:
    """A key of the table of hosts."""
    return vlan, mac, ip


def apart(*rows: tuple[Key, Host]) -> list[tuple[str, ...]]:
    """The addresses of each device."""
    return sorted(group.addresses for group in groups(dict(rows)))


A, B, C = "28:57:be:00:00:01", "28:57:be:00:00:02", "3c:ef:8c:00:00:03"
ONE, TWO, THREE = "192.168.1.9", "192.168.1.10", "192.168.1.11"
SERIAL = ("onvif.serial", "F1234567X")
OTHER = ("onvif.serial", "G7654321Y")
ENDPOINT = ("onvif.endpoint", "urn:uuid:4f3a1c2e-77aa-11e9-8f9e-2857be000001")


def test_two_interfaces_with_one_serial_are_one_device() -> None:
    """A recorder on two networks states one serial: it has two MACs and two addresses."""
    (group,) = groups({key(ONE, A): host(SERIAL), key("10.0.0.9", B): host(SERIAL)})
    assert (group.macs, group.addresses, group.clashes) == ((A, B), ("10.0.0.9", ONE), ())


def test_several_protocols_are_one_device_across_a_router() -> None:
    """Without MACs an endpoint id joins IPv4 with IPv6, whatever protocol stated it."""
    four = host(ENDPOINT)
    six = host(("upnp.udn", "uuid:4f3a1c2e-77aa-11e9-8f9e-2857be000001"))
    assert apart((key(ONE), four), (key("2001:db8::9"), six)) == [(ONE, "2001:db8::9")]


def test_a_lease_that_moved_is_one_device() -> None:
    """One MAC at two addresses in turn is one device, with a serial or without."""
    for facts in ((), (SERIAL,)):
        rows = (key(ONE, A), host(*facts)), (key(TWO, A), host(*facts, first=NOON + 86_400))
        assert apart(*rows) == [(ONE, TWO)]


def test_a_lease_that_moved_behind_a_router_is_one_device() -> None:
    """Without frames, the MAC that the device states itself and the turn of its addresses tell."""
    mac = ("sadp.mac", A)
    later = host(mac, first=NOON + 86_400)
    assert apart((key(ONE), host(mac)), (key(TWO), later)) == [(ONE, TWO)]


def test_one_mac_with_two_serials_is_two_devices() -> None:
    """Two cameras that carry the same MAC and state different serials are told apart, and it shows."""
    found = groups({key(ONE, A): host(SERIAL), key(TWO, A): host(OTHER)})
    assert [group.addresses for group in found] == [(ONE,), (TWO,)]
    assert [(row.kind, row.text, row.other) for row in found[0].clashes] == [("mac", A, 1)]
    assert [(row.kind, row.text, row.other) for row in found[1].clashes] == [("mac", A, 0)]


def test_what_a_shared_mac_said_without_an_address_counts_for_neither() -> None:
    """DHCP of a MAC that two devices carry makes no third device."""
    rows = {key(ONE, A): host(SERIAL), key(TWO, A): host(OTHER), key(None, A): host(("dhcp.hostname", "x"))}
    found = groups(rows)
    assert [len(group.members) for group in found] == [1, 1]


@pytest.mark.parametrize("mac", [FILLER, "12:34:56:78:9a:bc", "00:00:00:00:00:01"])
def test_a_filler_mac_joins_nobody(mac: str) -> None:
    """A row of digits for a MAC, in frames or in claims, makes no two IPv4 addresses one device."""
    assert is_invented(mac)
    assert apart((key(ONE, mac), host()), (key(TWO, mac), host())) == [(TWO,), (ONE,)]
    claim = ("sadp.mac", mac)
    assert apart((key(ONE), host(claim)), (key(TWO), host(claim))) == [(TWO,), (ONE,)]


@pytest.mark.parametrize("text", ["0000000000", "123456789", "N/A", "unknown", "1234", "DS-2CD2032", "none"])
def test_a_filler_serial_joins_nobody(text: str) -> None:
    """What stands in the place of a serial, or is the model's name, tells no device."""
    said = (("onvif.serial", text), ("onvif.model", "DS-2CD2032"))
    assert apart((key(ONE), host(*said)), (key(TWO), host(*said))) == [(TWO,), (ONE,)]


def test_a_serial_that_many_state_at_once_joins_nobody() -> None:
    """The constant of a firmware is no serial; each of its devices shows the clash."""
    found = groups({key(ip): host(SERIAL) for ip in (ONE, TWO, THREE)})
    assert len(found) == 3
    assert all(len(group.clashes) == 2 for group in found)


def test_a_serial_with_two_endpoints_is_two_devices() -> None:
    """Two that state one serial but each its own endpoint id stay apart."""
    other = ("onvif.endpoint", "urn:uuid:4f3a1c2e-77aa-11e9-8f9e-2857be0000ff")
    found = groups({key(ONE, A): host(SERIAL, ENDPOINT), key(TWO, B): host(SERIAL, other)})
    assert [row.kind for group in found for row in group.clashes] == ["serial", "serial"]


def test_the_frame_is_believed_before_the_claim() -> None:
    """A host with a MAC of its own that claims another's stays itself."""
    found = groups({key(ONE, A): host(("sadp.mac", B)), key(TWO, B): host()})
    assert [group.macs for group in found] == [(B,), (A,)] or [group.macs for group in found] == [(A,), (B,)]
    assert all(row.kind == "mac" for group in found for row in group.clashes)


def test_a_claimed_mac_joins_an_address_without_one() -> None:
    """An address behind the router whose answer names the MAC that was seen on the link is that device."""
    assert apart((key(ONE, A), host()), (key("10.9.0.9"), host(("dhip.mac", A)))) == [("10.9.0.9", ONE)]


def test_an_interface_identifier_names_its_mac() -> None:
    """An IPv6 address built of a MAC belongs to the device with that MAC."""
    six = "2001:db8::2a57:beff:fe00:1"
    assert apart((key(ONE, A), host()), (key(six), host())) == [(ONE, six)]


def test_a_router_is_not_those_behind_it() -> None:
    """A MAC that carries many addresses joins none; one that ARP binds is its own."""
    rows = [(key(f"10.0.0.{last}", C), host()) for last in range(1, 6)]
    bound = host(("ip.address", "10.0.0.1"), protocol="arp")
    found = groups(dict([*rows, (key(None, C), bound)]))
    assert [group.macs for group in found if group.addresses == ("10.0.0.1",)] == [(C,)]
    assert len(found) == 5


def test_what_binds_one_family_leaves_the_other() -> None:
    """ND that names the link-local address alone does not cut off the others; a router still owns none."""
    nd = host(("ip.address", "fe80::1"), protocol="nd")
    rows = {
        key("fe80::1", C): host(),
        key("fd77::1", C): host(),
        key("10.0.0.1", C): host(),
        key(None, C): nd,
    }
    assert apart(*rows.items()) == [("10.0.0.1", "fd77::1", "fe80::1")]
    arp = host(("ip.address", "10.0.0.1"), protocol="arp")
    behind = {key("10.9.0.7", C): host(), key(None, C): arp}
    assert apart(*(rows | behind).items()) == [("10.0.0.1", "fe80::1"), ("10.9.0.7",), ("fd77::1",)]


def test_proxy_arp_hides_nobody() -> None:
    """A MAC that answers for a whole subnet is not one device with all its addresses."""
    rows = {key(f"10.0.0.{last}", C): host() for last in range(1, 41)}
    for found in rows.values():
        found.scanned = True
    assert len(groups(rows)) == 40


def test_an_id_that_everybody_states_costs_little() -> None:
    """Thousands that state one endpoint id and one MAC stay apart; few of them are named in the clash."""
    said = (ENDPOINT, ("sadp.mac", A))
    found = groups({key(f"10.0.{at >> 8}.{at & 255}"): host(*said) for at in range(5_000)})
    assert len(found) == 5_000
    assert max(len(group.clashes) for group in found) < 200


@dataclass(frozen=True)
class Box:
    """A made device: its number decides serial, MACs and addresses; the rest is how it shows itself."""

    number: int
    interfaces: int
    moved: bool
    six: bool
    serial: bool


BOXES = st.lists(
    st.builds(
        Box,
        number=st.integers(1, 200),
        interfaces=st.integers(1, 2),
        moved=st.booleans(),
        six=st.booleans(),
        serial=st.booleans(),
    ),
    unique_by=lambda box: box.number,
    max_size=8,
)


def hosts_of(box: Box, *, routed: bool) -> dict[Key, Host]:
    """How a box appears: with frames of its own, or through a router that hides its MACs."""
    serial = (("onvif.serial", f"SN{box.number:04}Q7Z3"),) if box.serial or box.interfaces > 1 else ()
    rows: dict[Key, Host] = {}
    for face in range(box.interfaces):
        mac = f"28:57:be:00:{face:02x}:{box.number:02x}"
        said = (*serial, ("sadp.mac", mac)) if routed else serial
        own = None if routed else mac
        rows[key(f"10.{face}.0.{box.number}", own)] = host(*said)
        if box.moved and box.interfaces == 1:
            rows[key(f"10.{face}.1.{box.number}", own)] = host(*said, first=NOON + 86_400)
        if box.six:
            rows[key(f"fd00::{face}:{box.number:x}", own)] = host(*said)
    return rows


@given(boxes=BOXES, routed=st.booleans(), shuffled=st.randoms(use_true_random=False))
def test_every_made_site_comes_out_as_it_was_made(boxes: list[Box], routed: bool, shuffled: object) -> None:
    """One group for each device with just its addresses, however it shows itself and in any order."""
    rows = {name: found for box in boxes for name, found in hosts_of(box, routed=routed).items()}
    order = list(rows)
    shuffled.shuffle(order)  # type: ignore[attr-defined]
    found = groups({name: rows[name] for name in order})
    wanted = [frozenset(ip for _, _, ip in hosts_of(box, routed=routed) if ip) for box in boxes]
    assert {frozenset(group.addresses) for group in found} == set(wanted)
    assert len(found) == len(boxes)
    assert not any(group.clashes for group in found)


@given(
    macs=st.lists(st.sampled_from([A, B, FILLER, None]), min_size=1, max_size=5),
    texts=st.lists(
        st.sampled_from([SERIAL, OTHER, ENDPOINT, ("sadp.mac", A), ("sadp.mac", FILLER)]), max_size=6
    ),
)
def test_no_mac_is_invented_and_no_host_is_lost(macs: list[str | None], texts: list[tuple[str, str]]) -> None:
    """Whatever is claimed: MACs of a device are those of its frames, and each address is in one group."""
    rows = {key(f"10.0.0.{at}", mac): host(*texts[at : at + 2]) for at, mac in enumerate(macs)}
    found: list[Group] = groups(rows)
    assert {mac for group in found for mac in group.macs} <= {mac for mac in macs if host_mac(mac)}
    assert sorted(ip for group in found for ip in group.addresses) == sorted(name[2] or "" for name in rows)

"""Tests that the right interfaces are used and the others are told."""

from __future__ import annotations

import pytest

from agent.interfaces import (
    Interface,
    choose,
    interfaces,
    on_link,
    own_addresses,
    private_subnets,
)
from agent.scope import ScopeError

ETH = Interface("eth0", 2, ("192.168.5.7/24", "fe80::7/64"), "02:fc:00:00:00:01")
WIFI = Interface("wlan0", 3, ("10.1.2.3/22", "8.8.8.8/24"), "02:fc:00:00:00:02")
LO = Interface("lo", 1, ("127.0.0.1/8", "::1/128"), loopback=True, multicast=False, ethernet=False)
DOWN = Interface("eth1", 4, ("192.168.6.7/24",), up=False)
EMPTY = Interface("eth2", 5, ())
VIRTUAL = tuple(
    Interface(name, 10 + at, (f"172.17.{at}.1/24",))
    for at, name in enumerate(("docker0", "br-1a2b", "veth12", "virbr0", "cni0", "flannel.1"))
)
EVERY = (LO, ETH, WIFI, DOWN, EMPTY, *VIRTUAL)


def test_default_choice() -> None:
    """Without names: real links that are up; every other is told with its reason."""
    used, left = choose(EVERY)
    assert used == (ETH, WIFI)
    assert dict(left) == {
        "lo": "loopback",
        "eth1": "it is down",
        "eth2": "it has no address",
        **{face.name: "made by containers or virtual machines; name it to use it" for face in VIRTUAL},
    }


def test_named_choice() -> None:
    """With names: these, even if virtual."""
    used, left = choose(EVERY, ["docker0", "lo"])
    assert [face.name for face in used] == ["docker0", "lo"]
    assert ("eth0", "not chosen") in left


@pytest.mark.parametrize(
    ("name", "says"), [("eth9", "no such interface; there are lo"), ("eth1", "down"), ("eth2", "no address")]
)
def test_unusable_name(name: str, says: str) -> None:
    """A name that cannot be used is refused with the reason."""
    with pytest.raises(ScopeError, match=f"'{name}': .*{says}"):
        choose(EVERY, [name])


@pytest.mark.parametrize(
    ("ip", "name"),
    [
        ("192.168.5.200", "eth0"),
        ("10.1.3.255", "wlan0"),
        ("10.1.4.1", None),
        ("fe80::1%wlan0", "wlan0"),
        ("fe80::1%eth9", None),
        ("2001:db8::1", None),
    ],
)
def test_on_link(ip: str, name: str | None) -> None:
    """A target is on the link whose network holds it, or whose name is its zone."""
    found = on_link(ip, EVERY)
    assert (found.name if found else None) == name


def test_private_subnets() -> None:
    """What is scanned by default are private networks of real links, never public ones."""
    assert private_subnets(choose(EVERY)[0]) == ("192.168.5.0/24", "10.1.0.0/22")
    assert private_subnets(EVERY[:1]) == ()


def test_sources() -> None:
    """Questions to an IPv6 group start from the link-local address, where there is one."""
    assert ETH.source(6) == "fe80::7"
    assert ETH.source(4) == "192.168.5.7"
    assert WIFI.source(6) is None


def test_this_machine() -> None:
    """Loopback is read as what it is, without root."""
    loopback = next(face for face in interfaces() if face.name == "lo")
    assert loopback.loopback
    assert not loopback.ethernet
    assert "127.0.0.1/8" in own_addresses([loopback])

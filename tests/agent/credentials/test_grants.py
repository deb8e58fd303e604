"""Tests of which credential belongs to which host."""

from __future__ import annotations

from ipaddress import ip_network

from agent.credentials import Credentials, Login, Secret, SnmpCommunity, SnmpUser


def login(name: str, *nets: str) -> Login:
    return Login(name, tuple(map(ip_network, nets)), "viewer", Secret("x"))


def test_narrowest_net_wins() -> None:
    """A host gets the login of the narrowest net around it, the first of equals, or none."""
    wide, narrow, twin = (
        login("wide", "10.0.0.0/8", "2001:db8::/32"),
        login("narrow", "10.1.0.0/16"),
        login("twin", "10.1.0.0/16"),
    )
    one = login("one", "192.0.2.7", "10.1.2.3/32")
    known = Credentials((wide, narrow, twin, one))
    assert known.login("10.9.9.9") is wide
    assert known.login("10.1.9.9") is narrow
    assert known.login("10.1.2.3") is one
    assert known.login("2001:db8::5") is wide
    assert known.login("192.0.2.8") is None


def test_kinds_are_kept_apart() -> None:
    """A login is never used for SNMP, nor the other way round."""
    nets = (ip_network("10.0.0.0/8"), ip_network("fe80::/10"))
    known = Credentials((login("l", "10.0.0.0/8"), SnmpCommunity("c", nets, Secret("public"))))
    assert known.snmp("10.0.0.1") is known.grants[1]
    assert known.snmp("fe80::1%eth0") is known.grants[1]
    assert known.login("fe80::1%eth0") is None
    assert Credentials().login("10.0.0.1") is None


def test_security_level() -> None:
    """A user's protocols decide the level of RFC 3411."""
    nets = (ip_network("10.0.0.0/8"),)
    assert SnmpUser("u", nets, "m").level == "noAuthNoPriv"
    assert SnmpUser("u", nets, "m", "sha", Secret("x")).level == "authNoPriv"
    assert SnmpUser("u", nets, "m", "sha", Secret("x"), "aes", Secret("x")).level == "authPriv"

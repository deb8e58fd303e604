"""Tests that no account is tried twice with what may be wrong."""

from __future__ import annotations

from ipaddress import ip_network

from agent.credentials import Attempts, Login, Secret

NETS = (ip_network("10.0.0.0/8"),)
ONE = Login("one", NETS, "viewer", Secret("x"))
OTHER = Login("other", NETS, "viewer", Secret("y"))


def test_once_where_nobody_said_anything() -> None:
    """A credential that was neither accepted nor refused is not sent again to that host."""
    attempts = Attempts()
    assert attempts.begin("10.0.0.1", ONE)
    assert not attempts.begin("10.0.0.1", ONE)
    assert attempts.begin("10.0.0.1", OTHER)
    assert attempts.begin("10.0.0.2", ONE)


def test_accepted_is_used_on() -> None:
    """What a host let in may be sent to it as often as there is something to read."""
    attempts = Attempts()
    attempts.begin("10.0.0.1", ONE)
    attempts.accepted("10.0.0.1", ONE)
    assert attempts.begin("10.0.0.1", ONE)
    assert attempts.begin("10.0.0.1", ONE)


def test_nothing_after_a_refusal() -> None:
    """A host that refused gets neither that credential, even if it once took it, nor another."""
    attempts = Attempts()
    attempts.begin("10.0.0.1", ONE)
    attempts.accepted("10.0.0.1", ONE)
    attempts.refused("10.0.0.1")
    assert not attempts.begin("10.0.0.1", ONE)
    assert not attempts.begin("10.0.0.1", OTHER)
    assert attempts.begin("10.0.0.2", OTHER)
    assert attempts.hosts_that_refused == ("10.0.0.1",)

"""Tests of the list of protocols."""

from __future__ import annotations

import ipaddress
import tomllib

import pytest

from agent.probes import ALL, probe_named
from agent.wire import MAX_PAYLOAD, Probe, Target
from tests.places import REPO
from tests.probe_cases import facts_of

FIELDS = tomllib.loads((REPO / "fingerprints" / "fields.toml").read_text(encoding="utf-8"))


def test_every_file_is_listed() -> None:
    """Each protocol's file stands in the list, and each name means one protocol."""
    files = {path.stem for path in (REPO / "agent" / "probes").glob("*.py")} - {"__init__"}
    listed = {probe.dissect.__module__.rpartition(".")[2] for probe in ALL}
    assert listed == files
    names = [name for probe in ALL for name in (probe.name, *probe.aliases)]
    assert len(names) == len(set(names))


def test_probes_are_found_by_name() -> None:
    """Name and alias find the probe; another word finds none."""
    for probe in ALL:
        for name in (probe.name, *probe.aliases):
            assert probe_named(name) is probe
    assert probe_named("nobody's") is None


@pytest.mark.parametrize("probe", ALL, ids=lambda probe: probe.name)
def test_a_record_is_complete(probe: Probe) -> None:
    """Fields are of the vocabulary; source and purpose are said; what has a group has a question."""
    assert set(probe.fields) <= FIELDS.keys()
    assert probe.source
    assert probe.says
    assert all(0 < port < 65_536 for port in probe.ports)
    assert all(ipaddress.ip_address(group) for group in probe.groups)
    assert probe.hello is not None or not probe.groups
    assert probe.hello is None or probe.ports


@pytest.mark.parametrize("probe", [probe for probe in ALL if probe.hello], ids=lambda probe: probe.name)
def test_a_question_is_small_and_says_nothing_of_the_asked(probe: Probe) -> None:
    """Our own words, heard again, describe no device but us."""
    assert probe.hello is not None
    for ip in ("192.0.2.7", "fe80::1%eth0", *probe.groups):
        for ask in probe.hello(Target(ip, probe.ports[0], probe.transport)):
            assert 0 < len(ask.payload) <= 2_048
            assert ask.what
            found, broken = facts_of(probe, ask.payload)
            assert not broken
            assert {fact.about for fact in found} <= {"speaker"}
            assert all(fact.text == "camcensus" for fact in found)


@pytest.mark.parametrize("probe", ALL, ids=lambda probe: probe.name)
def test_the_longest_payload_is_bounded(probe: Probe) -> None:
    """The largest payload of each beginning is read to an end, with or without a break."""
    for start in (b"", *probe.prefixes):
        for filling in (b"\0", b"\xff", b"{", b"<a>", b"\xc0\x0c", b"a: b\r\n"):
            payload = (start + filling * MAX_PAYLOAD)[:MAX_PAYLOAD]
            probe.mine(payload)
            found, _ = facts_of(probe, payload)
            assert len(found) <= 4_096

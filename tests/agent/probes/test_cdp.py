"""Tests of CDP."""

from __future__ import annotations

import pytest

from agent.probes.cdp import CDP
from agent.wire import Malformed
from tests.frames import link_payloads
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways


def tlv(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2) + (4 + len(value)).to_bytes(2) + value


HEAD = b"\x02\xb4\0\0"
WHOLE = (
    HEAD
    + tlv(1, b"cam")
    + tlv(6, b"IPC")
    + tlv(4, b"\0\0\0\x10")
    + tlv(
        2,
        b"\0\0\0\2\1\1\xcc\0\4\xc0\0\2\7\2\x08\xaa\xaa\3\0\0\0\x86\xdd\0\x10\xfe\x80" + bytes(13) + b"\1",
    )
)


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in CDP.dissect(payload, b"")]


def test_every_value_is_read() -> None:
    """Name, platform, capabilities and addresses of both kinds are facts in their order."""
    assert facts(WHOLE) == [
        ("cdp.device-id", "cam"),
        ("cdp.platform", "IPC"),
        ("cdp.capabilities", "host"),
        ("cdp.address", "192.0.2.7"),
        ("cdp.address", "fe80::1"),
    ]


def test_hostile_bytes() -> None:
    """Three ways hold; no bytes raise anything but Malformed; endless and short values stop the reading."""
    three_ways(CDP, WHOLE)
    only_malformed(CDP, WHOLE)
    for payload in (HEAD + tlv(9, b"") * 200, HEAD + b"\0\1\0\3"):
        with pytest.raises(Malformed):
            facts(payload)


@needs_shared
def test_recorded_switches() -> None:
    """Two recorded switches say name and platform, and every frame bears three ways."""
    said = []
    for payload in link_payloads(
        SHARED / "pcaps" / "neg-lldp-cdp-switches.pcap", b"\xaa\xaa\3\0\0\x0c\x20\0"
    ):
        three_ways(CDP, payload)
        said += facts(payload)
    assert {("cdp.device-id", "S1"), ("cdp.device-id", "S2"), ("cdp.platform", "cisco WS-C3560-24TS")} <= set(
        said
    )

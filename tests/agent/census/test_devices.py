"""Tests of what a group of hosts states as one device."""

from __future__ import annotations

import pytest

from agent.census.devices import claimed_address
from agent.probes import ALL
from fingerprints.model import Fact


@pytest.mark.parametrize(
    "field",
    sorted(
        {field for probe in ALL for field in probe.fields if "ipv4-address" in field or "host-ip" in field}
    ),
)
def test_every_protocol_s_own_address_is_a_claim(field: str) -> None:
    """Whatever protocol a device states its address in, the claim is known as one."""
    assert claimed_address(Fact(field, "192.168.1.64")) == "192.168.1.64"
    assert claimed_address(Fact(field, "not set")) is None


def test_another_address_is_no_claim() -> None:
    """A gateway that a device names is not the device's own address."""
    assert claimed_address(Fact("sadp.ipv4-gateway", "192.168.1.1")) is None

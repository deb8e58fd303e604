"""VLANs are listed exactly: what is not listed is nothing that could be asked."""

from __future__ import annotations

import ipaddress

import pytest

from agent.config import ConfigError
from agent.trunk import Lan, lans_of


def test_numbers_ranges_and_addresses() -> None:
    """In the order of their numbers, each with its address where one is given."""
    assert lans_of(["20-22", "10=10.0.10.250/24"]) == (
        Lan(10, ipaddress.IPv4Interface("10.0.10.250/24")),
        Lan(20),
        Lan(21),
        Lan(22),
    )


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "4095",
        "22-20",
        "ten",
        "10=",
        "10=10.0.10.250",
        "10=10.0.10.0/24",
        "10=10.0.10.255/24",
        "10=fe80::1/64",
        "20-22=10.0.0.1/24",
        "-5",
        "1-",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """The error names what was written."""
    with pytest.raises(ConfigError, match="--vlans"):
        lans_of([text])


def test_no_vlan_twice() -> None:
    """Two addresses in one VLAN would be two hosts."""
    with pytest.raises(ConfigError, match="12 is named twice"):
        lans_of(["10-20", "12=10.0.12.9/24"])

"""The port that a device is plugged into is told from those that lead to it."""

from __future__ import annotations

from agent.tables import Port, Row
from agent.topology import placed
from fingerprints.model import Fact


def seen(mac: int, switch: str, port: str, *, uplink: bool = False) -> Row:
    """A line of a MAC address table."""
    return Row("mac-table", f"44:47:cc:00:00:{mac:02x}", port=Port(switch, port, uplink=uplink), vlan=10)


def places(rows: list[Row]) -> dict[str, tuple[str, str]]:
    """MAC to switch with port."""
    found = {}
    for row in placed(rows):
        said = {fact.field: fact.text for fact in row.facts}
        assert row.mac is not None
        if "switch.port" in said:
            assert row.mac not in found
            found[row.mac] = said["switch.name"], said["switch.port"]
    return found


def test_the_port_with_fewest_is_the_edge() -> None:
    """Three cameras on an access switch stand together on the core's uplink: each gets its access port."""
    rows = [seen(number, "core", "Te1/1") for number in (1, 2, 3)]
    rows += [seen(number, "access", f"Gi1/0/{number}") for number in (1, 2, 3)]
    assert places(rows) == {
        f"44:47:cc:00:00:0{number}": ("access", f"Gi1/0/{number}") for number in (1, 2, 3)
    }


def test_a_known_uplink_is_no_edge() -> None:
    """A port with another switch at its end loses, however few MACs it carries."""
    rows = [
        seen(1, "core", "Te1/1", uplink=True),
        seen(1, "access", "Gi1/0/1"),
        seen(2, "access", "Gi1/0/1"),
    ]
    assert places(rows)["44:47:cc:00:00:01"] == ("access", "Gi1/0/1")


def test_where_nothing_better_is_known_the_uplink_is_told() -> None:
    """A MAC behind a switch that nobody read is at least behind that port, with how many others."""
    (row,) = placed([seen(1, "core", "Te1/1", uplink=True)])
    assert Fact("switch.port", "Te1/1") in row.facts
    assert Fact("switch.macs", "1") in row.facts


def test_rows_without_a_port_pass() -> None:
    """ARP tables and leases are no sightings of a port."""
    row = Row("arp-table", "44:47:cc:00:00:01", "10.0.0.5")
    assert list(placed([row])) == [row]


def test_power_and_description_come_along() -> None:
    """What is known of the port stands beside it."""
    port = Port("access", "Gi1/0/1", "door 4", poe_watts=6.25, poe_class=3)
    (row,) = placed([Row("mac-table", "44:47:cc:00:00:01", port=port)])
    assert {fact.field: fact.text for fact in row.facts} == {
        "switch.name": "access",
        "switch.port": "Gi1/0/1",
        "switch.macs": "1",
        "switch.port-description": "door 4",
        "switch.poe-watts": "6.25",
        "switch.poe-class": "3",
    }

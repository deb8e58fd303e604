"""What a table that somebody else keeps says of a host: one Row a line.

Switches, routers, DHCP servers and other scanners know MACs, addresses, names and switch ports
of hosts that this machine never hears. Their tables arrive as files or over SNMP, as the same Rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from fingerprints.model import Fact

__all__ = ["BINDING_TABLES", "Port", "Row", "unicast_mac"]

BINDING_TABLES: Final = frozenset({"arp-table", "dhcp-lease", "nmap"})
"""Tables that tell which MAC has which address; what they say counts like ARP that was heard."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a switch, by the names the switch has for itself and for it.

    `uplink` says that another switch is known to be at its end. `poe_watts` is what it delivers,
    where the switch measures that; `poe_class` is the powered device's class of IEEE 802.3 (0 to 8).
    """

    switch: str
    name: str
    description: str | None = None
    uplink: bool = False
    poe_watts: float | None = None
    poe_class: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: a host by MAC, address or both, with what is said of it.

    `table` is the kind of table (``arp-table``, ``mac-table``, ``dhcp-lease``, ``lldp-table``,
    ``snmp``, or the tool's name). `port` is where a switch sees the MAC, `vlan` the VLAN it sees it in, `open_ports`
    are TCP. `at` is in seconds since 1970. `via` names file or switch, `line` counts from 1 in a file.
    """

    table: str
    mac: str | None = None
    ip: str | None = None
    facts: tuple[Fact, ...] = ()
    port: Port | None = None
    vlan: int | None = None
    open_ports: tuple[int, ...] = ()
    at: float | None = None
    via: str = ""
    line: int | None = None

    def from_line(self, via: str, line: int) -> Row:
        """The same, read at a line of a file."""
        return replace(self, via=via, line=line)


def unicast_mac(raw: bytes) -> str | None:
    """Six bytes as the MAC of one host; None for groups, nought and anything else."""
    if len(raw) != 6 or raw[0] & 1 or not any(raw):
        return None
    return raw.hex(":")

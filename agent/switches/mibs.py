"""The columns that are read from switches, with what each table of them says of hosts.

Object identifiers and indexes after SNMPv2-MIB (RFC 3418), IF-MIB (RFC 2863), IP-MIB (RFC 4293),
BRIDGE-MIB (RFC 4188), Q-BRIDGE-MIB (RFC 4363), LLDP-MIB (IEEE 802.1AB-2005), POWER-ETHERNET-MIB
(RFC 3621), CISCO-POWER-ETHERNET-EXT-MIB, CISCO-VTP-MIB. RFC 3621 counts no watts of a port; Cisco's
table does. Catalyst switches keep a forwarding table for each VLAN behind an instance of its own
(`by_vlan`), which shows under the community ``name@VLAN`` or in the context ``vlan-VLAN``.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from agent.tables import Port, Row, unicast_mac
from fingerprints.model import Fact

__all__ = [
    "BY_VLAN",
    "COLUMNS",
    "SYSTEM",
    "Cells",
    "Column",
    "Oid",
    "System",
    "hidden_vlans",
    "own_macs",
    "rows_of",
]

Oid = tuple[int, ...]
Cells = Mapping[Oid, bytes | int]
"""One column of a table: by index, texts and addresses as bytes, numbers as numbers."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, by the name that its MIB has for it."""

    name: str
    oid: Oid


def _oid(text: str) -> Oid:
    return tuple(map(int, text.split(".")))


SYSTEM: Final[Mapping[str, Oid]] = {
    "sysDescr": _oid("1.3.6.1.2.1.1.1.0"),
    "sysObjectID": _oid("1.3.6.1.2.1.1.2.0"),
    "sysName": _oid("1.3.6.1.2.1.1.5.0"),
    "dot1dBaseBridgeAddress": _oid("1.3.6.1.2.1.17.1.1.0"),
}

COLUMNS: Final[tuple[Column, ...]] = tuple(
    Column(name, _oid(text))
    for name, text in (
        ("ifDescr", "1.3.6.1.2.1.2.2.1.2"),
        ("ifType", "1.3.6.1.2.1.2.2.1.3"),
        ("ifPhysAddress", "1.3.6.1.2.1.2.2.1.6"),
        ("ifName", "1.3.6.1.2.1.31.1.1.1.1"),
        ("ifAlias", "1.3.6.1.2.1.31.1.1.1.18"),
        ("dot1dBasePortIfIndex", "1.3.6.1.2.1.17.1.4.1.2"),
        ("dot1qVlanFdbId", "1.3.6.1.2.1.17.7.1.4.2.1.3"),
        ("dot1qTpFdbPort", "1.3.6.1.2.1.17.7.1.2.2.1.2"),
        ("dot1qTpFdbStatus", "1.3.6.1.2.1.17.7.1.2.2.1.3"),
        ("dot1dTpFdbPort", "1.3.6.1.2.1.17.4.3.1.2"),
        ("dot1dTpFdbStatus", "1.3.6.1.2.1.17.4.3.1.3"),
        ("ipNetToPhysicalPhysAddress", "1.3.6.1.2.1.4.35.1.4"),
        ("ipNetToMediaPhysAddress", "1.3.6.1.2.1.4.22.1.2"),
        ("lldpLocPortIdSubtype", "1.0.8802.1.1.2.1.3.7.1.2"),
        ("lldpLocPortId", "1.0.8802.1.1.2.1.3.7.1.3"),
        ("lldpLocPortDesc", "1.0.8802.1.1.2.1.3.7.1.4"),
        ("lldpRemChassisIdSubtype", "1.0.8802.1.1.2.1.4.1.1.4"),
        ("lldpRemChassisId", "1.0.8802.1.1.2.1.4.1.1.5"),
        ("lldpRemPortIdSubtype", "1.0.8802.1.1.2.1.4.1.1.6"),
        ("lldpRemPortId", "1.0.8802.1.1.2.1.4.1.1.7"),
        ("lldpRemSysName", "1.0.8802.1.1.2.1.4.1.1.9"),
        ("lldpRemSysDesc", "1.0.8802.1.1.2.1.4.1.1.10"),
        ("lldpRemSysCapEnabled", "1.0.8802.1.1.2.1.4.1.1.12"),
        ("pethPsePortDetectionStatus", "1.3.6.1.2.1.105.1.1.1.6"),
        ("pethPsePortPowerClassifications", "1.3.6.1.2.1.105.1.1.1.10"),
        ("cpeExtPsePortPwrConsumption", "1.3.6.1.4.1.9.9.402.1.2.1.9"),
        ("vtpVlanState", "1.3.6.1.4.1.9.9.46.1.3.1.1.2"),
    )
)
BY_VLAN: Final[tuple[Column, ...]] = tuple(
    column
    for column in COLUMNS
    if column.name in {"dot1dBasePortIfIndex", "dot1dTpFdbPort", "dot1dTpFdbStatus"}
)
"""Columns that a Catalyst has once for each VLAN; they stand as ``name@VLAN`` among the tables."""

_LEARNED: Final = 3
_DELIVERING: Final = 3
_CHASSIS_MAC: Final = 4
_PORT_MAC: Final = 3
_PORT_NAMES: Final = frozenset({None, 1, 5, 7})
"""Subtypes of a port's identifier that are texts: alias, interface name, what the switch chose; or none told."""
_ETHERNET: Final = frozenset({6, 62, 69, 117})
"""Types of interfaces (IANAifType-MIB) that are ports with a plug."""
_CAPABLE: Final = (
    "other",
    "repeater",
    "bridge",
    "access-point",
    "router",
    "telephone",
    "docsis",
    "station",
)
_ETHERNET_MAC: Final = 6
_MOST_TEXT: Final = 1_024
_VLAN_NAME: Final = re.compile(r"(?:vlan|vl|irb\.|ve)[ _-]?(?:interface)?[ _-]?(\d{1,4})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class System:
    """What a switch says of itself; `ip` is where it was asked."""

    ip: str
    name: str
    description: str = ""
    object_id: str = ""
    mac: str | None = None


def hidden_vlans(tables: Mapping[str, Cells]) -> tuple[int, ...]:
    """VLANs whose forwarding tables have to be asked for one by one; none where one table has them all."""
    if tables.get("dot1qTpFdbPort"):
        return ()
    # 1002 to 1005 are there by default, for networks that nobody has any more.
    found = {index[-1] for index, state in tables.get("vtpVlanState", {}).items() if index and state == 1}
    return tuple(sorted(vlan for vlan in found if 0 < vlan < 1002 or 1005 < vlan < 4095))


def own_macs(system: System, tables: Mapping[str, Cells]) -> frozenset[str]:
    """The MACs of a switch's own interfaces: a port of another switch that carries one leads to it."""
    found = {mac for value in tables.get("ifPhysAddress", {}).values() if (mac := _mac(value))}
    return frozenset(found | ({system.mac} if system.mac else set()))


def rows_of(system: System, tables: Mapping[str, Cells]) -> Iterator[Row]:
    """What the tables of one switch say, each host on its port; `tables` has the columns by name."""
    reading = _Reading(system, tables)
    yield reading.itself()
    yield from reading.neighbours()
    yield from reading.forwarding()
    yield from reading.lldp()


class _Reading:
    """The tables of one switch, joined."""

    def __init__(self, system: System, tables: Mapping[str, Cells]) -> None:
        self._system = system
        self._tables = tables
        self._interfaces = {
            index[0]: int(value)
            for index, value in self._cells("dot1dBasePortIfIndex").items()
            if len(index) == 1 and isinstance(value, int)
        }
        numbers = [index[0] for index in self._cells("ifName") if len(index) == 1]
        self._aliases = {self._name(at): _text(self._cells("ifAlias").get((at,), b"")) for at in numbers}
        self._power = self._powered()
        self._uplinks: set[str] = set()
        for index, value in self._cells("lldpRemSysCapEnabled").items():
            if len(index) == 3 and _leads_on(_capabilities(value)):
                self._uplinks.add(self._lldp_port(index[1]))

    def itself(self) -> Row:
        """The switch as a host."""
        system = self._system
        facts = [Fact("snmp.sysname", system.name)]
        if system.description:
            facts.append(Fact("snmp.sysdescr", system.description))
        if system.object_id:
            facts.append(Fact("snmp.sysobjectid", system.object_id))
        return Row("snmp", ip=system.ip, facts=tuple(facts), via=system.ip)

    def neighbours(self) -> Iterator[Row]:
        """Addresses with their MACs: ARP and IPv6 neighbours."""
        found: dict[tuple[str, str], int] = {}
        for index, value in self._cells("ipNetToPhysicalPhysAddress").items():
            # ifIndex, type and length of the address, the address.
            mac, ip = _mac(value), _address(index[1:])
            if mac and ip:
                found.setdefault((ip, mac), index[0])
        for index, value in self._cells("ipNetToMediaPhysAddress").items():
            mac, ip = _mac(value), _address((1, 4, *index[1:]))
            if mac and ip:
                found.setdefault((ip, mac), index[0])
        for (ip, mac), interface in found.items():
            name = _VLAN_NAME.fullmatch(self._name(interface))
            yield Row("arp-table", mac, ip, vlan=_vlan(int(name[1])) if name else None, via=self._system.ip)

    def forwarding(self) -> Iterator[Row]:
        """MACs on ports, with their VLANs where the switch has a table for each."""
        vlans = {
            int(value): index[-1]
            for index, value in self._cells("dot1qVlanFdbId").items()
            if isinstance(value, int) and index
        }
        seen: set[tuple[str, str]] = set()
        for index, value in self._cells("dot1qTpFdbPort").items():
            mac = unicast_mac(bytes(index[1:])) if len(index) == 7 and _are_bytes(index[1:]) else None
            port = self._learned(mac, value, self._cells("dot1qTpFdbStatus").get(index))
            if mac and port:
                seen.add((mac, port.name))
                # Where no table says otherwise, a table of forwarding is numbered as its VLAN.
                yield Row(
                    "mac-table",
                    mac,
                    port=port,
                    vlan=_vlan(vlans.get(index[0], index[0])),
                    via=self._system.ip,
                )
        for vlan in (*hidden_vlans(self._tables), None):
            at = "" if vlan is None else f"@{vlan}"
            states = self._cells(f"dot1dTpFdbStatus{at}")
            for index, value in self._cells(f"dot1dTpFdbPort{at}").items():
                mac = unicast_mac(bytes(index)) if len(index) == 6 and _are_bytes(index) else None
                port = self._learned(mac, value, states.get(index), at)
                if mac and port and (mac, port.name) not in seen:
                    seen.add((mac, port.name))
                    yield Row("mac-table", mac, port=port, vlan=vlan, via=self._system.ip)

    def lldp(self) -> Iterator[Row]:
        """Who told the switch its name, on which port."""
        for index, chassis in self._cells("lldpRemChassisId").items():
            if len(index) != 3:
                continue
            mac = None
            for kind, wanted, value in (
                ("lldpRemChassisIdSubtype", _CHASSIS_MAC, chassis),
                ("lldpRemPortIdSubtype", _PORT_MAC, self._cells("lldpRemPortId").get(index, b"")),
            ):
                mac = mac or (_told_mac(value) if self._cells(kind).get(index) == wanted else None)
            if mac is None:
                # Whoever gives neither cannot be told from its neighbours on the port.
                continue
            facts = [
                Fact(field, text)
                for name, field in (
                    ("lldpRemSysName", "lldp.system-name"),
                    ("lldpRemSysDesc", "lldp.system-description"),
                )
                if (text := _text(self._cells(name).get(index, b"")))
            ]
            capabilities = _capabilities(self._cells("lldpRemSysCapEnabled").get(index, b""))
            if capabilities:
                facts.append(Fact("lldp.capabilities", ",".join(capabilities)))
            port = self._port(self._lldp_port(index[1]))
            yield Row("lldp-table", mac, facts=tuple(facts), port=port, via=self._system.ip)

    def _cells(self, name: str) -> Cells:
        return self._tables.get(name, {})

    def _name(self, interface: int) -> str:
        """What the switch calls an interface."""
        for column in ("ifName", "ifDescr"):
            text = _text(self._cells(column).get((interface,), b""))
            if text:
                return text
        return f"interface {interface}"

    def _learned(
        self, mac: str | None, port: bytes | int, status: bytes | int | None, at: str = ""
    ) -> Port | None:
        """The port of an entry that was learned from traffic; entries of the switch itself are none."""
        if mac is None or not isinstance(port, int) or port <= 0 or status not in {None, _LEARNED}:
            return None
        own = self._cells(f"dot1dBasePortIfIndex{at}").get((port,))
        interface = own if isinstance(own, int) else self._interfaces.get(port)
        return self._port(self._name(interface) if interface is not None else f"port {port}")

    def _port(self, name: str) -> Port:
        watts, power_class = self._power.get(name, (None, None))
        return Port(
            self._system.name,
            name,
            self._aliases.get(name) or None,
            name in self._uplinks,
            watts,
            power_class,
        )

    def _lldp_port(self, number: int) -> str:
        """A port of LLDP by the name of its interface: its identifier says it, else its number is the bridge's."""
        kind = self._cells("lldpLocPortIdSubtype").get((number,))
        for column in ("lldpLocPortId", "lldpLocPortDesc"):
            text = _text(self._cells(column).get((number,), b""))
            if text in self._aliases and (column != "lldpLocPortId" or kind in _PORT_NAMES):
                return text
        interface = self._interfaces.get(number, number)
        return self._name(interface)

    def _powered(self) -> dict[str, tuple[float | None, int | None]]:
        """Watts and class of each port that delivers power, by the interface's name.

        RFC 3621 numbers ports within groups and does not say which interface a number is: it is the
        only one whose name ends in the number (and begins with the group's), else the bridge's port.
        """
        kinds = self._cells("ifType")
        plugs = [index[0] for index, kind in kinds.items() if kind in _ETHERNET and len(index) == 1]
        names = {name: _numbers(name) for name in map(self._name, plugs or self._interfaces.values())}
        found: dict[str, tuple[float | None, int | None]] = {}
        for index, status in self._cells("pethPsePortDetectionStatus").items():
            if status != _DELIVERING or len(index) != 2:
                continue
            group, number = index
            fits = sorted(
                (numbers, name)
                for name, numbers in names.items()
                if numbers[-1:] == (number,) and (len(numbers) == 1 or numbers[0] == group)
            )
            if fits and (len(fits) == 1 or fits[0][0] != fits[1][0]):
                name = fits[0][1]
            elif number in self._interfaces and group == 1:
                name = self._name(self._interfaces[number])
            else:
                continue
            milliwatts = self._cells("cpeExtPsePortPwrConsumption").get(index)
            number_of_class = self._cells("pethPsePortPowerClassifications").get(index)
            found[name] = (
                milliwatts / 1000 if isinstance(milliwatts, int) and milliwatts >= 0 else None,
                number_of_class - 1
                if isinstance(number_of_class, int) and 1 <= number_of_class <= 5
                else None,
            )
        return found


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(text) for text in re.findall(r"\d{1,6}", name))


def _leads_on(capabilities: tuple[str, ...]) -> bool:
    """Whether a neighbour is a switch or a router; phones and access points bridge, too, and are edges."""
    return bool({"bridge", "router"} & set(capabilities)) and not {"access-point", "telephone"} & set(
        capabilities
    )


def _capabilities(value: bytes | int) -> tuple[str, ...]:
    """Names of the bits of LldpSystemCapabilitiesMap, whose first bit is the highest."""
    if not isinstance(value, bytes) or not value:
        return ()
    return tuple(name for bit, name in enumerate(_CAPABLE) if value[0] >> (7 - bit) & 1)


def _mac(value: bytes | int) -> str | None:
    return unicast_mac(value) if isinstance(value, bytes) and len(value) == _ETHERNET_MAC else None


def _told_mac(value: bytes | int) -> str | None:
    """A MAC in a neighbour's identifier: six octets or, as ArubaOS-CX has it, their text."""
    if isinstance(value, bytes) and len(value) == 17 and value[2:3] == b":":
        with contextlib.suppress(ValueError):
            return unicast_mac(bytes.fromhex(value.decode("ascii").replace(":", "")))
    return _mac(value)


def _text(value: bytes | int) -> str:
    if not isinstance(value, bytes):
        return ""
    return value[:_MOST_TEXT].decode("utf-8", "replace").replace("\0", "").strip()


def _are_bytes(numbers: Oid) -> bool:
    return all(number < 256 for number in numbers)


def _address(index: Oid) -> str | None:
    """An InetAddress as an index: type (1 IPv4, 2 IPv6, 4 IPv6 with zone), length, octets."""
    if len(index) < 2 or not _are_bytes(index[2:]) or len(index) != 2 + index[1]:
        return None
    octets = bytes(index[2:])
    if (index[0], len(octets)) not in {(1, 4), (2, 16), (4, 20)}:
        return None
    return str(ipaddress.ip_address(octets[:16]))


def _vlan(number: int) -> int | None:
    return number if 0 < number < 4095 else None

"""Reads ARP, forwarding, LLDP and power tables of switches and routers, by SNMP access that the user supplied."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from agent.credentials import Attempts, Credentials
from agent.switches.mibs import BY_VLAN, COLUMNS, SYSTEM, Cells, System, hidden_vlans, own_macs, rows_of
from agent.switches.walk import Bounds, Session, Unanswered
from agent.tables import Row, unicast_mac
from fingerprints.model import Problem

__all__ = ["Bounds", "Reading", "read_switches"]

_AT_ONCE: Final = 4
_MOST_VLANS: Final = 512
_SILENT_VLANS: Final = 2
_NO_COLUMNS_AFTER: Final = frozenset({"dot1qTpFdbStatus", "dot1dTpFdbStatus"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What switches said: `rows`, with each switch's part of the coverage (JSON-shaped)."""

    rows: tuple[Row, ...]
    coverage: tuple[Mapping[str, Any], ...]


async def read_switches(
    hosts: Iterable[str],
    credentials: Credentials,
    problem: Callable[[Problem], None],
    *,
    attempts: Attempts | None = None,
    bounds: Bounds | None = None,
    port: int = 161,
) -> Reading:
    """Ask each host that has SNMP credentials, a few at a time; what goes wrong is told to `problem`.

    A host gets one credential, and no second one where it refuses that.
    """
    room = asyncio.Semaphore(_AT_ONCE)
    tried = attempts or Attempts()

    async def one(ip: str) -> _Switch | None:
        async with room:
            return await _read(ip, credentials, problem, tried, bounds or Bounds(), port)

    found = await asyncio.gather(*(one(ip) for ip in dict.fromkeys(hosts)))
    switches = _told_apart([switch for switch in found if switch is not None])
    return Reading(tuple(_joined(switches)), tuple(switch.coverage() for switch in switches))


@dataclass(frozen=True, slots=True)
class _Switch:
    """One switch with the columns that were read."""

    system: System
    tables: Mapping[str, Cells]

    def coverage(self) -> Mapping[str, Any]:
        """How much was read, JSON-shaped."""
        counts = {name: len(cells) for name, cells in self.tables.items() if cells}
        return {"address": self.system.ip, "name": self.system.name, "tables": counts}


async def _read(
    ip: str,
    credentials: Credentials,
    problem: Callable[[Problem], None],
    attempts: Attempts,
    bounds: Bounds,
    port: int,
) -> _Switch | None:
    grant = credentials.snmp(ip)
    if grant is None:
        problem(Problem(ip, "is named as a switch, and no SNMP credentials are for it", "no-credentials"))
        return None
    if not attempts.begin(ip, grant):
        return None
    session = Session(ip, grant, bounds, port=port)
    tables: dict[str, Cells] = {}
    system = System(ip, ip)
    try:
        await session.open()
        system = _system(ip, await session.get(SYSTEM))
        attempts.accepted(ip, grant)
        for column in COLUMNS:
            if column.name in _NO_COLUMNS_AFTER and not tables.get(column.name.replace("Status", "Port")):
                continue
            tables[column.name] = await session.column(column.oid)
        await _by_vlan(session, tables)
    except Unanswered as error:
        if error.refused:
            attempts.refused(ip)
        problem(Problem(ip, f"{error} ({grant.name})", "switch"))
        if not tables:
            return None
    except OSError as error:
        problem(Problem(ip, f"cannot be asked by SNMP: {error.strerror or error}", "switch"))
        return None
    finally:
        session.close()
    if session.cut:
        problem(Problem(ip, f"its tables were not read to their end: bound of {session.cut}", "switch"))
    return _Switch(system, tables)


async def _by_vlan(session: Session, tables: dict[str, Cells]) -> None:
    """Read what the switch keeps for each VLAN by itself; the first ones without an answer end it."""
    silent = 0
    for vlan in hidden_vlans(tables)[:_MOST_VLANS]:
        try:
            for column in BY_VLAN:
                tables[f"{column.name}@{vlan}"] = await session.column(column.oid, vlan)
            silent = 0
        except Unanswered:
            silent += 1
            if silent > _SILENT_VLANS:
                raise


def _system(ip: str, values: Mapping[str, Any]) -> System:
    def text(name: str) -> str:
        value = values.get(name, b"")
        return (
            value[:1024].decode("utf-8", "replace").replace("\0", "").strip()
            if isinstance(value, bytes)
            else ""
        )

    number = values.get("sysObjectID")
    mac = values.get("dot1dBaseBridgeAddress")
    return System(
        ip,
        text("sysName") or ip,
        text("sysDescr"),
        ".".join(map(str, number)) if isinstance(number, tuple) else "",
        unicast_mac(mac) if isinstance(mac, bytes) else None,
    )


def _told_apart(switches: Sequence[_Switch]) -> list[_Switch]:
    """The same, with its address behind each name that several have: many are called ``Switch``."""
    names = Counter(switch.system.name for switch in switches)
    return [
        replace(switch, system=replace(system, name=f"{system.name} ({system.ip})"))
        if names[(system := switch.system).name] > 1
        else switch
        for switch in switches
    ]


def _joined(switches: Sequence[_Switch]) -> list[Row]:
    """The rows of all; a port that carries another switch's own MAC leads to that switch."""
    owners = {mac: at for at, switch in enumerate(switches) for mac in own_macs(switch.system, switch.tables)}
    read = [list(rows_of(switch.system, switch.tables)) for switch in switches]
    uplinks = {
        (row.port.switch, row.port.name)
        for at, rows in enumerate(read)
        for row in rows
        if row.port is not None and row.mac is not None and owners.get(row.mac, at) != at
    }
    return [
        replace(row, port=replace(row.port, uplink=True))
        if row.port is not None and (row.port.switch, row.port.name) in uplinks
        else row
        for rows in read
        for row in rows
    ]

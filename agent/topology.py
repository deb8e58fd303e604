"""Tells which switch port a device is plugged into, out of the tables of many switches.

A MAC stands in the table of every switch between it and the router. The port it is plugged into
is the one that carries fewest MACs; ports that lead to another switch count only where nothing
better is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from agent.tables import Port, Row
from fingerprints.model import Fact

__all__ = ["placed"]


@dataclass(frozen=True, slots=True)
class _Sighting:
    row: Row
    port: Port


def placed(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, each with the facts ``switch.*`` in it if it shows the port of its MAC; other ports left out.

    Every MAC gets one port. Rows without a port are given as they are.
    """
    sightings: dict[str, list[_Sighting]] = {}
    carried: dict[tuple[str, str], set[str]] = {}
    uplinks: set[tuple[str, str]] = set()
    rest: list[Row] = []
    for row in rows:
        port = row.port
        if port is None or row.mac is None:
            rest.append(row)
            continue
        place = (port.switch, port.name)
        sightings.setdefault(row.mac, []).append(_Sighting(row, port))
        carried.setdefault(place, set()).add(row.mac)
        if port.uplink:
            uplinks.add(place)
    yield from rest
    for mac, seen in sightings.items():
        edge = [item for item in seen if (item.port.switch, item.port.name) not in uplinks] or seen
        best = min(
            edge,
            key=lambda item: (
                len(carried[item.port.switch, item.port.name]),
                item.port.switch,
                item.port.name,
            ),
        )
        others = len(carried[best.port.switch, best.port.name])
        for item in seen:
            # What the row said beside the port (a neighbour's name) stands in any case.
            if item is best or item.row.facts:
                facts = tuple(_facts(item, others)) if item is best else ()
                yield replace(item.row, mac=mac, port=None, facts=(*item.row.facts, *facts))


def _facts(item: _Sighting, macs: int) -> Iterator[Fact]:
    port, row = item.port, item.row
    yield Fact("switch.name", port.switch)
    yield Fact("switch.port", port.name)
    yield Fact("switch.macs", str(macs))
    if port.description:
        yield Fact("switch.port-description", port.description)
    if row.vlan is not None:
        yield Fact("switch.vlan", str(row.vlan))
    if port.poe_watts is not None:
        yield Fact("switch.poe-watts", f"{port.poe_watts:g}")
    if port.poe_class is not None:
        yield Fact("switch.poe-class", str(port.poe_class))

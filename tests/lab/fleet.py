"""Serves many simulated devices from one process, each in its own network namespace.

Standard input brings lines ``{"namespace", "device", "ip", "ip6", "interface", "mac", "late",
"connections"}`` (JSON; with ``"only"``, the parts of the device that answer), then an empty line; the answer is ``ready``. Each line ``announce`` after that has every device
announce itself and is answered with the number of datagrams. The end of the input ends it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import fields, replace
from typing import Any, TextIO

from simulator.device import Device, Place, another, load
from simulator.serve import Habits, Listening, listen, serving
from tests.lab.namespaces import inside

_PROTOCOLS = frozenset(
    {"http", "rtsp", "onvif", "sadp", "dhip", "dahua_legacy", "ws_discovery", "ssdp", "mdns", "tplink_tdp"}
    | {"dhcp", "tcp"}
)


def _open(orders: TextIO) -> list[Listening]:
    opened = []
    for line in iter(orders.readline, "\n"):
        order = json.loads(line)
        with inside(order["namespace"]):
            place = Place(order["ip"], order["mac"], order["ip6"], order["interface"])
            device = load(order["device"])
            if device.mac != place.mac:
                device = another(device, int(place.mac[9:].replace(":", ""), 16))
            if order.get("only"):
                device = _reduced(device, set(order["only"]))
            opened.append(listen(device, place, Habits(order["late"], order["connections"])))
    return opened


def _reduced(device: Device, only: set[str]) -> Device:
    """The device with those of its protocols alone."""
    silent: dict[str, Any] = {
        part.name: part.default
        for part in fields(device)
        if part.name in _PROTOCOLS and part.name not in only
    }
    return replace(device, **silent)


async def _serve(opened: list[Listening], orders: TextIO) -> None:
    async with serving(opened) as running:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while await asyncio.to_thread(orders.readline):
            sys.stdout.write(f"{running.announce()}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(_open(sys.stdin), sys.stdin))

"""Serves many simulated devices from one process, each in its own network namespace.

Standard input brings lines ``{"namespace", "device", "ip", "ip6", "interface", "mac", "late",
"connections"}`` (JSON), then an empty line; the answer is ``ready``. Each line ``announce`` after that has every device
announce itself and is answered with the number of datagrams. The end of the input ends it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TextIO

from simulator.device import Place, another, load
from simulator.serve import Habits, Listening, listen, serving
from tests.lab.namespaces import inside


def _open(orders: TextIO) -> list[Listening]:
    opened = []
    for line in iter(orders.readline, "\n"):
        order = json.loads(line)
        with inside(order["namespace"]):
            place = Place(order["ip"], order["mac"], order["ip6"], order["interface"])
            device = load(order["device"])
            if device.mac != place.mac:
                device = another(device, int(place.mac[9:].replace(":", ""), 16))
            opened.append(listen(device, place, Habits(order["late"], order["connections"])))
    return opened


async def _serve(opened: list[Listening], orders: TextIO) -> None:
    async with serving(opened) as running:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while await asyncio.to_thread(orders.readline):
            sys.stdout.write(f"{running.announce()}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(_open(sys.stdin), sys.stdin))

"""Serves one simulated device until it is interrupted: ``python -m simulator DEVICE --address A``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys

from simulator.device import DeviceError, Place, load, load_all
from simulator.serve import listen, serving

_ANNOUNCE_SECONDS = 5.0


def main() -> int:
    """Parse the command line and serve; 0 when stopped, 1 if it cannot listen, 2 for a wrong call."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("device", nargs="?", help="name of a file in simulator/devices; none lists them")
    parser.add_argument("--address", default="127.77.0.1", help="IPv4 address to stand on")
    parser.add_argument("--address6", default="::1", help="IPv6 address to name in answers")
    parser.add_argument("--interface", help="join the multicast groups on this interface")
    parser.add_argument("--port", action="append", default=[], metavar="OWN=HERE", help="such as 80=8080")
    parser.add_argument("--announce", action="store_true", help="announce the device every few seconds")
    options = parser.parse_args()
    if options.device is None:
        for device in load_all():
            sys.stdout.write(f"{device.id}\n")
        return 0
    try:
        ports = {int(own): int(here) for own, here in (pair.split("=") for pair in options.port)}
        device = load(options.device)
    except (ValueError, DeviceError) as error:
        parser.error(str(error))
    place = Place(options.address, device.mac, options.address6, options.interface, ports)
    try:
        opened = listen(device, place)
    except OSError as error:
        sys.stderr.write(f"{device.id}: {error.strerror or error}\n")
        return 1

    async def serve() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with serving([opened]) as running:
            while not stop.is_set():
                if options.announce:
                    running.announce()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _ANNOUNCE_SECONDS)

    asyncio.run(serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())

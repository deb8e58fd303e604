"""Tests that the demonstration site stands on loopback only, whole, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Mapping

import pytest

from simulator.site import Site
from tests import asking

# Each worker of a parallel run has a network of its own.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]
NETWORK = f"127.79.{WORKER}.0/24"
FIRST = f"127.79.{WORKER}.1"


def test_every_port_of_every_host_answers() -> None:
    """Every TCP port that a device of the site has accepts connections while the site stands, and none after."""

    async def visit() -> list[tuple[str, int]]:
        ports: list[tuple[str, int]] = []
        async with Site(network=NETWORK) as site:
            for host in site.hosts:
                own = [server.port for server in host.device.http] + [tcp.port for tcp in host.device.tcp]
                for port in (site.ports.get(port, port) for port in own):
                    _, writer = await asyncio.open_connection(host.address, port)
                    writer.close()
                    await writer.wait_closed()
                    ports.append((host.address, port))
        return ports

    visited = asyncio.run(visit())
    assert len(visited) >= 20
    for address in visited:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=2)


def test_it_needs_no_root() -> None:
    """No device of the site has a port that only root may bind."""

    async def ports() -> Mapping[int, int]:
        async with Site(network=NETWORK) as site:
            return site.ports

    here = asyncio.run(ports())
    for host in Site(network=NETWORK).hosts:
        device = host.device
        services = [server.port for server in device.http] + [tcp.port for tcp in device.tcp]
        services += [service.port for service in (device.rtsp, device.onvif) if service]
        assert all(here.get(port, port) >= 1024 for port in services), device.id


def test_it_ends_when_the_work_inside_fails() -> None:
    """An error inside the block passes through, and the site is gone."""

    async def fail() -> str:
        async with Site(network=NETWORK) as site:
            raise RuntimeError(site.hosts[0].address)

    with pytest.raises(RuntimeError, match=re.escape(FIRST)):
        asyncio.run(fail())
    with pytest.raises(ConnectionRefusedError):
        asking.over_udp(FIRST, 3702, asking.ws_probe())


def test_other_programs_keep_their_port() -> None:
    """Where another program has port 8080, the site takes another and says which."""

    async def ports() -> int:
        async with Site(network=NETWORK) as site:
            return site.ports[80]

    with socket.create_server((FIRST, 8080)):
        assert asyncio.run(ports()) == 18080


def test_it_stands_nowhere_else() -> None:
    """A network that is not loopback is refused."""
    with pytest.raises(ValueError, match="not loopback"):
        Site(network="192.0.2.0/24")

"""A whole simulated site on loopback addresses, for demonstrations that need no root."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Final, Self

from simulator.device import Device, Place, load_all
from simulator.serve import Running, listen, serving

__all__ = ["Host", "Site"]

_CHOICES: Final[Mapping[int, tuple[int, ...]]] = MappingProxyType(
    {
        80: (8080, 18080, 28080),
        443: (8443, 18443, 28443),
        554: (8554, 18554, 28554),
        631: (8631, 18631, 28631),
    }
)
"""Where a site's devices have the ports that only root may bind, in order of preference."""


@dataclass(frozen=True, slots=True)
class Host:
    """One address of the site with the device that stands there: the truth to compare with."""

    address: str
    device: Device


class Site:
    """All demo devices on consecutive loopback addresses; an async context manager.

    >>> async with Site() as site:
    ...     scan(str(site.network), ports=site.ports)

    `hosts` tells the truth about every address; `ports` maps the ports below 1024 of the
    devices to the ones they have here. Entering raises OSError where a port cannot be had.
    Leaving closes every socket, whatever happened inside.
    """

    def __init__(self, devices: Iterable[Device] | None = None, network: str = "127.77.0.0/24") -> None:
        chosen = [device for device in load_all() if device.demo] if devices is None else list(devices)
        self.network = ipaddress.IPv4Network(network)
        if not self.network.is_loopback:
            raise ValueError(f"{network} is not loopback: a site stands nowhere else")
        self.hosts = tuple(
            Host(str(address), device) for address, device in zip(self.network.hosts(), chosen, strict=False)
        )
        self.ports: Mapping[int, int] = MappingProxyType({})
        self._stack = contextlib.AsyncExitStack()
        self._running: Running | None = None

    async def __aenter__(self) -> Self:
        self.ports = MappingProxyType({port: _free(self.hosts, some) for port, some in _CHOICES.items()})
        async with contextlib.AsyncExitStack() as stack:
            opened = []
            for host in self.hosts:
                place = Place(host.address, host.device.mac, ports=self.ports)
                opened.append(listen(host.device, place))
                stack.callback(opened[-1].close)
            self._running = await stack.enter_async_context(serving(opened))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()


def _free(hosts: tuple[Host, ...], choices: tuple[int, ...]) -> int:
    """The first of `choices` that nothing on this machine has; another program may listen on all addresses."""
    for port in choices:
        with contextlib.suppress(OSError), socket.create_server((hosts[0].address, port)):
            return port
    return choices[0]

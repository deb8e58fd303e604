"""Has the VLANs of a trunk port asked while it is listened to, into a census."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.capture.live import Live
from agent.census import Tally
from agent.config import ConfigError, Settings
from agent.interfaces import Interface
from agent.pace import Pace, Profile
from agent.probes import ALL
from agent.scope import Scope, ScopeError
from agent.trunk import Lan, Trunk, lans_of
from agent.wire import Message
from fingerprints.model import Problem

__all__ = ["VlanScope", "Vlans", "ask_vlans", "chosen_vlans"]


@dataclass(frozen=True, slots=True)
class Vlans:
    """Which VLANs to ask, on which port."""

    port: Interface
    lans: tuple[Lan, ...]

    def describe(self) -> str:
        """For people."""
        return f"{len(self.lans)} VLAN{'' if len(self.lans) == 1 else 's'} on {self.port.name}"


@dataclass(slots=True)
class VlanScope:
    """What is in scope is known once the VLANs' nets are; beside it, what went wrong."""

    trunk: Trunk | None = None
    problems: list[Problem] = field(default_factory=list)

    def allows(self, ip: str) -> bool:
        """Whether an address is in the net of a VLAN that was asked."""
        return self.trunk is not None and self.trunk.allows(ip)


def chosen_vlans(settings: Settings, every: Sequence[Interface]) -> Vlans:
    """The VLANs that the settings name. Raises ConfigError, ScopeError."""
    lans = lans_of(settings.vlans)
    if len(settings.interfaces) != 1:
        raise ConfigError("--vlans: name the one trunk port with --interface")
    (name,) = settings.interfaces
    port = next((face for face in every if face.name == name), None)
    if port is None or not port.up or not port.ethernet or port.mac is None:
        raise ScopeError(f"{name!r}: is no Ethernet port that is up")
    return Vlans(port, lans)


def ask_vlans(
    vlans: Vlans, settings: Settings, profile: Profile, tally: Tally, scope: VlanScope
) -> dict[str, Any]:
    """Ask, with what was heard told to `tally`, the trunk to `scope`; the coverage that tells of it.

    Raises OSError (LiveError) where raw sockets are not allowed.
    """
    return asyncio.run(_Round(vlans, settings, profile, tally, scope).run())


class _Round:
    """One round of questions to all VLANs."""

    def __init__(
        self, vlans: Vlans, settings: Settings, profile: Profile, tally: Tally, scope: VlanScope
    ) -> None:
        self._vlans = vlans
        self._listed = {(lan.number,) for lan in vlans.lans}
        self._settings = settings
        self._pace = Pace(profile)
        self._tally = tally
        self._scope = scope
        self._problem = scope.problems.append

    async def run(self) -> dict[str, Any]:
        """Listen, ask, stop."""
        loop = asyncio.get_running_loop()
        ended = "finished"
        live = Live(self._vlans.port.name, ALL, self._problem)
        trunk = Trunk(
            self._vlans.port, self._vlans.lans, ALL, self._pace, self._problem, scope_of=self._scope_of
        )
        self._scope.trunk = trunk
        with trunk:
            loop.add_reader(live.fileno(), self._hear, live)
            asking = asyncio.create_task(trunk.run())
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, asking.cancel)
            try:
                async with asyncio.timeout(self._settings.time_limit):
                    await asking
            except TimeoutError:
                ended = "time limit"
            except asyncio.CancelledError:
                ended = "interrupted"
            except OSError as error:
                ended = "failed"
                what = f"asking stopped: {error.strerror or error}"
                self._problem(Problem(self._vlans.port.name, what, "not-sent"))
            finally:
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.remove_signal_handler(number)
                with contextlib.suppress(ValueError):
                    loop.remove_reader(live.fileno())
                for message in live.close():
                    self._take(message)
        told = trunk.coverage()
        return {
            "incomplete": ended != "finished" or any(row["address"] is None for row in told["vlans"]),
            "ended": ended,
            "profile": self._pace.profile.name,
            "sent": {"packets": self._pace.packets, "connections": 0},
            "trunk": told,
        }

    def _scope_of(self, own: ipaddress.IPv4Interface) -> Scope:
        settings = self._settings
        return Scope.parse(
            [str(own.network)],
            exclude=settings.exclude,
            allow_public=settings.allow_public,
            own=[str(own)],
        )

    def _hear(self, live: Live) -> None:
        for _, messages in live.take():
            for message in messages:
                self._take(message)

    def _take(self, message: Message) -> None:
        """What hosts of the listed VLANs say; our own questions are no news."""
        if message.sender.mac != self._vlans.port.mac and message.sender.vlan in self._listed:
            self._tally.feed(message)

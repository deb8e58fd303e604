"""Simulated recorders on loopback, with a record of what they were asked."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

import pytest

from agent.credentials import Attempts, Credentials, Login, Secret
from agent.details import Details, Place, Subject, read_details
from agent.pace import PROFILES, Pace, Profile
from agent.wire import Message
from fingerprints.model import Problem
from simulator import web
from simulator.device import Device, Http, load
from simulator.device import Place as Stand
from simulator.serve import listen, serving

__all__ = ["DAHUA", "HIKVISION", "IP", "Standing", "login_of", "standing"]

IP = "127.78.0.1"
HIKVISION = load("hikvision-ds-7732ni-m4")
DAHUA = load("dahua-nvr4216-hds2")


@dataclass
class Standing:
    """A recorder that stands, what was asked of it, and what reading it gave."""

    port: int
    asked: list[tuple[web.Request, bytes]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    attempts: Attempts = field(default_factory=Attempts)
    paces: list[Pace] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """What was asked, in order, with whether a login came along."""
        return [
            f"{'+' if 'authorization' in request.headers else '-'} {request.target}"
            for request, _ in self.asked
        ]

    async def read(
        self,
        login: Login | None,
        maker: str | None,
        *,
        recorder: bool = True,
        tls: bool = False,
        profile: Profile = PROFILES["thorough"],
    ) -> Details:
        """Read it as a scan would."""
        subject = Subject(IP, maker, recorder, (Place(IP, self.port, tls),))
        known = Credentials((login,) if login else ())
        found = Details()
        # Every request waits for its pace: that one belongs to a loop, as a scan's does.
        self.paces.append(Pace(profile))
        await read_details(
            [subject],
            known,
            self.attempts,
            self.messages.append,
            self.problems.append,
            found,
            pace=self.paces[-1],
        )
        return found


def login_of(device: Device, password: Secret | None = None, *, basic_in_clear: bool = False) -> Login:
    """The right login for a simulated device, or one with another password."""
    assert device.account is not None
    return Login(
        "recorders",
        (ip_network("127.78.0.0/16"),),
        device.account.username,
        password or Secret(device.account.password),
        basic_in_clear,
    )


def _free() -> int:
    with socket.socket() as sock:
        sock.bind((IP, 0))
        return int(sock.getsockname()[1])


@contextlib.asynccontextmanager
async def standing(device: Device, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Standing]:
    """Have the web server of a device stand at `IP`; nothing of it but that."""
    here = Standing(_free())
    device = replace(device, sadp=None, dhip=None, tcp=())
    answer = web.answer

    def recording(device: Device, server: Http, place: Stand, request: web.Request, body: bytes) -> bytes:
        here.asked.append((request, body))
        return answer(device, server, place, request, body)

    monkeypatch.setattr(web, "answer", recording)
    stand = Stand(IP, device.mac, ports={80: here.port, 443: here.port})
    async with serving([listen(device, stand)]):
        yield here

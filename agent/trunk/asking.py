"""Sends ARP and discovery questions into each listed VLAN of a trunk port, as one host in each.

Nothing is configured on this machine: frames are written with their tags, and ARP for our address
is answered by us while we ask. Whoever listens to the interface hears the answers. Where no address
is given, the VLAN is listened to first, then an address at the end of its net is taken that nobody
answers for (RFC 5227), for as long as the scan takes. No frame has the tag of a VLAN that is not listed.
"""

from __future__ import annotations

import asyncio
import ctypes
import ipaddress
import itertools
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from agent.interfaces import Interface
from agent.pace import Pace
from agent.scope import Scope, ScopeError
from agent.trunk.frames import Heard, Sender, group_mac, read
from agent.trunk.lans import Lan
from agent.wire import Ask, Probe, Target
from fingerprints.model import Problem

__all__ = ["Trunk"]

_EVERY_PROTOCOL: Final = 3
_SOL_PACKET: Final = 263
_AUXDATA: Final = 8
_SO_ATTACH_FILTER: Final = 26
_AUX: Final = struct.Struct("=IIIHHHH")
_TAG_VALID: Final = 1 << 4
_VLAN_BITS: Final = 0x0FFF
_FRAME: Final = 2_048
_BATCH: Final = 128
_LEARNED_PREFIX: Final = 24
_LISTEN_SECONDS: Final = 6.0
_PROBE_SECONDS: Final = 0.4
_PROBES: Final = 3
_CANDIDATES: Final = 8
_ROUND_SECONDS: Final = 0.6
_LATE_SECONDS: Final = 3.0
_MOST_ARP: Final = 4_096
"""Addresses of one VLAN that are asked for one by one; larger nets are asked by groups alone."""
_MOST_KNOWN: Final = 8_192
_MOST_ANSWERS: Final = 64
"""Answers to ARP that wait to be sent; who floods with requests gets no more."""
_PORTS_FROM: Final = 49_152
# ARP, or a frame to a group: the rest of a busy trunk is of no use here (classic BPF, linux/filter.h).
_FILTER: Final = (
    (0x28, 0, 0, 12),  # ldh [12]
    (0x15, 2, 0, 0x0806),  # jeq #arp, accept
    (0x30, 0, 0, 0),  # ldb [0]
    (0x45, 0, 1, 1),  # jset #1, accept, drop
    (0x06, 0, 0, 0x40000),  # ret accept
    (0x06, 0, 0, 0),  # ret drop
)


@dataclass(slots=True)
class _Vlan:
    """One listed VLAN while it is asked."""

    lan: Lan
    sender: Sender
    scope: Scope | None = None
    heard: dict[ipaddress.IPv4Address, bytes] = field(default_factory=dict)
    wanted: set[ipaddress.IPv4Address] = field(default_factory=set)
    taken: set[ipaddress.IPv4Address] = field(default_factory=set)
    learned: bool = False
    asked: Counter[str] = field(default_factory=Counter)


class Trunk:
    """One trunk port: `run` it once, read `coverage` at any time; a context manager around both.

    `scope_of` gives the addresses of a net that may be asked (it raises ScopeError where none may).
    Raises OSError where raw sockets are not allowed.
    """

    def __init__(
        self,
        port: Interface,
        lans: Sequence[Lan],
        probes: Iterable[Probe],
        pace: Pace,
        problem: Callable[[Problem], None],
        *,
        scope_of: Callable[[ipaddress.IPv4Interface], Scope],
    ) -> None:
        self._port = port
        self._mac = bytes.fromhex((port.mac or "").replace(":", ""))
        self._pace = pace
        self._problem = problem
        self._scope_of = scope_of
        self._probes = tuple(
            probe
            for probe in probes
            if probe.transport == "udp" and probe.hello and any(":" not in group for group in probe.groups)
        )
        self._vlans = {lan.number: _Vlan(lan, Sender(lan.number, self._mac)) for lan in lans}
        self._strange: Counter[int] = Counter()
        self._answered: set[asyncio.Task[None]] = set()
        self._sock = self._opened()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def allows(self, ip: str) -> bool:
        """Whether an address is in the scope of any VLAN."""
        return any(vlan.scope is not None and vlan.scope.allows(ip) for vlan in self._vlans.values())

    def coverage(self) -> dict[str, Any]:
        """What was asked in each VLAN, JSON-shaped, and which others were heard."""
        return {
            "interface": self._port.name,
            "vlans": [
                {
                    "vlan": number,
                    "address": str(vlan.sender.ip) if vlan.sender.ip else None,
                    "learned": vlan.learned,
                    "alive": len(vlan.heard),
                    "asked": dict(sorted(vlan.asked.items())),
                }
                for number, vlan in self._vlans.items()
            ],
            "vlans_heard_not_listed": sorted(self._strange),
        }

    async def run(self) -> None:
        """Ask every VLAN that has an address or lets one be learned; ends when late answers had their time."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._sock, self._receive)
        try:
            await self._settle_addresses()
            ready = [vlan for vlan in self._vlans.values() if vlan.sender.ip is not None]
            for _ in range(self._pace.profile.passes):
                await self._ask_groups(ready)
                for vlan in ready:
                    await self._ask_addresses(vlan)
                await asyncio.sleep(_ROUND_SECONDS)
            for vlan in ready:
                await self._ask_hosts(vlan)
            await asyncio.sleep(_LATE_SECONDS)
        finally:
            loop.remove_reader(self._sock)

    # Addresses

    async def _settle_addresses(self) -> None:
        vlans = self._vlans.values()
        await asyncio.gather(*(self._given(vlan, vlan.lan.own) for vlan in vlans if vlan.lan.own is not None))
        unknown = [vlan for vlan in vlans if vlan.lan.own is None]
        if unknown:
            await asyncio.sleep(_LISTEN_SECONDS)
            await asyncio.gather(*(self._learn(vlan) for vlan in unknown))

    async def _given(self, vlan: _Vlan, own: ipaddress.IPv4Interface) -> None:
        """Be the host that the user says, unless there is one."""
        if await self._is_free(vlan, own.ip):
            self._take(vlan, own)
            return
        mac = vlan.heard.get(own.ip)
        who = f"{mac.hex(':')} has it" if mac else "somebody else wants it"
        self._problem(Problem(self._place(vlan), f"is not asked: {own.ip} is taken, {who}", "vlan"))

    async def _is_free(self, vlan: _Vlan, ip: ipaddress.IPv4Address) -> bool:
        """Whether nobody answers for an address that is probed for as RFC 5227 has it."""
        for _ in range(_PROBES):
            await self._send(vlan.sender.who_has(str(ip)))
            await asyncio.sleep(_PROBE_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        return ip not in vlan.heard and ip not in vlan.taken

    def _take(self, vlan: _Vlan, own: ipaddress.IPv4Interface) -> bool:
        """Be the host `own` in a VLAN."""
        try:
            vlan.scope = self._scope_of(own)
        except ScopeError as error:
            self._problem(Problem(self._place(vlan), f"is not asked: {error}", "vlan"))
            return False
        vlan.sender = Sender(vlan.lan.number, self._mac, own.ip)
        return True

    async def _learn(self, vlan: _Vlan) -> None:
        """Take an address that nobody has, in the net that most of those who were heard are in."""
        nets = Counter(
            ipaddress.IPv4Network((ip, _LEARNED_PREFIX), strict=False)
            for ip in (*vlan.heard, *vlan.wanted)
            if ip.is_private and not (ip.is_link_local or ip.is_loopback or ip.is_unspecified)
        )
        if not nets:
            what = f"nothing was heard there to learn an address from; give one: --vlans {vlan.lan.number}=ADDRESS/PREFIX"
            self._problem(Problem(self._place(vlan), what, "vlan"))
            return
        net = min(nets, key=lambda net: (-nets[net], net))
        try:
            scope = self._scope_of(ipaddress.IPv4Interface((net.network_address, _LEARNED_PREFIX)))
        except ScopeError as error:
            self._problem(Problem(self._place(vlan), f"is not asked: {error}", "vlan"))
            return
        hosts = (net.broadcast_address - number for number in range(2, 2 + 128))
        free = (
            ip for ip in hosts if scope.allows(str(ip)) and ip not in vlan.heard and ip not in vlan.wanted
        )
        for ip in itertools.islice(free, _CANDIDATES):
            if await self._is_free(vlan, ip):
                vlan.learned = self._take(vlan, ipaddress.IPv4Interface((ip, _LEARNED_PREFIX)))
                return
        self._problem(Problem(self._place(vlan), f"no free address was found in {net}: give one", "vlan"))

    # Questions

    async def _ask_groups(self, vlans: Sequence[_Vlan]) -> None:
        for number, probe in enumerate(self._probes):
            for group in probe.groups:
                if ":" in group or probe.hello is None:
                    continue
                for ask in probe.hello(Target(group, probe.ports[0], "udp", self._port.name)):
                    for vlan in vlans:
                        await self._ask(vlan, probe, number, group, group_mac(group), ask)

    async def _ask_addresses(self, vlan: _Vlan) -> None:
        """ARP for every address of the scope that was not heard of yet."""
        scope = vlan.scope
        if scope is None:
            return
        if len(scope) > _MOST_ARP:
            if not vlan.asked["arp"]:
                what = f"{len(scope):,} addresses are too many to ask for one by one: only groups were asked"
                self._problem(Problem(self._place(vlan), what, "vlan"))
                vlan.asked["arp"] = 0
            return
        for ip in scope:
            if ipaddress.IPv4Address(ip) not in vlan.heard:
                vlan.asked["arp"] += 1
                await self._send(vlan.sender.who_has(ip))

    async def _ask_hosts(self, vlan: _Vlan) -> None:
        """Those that ignore groups: each live host of the scope is asked by itself, once."""
        for ip, mac in tuple(vlan.heard.items()):
            if vlan.scope is None or not vlan.scope.allows(str(ip)):
                continue
            for number, probe in enumerate(self._probes):
                if probe.unicast and probe.hello is not None:
                    for ask in probe.hello(Target(str(ip), probe.ports[0])):
                        await self._ask(vlan, probe, number, str(ip), mac, ask)

    async def _ask(self, vlan: _Vlan, probe: Probe, number: int, ip: str, mac: bytes, ask: Ask) -> None:
        ports = (probe.reply_port or _PORTS_FROM + number, ask.port or probe.ports[0])
        frame = vlan.sender.datagram(mac, ip, ports, ask.payload)
        if frame is not None:
            vlan.asked[probe.name] += 1
            await self._send(frame)

    async def _send(self, frame: bytes) -> None:
        await self._pace.packet_rate()
        await asyncio.get_running_loop().sock_sendall(self._sock, frame)

    # What comes

    def _opened(self) -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            code = b"".join(struct.pack("=HBBI", *row) for row in _FILTER)
            kept = ctypes.create_string_buffer(code, len(code))
            sock.setsockopt(
                socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_FILTER), ctypes.addressof(kept))
            )
            sock.setsockopt(_SOL_PACKET, _AUXDATA, 1)
            sock.bind((self._port.name, _EVERY_PROTOCOL))
            sock.settimeout(0)
        except BaseException:
            sock.close()
            raise
        return sock

    def _receive(self) -> None:
        for _ in range(_BATCH):
            try:
                frame, ancillary, _, address = self._sock.recvmsg(_FRAME, socket.CMSG_SPACE(_AUX.size))
            except OSError:
                # Nothing more, or a link that is down, which shows in sending.
                return
            if address[2] == socket.PACKET_OUTGOING:
                continue
            tag = _tag(ancillary)
            vlan = self._vlans.get(tag) if tag is not None else None
            if vlan is None:
                if tag and len(self._strange) < _MOST_KNOWN:
                    self._strange[tag] += 1
                continue
            found = read(frame)
            if found is not None and found.mac != self._mac:
                self._heed(vlan, found)

    def _heed(self, vlan: _Vlan, found: Heard) -> None:
        if not found.ip.is_unspecified and len(vlan.heard) < _MOST_KNOWN:
            vlan.heard.setdefault(found.ip, found.mac)
        if found.asks is None:
            return
        if found.ip.is_unspecified:
            # Somebody else probes for it, too.
            vlan.taken.add(found.asks)
        if len(vlan.wanted) < _MOST_KNOWN:
            vlan.wanted.add(found.asks)
        if found.asks == vlan.sender.ip and not found.ip.is_unspecified:
            self._answer(vlan.sender.here(found.mac, found.ip.packed))

    def _answer(self, frame: bytes) -> None:
        """Send at once, beside the questions: whoever asks for us is about to answer one."""
        if len(self._answered) >= _MOST_ANSWERS:
            return
        task = asyncio.get_running_loop().create_task(self._send(frame))
        self._answered.add(task)
        task.add_done_callback(self._answered.discard)

    def _place(self, vlan: _Vlan) -> str:
        return f"{self._port.name} VLAN {vlan.lan.number}"


def _tag(ancillary: Iterable[tuple[int, int, bytes]]) -> int | None:
    """The VLAN of a frame, which the kernel tells beside it; None for one without a tag."""
    for level, kind, value in ancillary:
        if level == _SOL_PACKET and kind == _AUXDATA and len(value) >= _AUX.size:
            status, _, _, _, _, tag, _ = _AUX.unpack_from(value)
            return tag & _VLAN_BITS if status & _TAG_VALID else None
    return None

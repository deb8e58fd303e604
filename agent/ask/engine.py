"""Asks every live host every protocol, within its budget, as soon as the host is known.

There is no barrier: the groups of each link are asked at once, a host as soon as the sweep
or any answer shows it alive. What comes back is emitted as Messages, unread; hooks that the
caller passes say where an answer leads. Only hosts of the scope are asked; others that answer
a group are emitted, never asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import socket
import ssl
import time
from collections import Counter, deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from agent.ask.datagrams import BROADCAST, Datagrams
from agent.ask.ports import DEFAULT_PORTS, SILENT_PORTS, TLS_PORTS
from agent.ask.streams import Line, Patience, Reply, open_line, open_tls
from agent.dial import dial
from agent.interfaces import Interface, on_link
from agent.neighbours import Neighbours
from agent.pace import Allowance, BudgetSpent, Pace
from agent.scope import Scope
from agent.wire import OPEN_PORT, SIGHTING, Ask, Message, Probe, Target, Transport
from fingerprints.model import Problem, Speaker

__all__ = ["Asking", "Living", "Plan"]

_MAX_TROUBLE: Final = 5
"""Resets, failed handshakes and silences in a row after which a host is left alone."""
_MAX_DATAGRAMS: Final = 64
"""Datagrams of one protocol that are taken from one address."""
_MAX_SAID: Final = 16_384
"""Datagrams of ours that are remembered, to know them when they come back."""
_MAX_STRANGERS: Final = 4_096
"""Addresses outside the scope that are remembered."""
_MAX_NAMED: Final = 16
"""Ports that one host may name for itself."""
_ROUND_SECONDS: Final = 0.4
_RETRY_SECONDS: Final = 0.5
"""Between two questions by UDP to a host that answered neither."""
_FEW_DATAGRAMS: Final = 6
"""Questions by UDP to a host without any service, in a profile that spares hosts."""
_LISTED: Final = 256

Dialect = Literal["http", "rtsp", "own"]
Heard = Literal["http", "rtsp", "own", "tls", "other", "closed", "nothing", "failed"]


Fault = tuple[str, str] | None
"""Kind and text of what a host did wrong at a port."""


class Living(Protocol):
    """A live host, as whoever found it tells it."""

    @property
    def ip(self) -> str:
        """Its address, with its zone where link-local."""

    @property
    def mac(self) -> str | None:
        """Its MAC, if it is on a link of ours."""

    @property
    def how(self) -> str:
        """How it was found."""

    @property
    def rtt(self) -> float | None:
        """One round trip in seconds, where one was measured."""


def _no_ports(_message: Message) -> Iterable[int]:
    return ()


def _never_settled(_ip: str, _mac: str | None) -> bool:
    return False


def _nobody(_ip: str) -> None:
    return None


def _no_leads(_message: Message) -> Iterable[tuple[Probe, Ask]]:
    return ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask beside the probes' own questions.

    `ports` are the TCP ports tried at each host, in this order. `ports_named` tells the TCP
    ports that a message of a host names for itself; `leads` tells further questions for the
    same host, each with the probe that reads the answer (`Ask.port` and `Ask.transport` say
    where). `settled` says whether enough is known of a host (address, MAC where known) that no
    further question is needed; with `every_port` its ports are tried all the same, unspoken to.
    `finished` is told of a host that has been asked everything; hosts in `done` were, before.
    `clock` dates messages (seconds since 1970).
    """

    ports: tuple[int, ...] = DEFAULT_PORTS
    every_port: bool = False
    settled: Callable[[str, str | None], bool] = _never_settled
    finished: Callable[[str], None] = _nobody
    done: frozenset[str] = frozenset()
    ports_named: Callable[[Message], Iterable[int]] = _no_ports
    leads: Callable[[Message], Iterable[tuple[Probe, Ask]]] = _no_leads
    patience: Patience = field(default_factory=Patience)
    clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class _Way:
    """How to speak at a port."""

    transport: Transport
    dialect: Dialect


@dataclass(slots=True, eq=False)
class _Host:
    """One host while it is asked."""

    ip: str
    mac: str | None
    rtt: float | None
    allowance: Allowance
    seen: set[tuple[object, ...]] = field(default_factory=set)
    open: set[int] = field(default_factory=set)
    blamed: set[str] = field(default_factory=set)
    named: int = 0
    tasks: int = 0
    has_room: bool = False
    trouble: int = 0
    left_alone: bool = False
    settled: bool = False
    spared: bool = False
    stale: bool = True
    answered_any: bool = False
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def first_time(self, *what: object) -> bool:
        """Whether this is done here for the first time."""
        if what in self.seen:
            return False
        self.seen.add(what)
        return True


class Asking:
    """One round of questions: `run` it once, read `coverage()` at any time, also after a cancel.

    `emit` takes each Message, `problem` each Problem; both are called in the event loop.
    """

    def __init__(
        self,
        scope: Scope,
        probes: Sequence[Probe],
        pace: Pace,
        emit: Callable[[Message], None],
        problem: Callable[[Problem], None],
        *,
        interfaces: Sequence[Interface] = (),
        plan: Plan | None = None,
        neighbours: Neighbours | None = None,
    ) -> None:
        self._scope = scope
        self._pace = pace
        self._emit = emit
        self._problem = problem
        self._plan = plan or Plan()
        self._patience = self._plan.patience
        self._interfaces = tuple(interfaces)
        self._neighbours = neighbours or Neighbours()
        spoken = sorted((probe for probe in probes if probe.hello is not None), key=lambda probe: probe.order)
        self._udp = tuple(probe for probe in spoken if probe.transport == "udp")
        self._dialects: dict[Dialect, tuple[Probe, ...]] = {"http": (), "rtsp": (), "own": ()}
        self._dialect_of: dict[str, Dialect] = {}
        for probe in spoken:
            if probe.transport in {"tcp", "tls"}:
                dialect = self._dialect_of[probe.name] = _dialect(probe)
                self._dialects[dialect] += (probe,)
        self._links = tuple(face for face in self._interfaces if face.multicast and self._touches(face))
        self._datagrams = Datagrams(self._udp, self._links, self._received, problem)
        self._own = {text.partition("/")[0] for face in self._interfaces for text in face.addresses}
        self._hosts: dict[str, _Host] = {}
        self._room = asyncio.Semaphore(pace.profile.hosts)
        self._quiet = asyncio.Event()
        self._busy = 0
        self._last_sent = 0.0
        self._last_group = 0.0
        self._groups_asked = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._complete = False
        self._last_asks: dict[str, Ask] = {}
        self._said: set[bytes] = set()
        self._taken: Counter[tuple[str, str]] = Counter()
        self._strangers: dict[str, None] = {}
        self._found_by: Counter[str] = Counter()
        self._asked: dict[str, set[str]] = {}
        self._answered: dict[str, set[str]] = {}
        self._group_asks: Counter[str] = Counter()
        self._link_asks: Counter[str] = Counter()
        self._ports: Counter[str] = Counter()
        self._ports_by_subnet: dict[str, Counter[str]] = {}

    @property
    def progress(self) -> tuple[int, int]:
        """Hosts met by now, and how many of them have been asked everything."""
        return len(self._hosts), sum(not host.tasks for host in self._hosts.values())

    async def run(self, alive: AsyncIterable[Living]) -> None:
        """Ask every host that `alive` gives, and whoever of the scope answers a group.

        Ends when all is asked and late answers had their time. When it is cancelled, every
        socket is closed, what was emitted stands, and `coverage` tells what is missing.
        """
        self._quiet.set()
        try:
            self._datagrams.open(sorted({span.version for span in self._scope.spans}))
            async with asyncio.TaskGroup() as group:
                self._group = group
                feeding = group.create_task(self._feed(alive))
                asking = group.create_task(self._ask_groups())
                group.create_task(self._wait_for_late_answers(feeding, asking))
            self._complete = True
        finally:
            self._group = None
            self._datagrams.close()
            self._tell_macs()

    def coverage(self) -> dict[str, Any]:
        """Who was asked what by now, who answered, what is missing: JSON-shaped."""
        unfinished = [host.ip for host in self._hosts.values() if host.tasks]
        left_alone = [host.ip for host in self._hosts.values() if host.left_alone]
        return {
            "incomplete": not self._complete,
            "alive": len(self._hosts),
            "found_by": dict(sorted(self._found_by.items())),
            "asked": {name: len(hosts) for name, hosts in sorted(self._asked.items())},
            "answered": {name: len(hosts) for name, hosts in sorted(self._answered.items())},
            "group_questions": dict(sorted(self._group_asks.items())),
            "group_questions_by_interface": dict(sorted(self._link_asks.items())),
            "ports": {
                "asked": list(self._plan.ports),
                **{kind: self._ports[kind] for kind in ("open", "refused", "timed_out", "unreachable")},
            },
            "interfaces": [face.name for face in self._links],
            "interfaces_without_targets": [
                face.name for face in self._interfaces if face not in self._links and face.multicast
            ],
            "hosts_asked_little": sum(host.spared for host in self._hosts.values()),
            "settled_early": sum(host.settled for host in self._hosts.values()),
            "outside_the_scope": len(self._strangers),
            "left_alone": left_alone[:_LISTED],
            "unfinished": unfinished[:_LISTED],
            "unfinished_hosts": len(unfinished),
        }

    def asked_by_subnet(self) -> dict[str, dict[str, dict[str, int]]]:
        """Of each subnet (/24, /64): hosts asked and hosts silent in each protocol, TCP ports by what became of them."""
        found: dict[str, dict[str, Counter[str]]] = {}
        for name, hosts in self._asked.items():
            for ip in hosts:
                rows = found.setdefault(_subnet(ip), {"asked": Counter(), "timed_out": Counter()})
                rows["asked"][name] += 1
                if ip not in self._answered.get(name, ()):
                    rows["timed_out"][name] += 1
        for subnet, ports in self._ports_by_subnet.items():
            found.setdefault(subnet, {"asked": Counter(), "timed_out": Counter()})["tcp_ports"] = ports
        return {
            subnet: {kind: dict(sorted(row.items())) for kind, row in rows.items()}
            for subnet, rows in sorted(found.items())
        }

    # Hosts

    async def _feed(self, alive: AsyncIterable[Living]) -> None:
        hosts = aiter(alive)
        try:
            async for living in hosts:
                if not self._scope.allows(living.ip):
                    continue
                await self._room.acquire()
                host = self._meet(living.ip, living.mac, living.how, living.rtt)
                if host.tasks and not host.has_room:
                    host.has_room = True
                else:
                    self._room.release()
        finally:
            # A sweep that nobody waits for any more ends now, not when it is collected.
            close = getattr(hosts, "aclose", None)
            if close is not None:
                await close()

    def _meet(self, ip: str, mac: str | None, how: str, rtt: float | None = None) -> _Host:
        """The host at an address of the scope; if it is new, asking it begins."""
        host = self._hosts.get(ip)
        if host is None:
            host = self._hosts[ip] = _Host(ip, mac, rtt, self._pace.host(ip))
            self._found_by[how] += 1
            self._sight(ip, mac)
            if ip in self._plan.done:
                host.settled = True
            else:
                self._start(host, self._ask_host(host))
        elif mac is not None and host.mac is None:
            host.mac = mac
            self._sight(ip, mac)
        return host

    def _sight(self, ip: str, mac: str | None) -> None:
        speaker = self._speaker(ip, None, mac)
        self._emit(self._message("ethernet" if mac else "tcp", b"", speaker, SIGHTING))

    def _tell_macs(self) -> None:
        """Whoever was asked, or resolved our address to answer, stands in the kernel's table by now."""
        table = self._neighbours.fresh()
        for host in self._hosts.values():
            if host.mac is None and host.ip in table and on_link(host.ip, self._interfaces):
                host.mac = table[host.ip].mac
                self._sight(host.ip, host.mac)
        for ip in self._strangers:
            if ip in table and on_link(ip, self._interfaces):
                self._sight(ip, table[ip].mac)

    def _start(self, host: _Host, work: Awaitable[None]) -> None:
        """Do `work` for a host beside everything else."""
        if self._group is None:
            # Being cancelled; the coroutine is closed unstarted.
            if asyncio.iscoroutine(work):
                work.close()
            return
        host.tasks += 1
        self._busy += 1
        self._quiet.clear()
        self._group.create_task(self._guarded(host, work))

    async def _contained(self, host: _Host, work: Awaitable[None]) -> None:
        """What one host provokes must not end the scan, nor the other questions to it."""
        try:
            await work
        except BudgetSpent as spent:
            self._blame(host, "budget", f"had all the {spent} that the profile allows")
        except Exception as error:  # noqa: BLE001 - as said
            self._blame(host, "failed", f"asking failed: {type(error).__name__}: {error}"[:300])

    async def _guarded(self, host: _Host, work: Awaitable[None]) -> None:
        await self._contained(host, work)
        # A cancelled host stays unfinished, so that the coverage can say so.
        host.tasks -= 1
        self._busy -= 1
        if not host.tasks:
            self._plan.finished(host.ip)
            if host.has_room:
                host.has_room = False
                self._room.release()
        if not self._busy:
            self._quiet.set()

    def _blame(self, host: _Host, kind: str, what: str, port: int | None = None) -> None:
        """One Problem for each host and kind."""
        if kind not in host.blamed:
            host.blamed.add(kind)
            self._problem(Problem(f"{host.ip} port {port}" if port else host.ip, what, kind))

    async def _ask_host(self, host: _Host) -> None:
        """Cheap questions first; none further once enough is known."""
        near = self._links and on_link(host.ip, self._links) is not None
        if near:
            await self._listen(host, self._patience.soon, self._groups_asked)
        else:
            await self._ask_datagrams(host)
            await self._listen(host, self._patience.soon)
        await self._try_ports(host)
        for attempt in range(self._pace.profile.tries):
            if self._settled(host) or (attempt == self._pace.profile.tries - 1 and not near):
                return
            if attempt:
                await asyncio.sleep(_RETRY_SECONDS)
            await self._ask_datagrams(host)

    async def _listen(self, host: _Host, seconds: float, began: asyncio.Event | None = None) -> None:
        """Give answers so long to come in, counted from when the question was sent; no longer than needed."""
        loop = asyncio.get_running_loop()
        if began is not None:
            await began.wait()
        end = (self._last_group if began is not None else loop.time()) + seconds
        while not self._settled(host) and loop.time() < end:
            host.answered.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    await host.answered.wait()

    async def _ask_datagrams(self, host: _Host) -> None:
        """Ask by UDP, alone, what has not been answered yet; of a host that shows no service, little."""
        left = _FEW_DATAGRAMS if host.spared else None
        near = on_link(host.ip, self._links) is not None
        for probe in self._udp:
            if not probe.unicast or host.ip in self._answered.get(probe.name, ()):
                continue
            if near and probe.groups == (BROADCAST,) and self._group_asks[probe.name]:
                # Whoever hears that asked of itself alone has heard it asked of everybody.
                continue
            target = Target(host.ip.partition("%")[0], probe.ports[0], "udp", _zone(host.ip))
            asks = probe.hello(target) if probe.hello else ()
            for ask in asks if left is None else asks[:1]:
                if left is not None:
                    if not left:
                        return
                    left -= 1
                await self._send(host, probe, ask)

    async def _try_ports(self, host: _Host) -> None:
        """Try the likely ports; the others where anything came of that, or the profile does not spare them."""
        ports = self._plan.ports
        few = self._pace.profile.ports_first
        first = ports[:few] if few and not self._plan.every_port else ports
        await self._visits(host, first)
        if len(first) < len(ports):
            if host.open or host.answered_any or host.trouble:
                await self._visits(host, ports[few:])
            else:
                host.spared = True

    async def _visits(self, host: _Host, ports: Sequence[int]) -> None:
        if self._settled(host) and not self._plan.every_port:
            return
        async with asyncio.TaskGroup() as group:
            for port in ports:
                group.create_task(self._contained(host, self._visit(host, port, named=False)))

    def _settled(self, host: _Host) -> bool:
        """Whether no further question is needed; asked anew only after the host has said something."""
        if not host.settled and host.stale:
            host.stale = False
            host.settled = self._plan.settled(host.ip, host.mac)
        return host.settled

    # Datagrams

    def _touches(self, face: Interface) -> bool:
        return any(self._scope.overlaps(text) for text in face.addresses)

    async def _ask_groups(self) -> None:
        failed: dict[tuple[str, bool], OSError] = {}
        worked: set[tuple[str, bool]] = set()
        for number in range(self._pace.profile.rounds if self._datagrams.group_asks else 0):
            if number:
                await asyncio.sleep(_ROUND_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            for question in self._datagrams.group_asks:
                await self._pace.packet_rate()
                self._last_asks.setdefault(question.probe.name, question.ask)
                self._said.add(question.ask.payload)
                way = question.interface.name, ":" in question.group
                try:
                    self._datagrams.send_group(question)
                except OSError as error:
                    # An address of ours may be too new to be used yet: the next round tries again.
                    failed[way] = error
                else:
                    worked.add(way)
                    self._group_asks[question.probe.name] += 1
                    self._link_asks[question.interface.name] += 1
                    self._last_group = asyncio.get_running_loop().time()
            self._groups_asked.set()
        self._groups_asked.set()
        for way, why in failed.items():
            if way not in worked:
                version = "IPv6" if way[1] else "IPv4"
                what = f"{version} groups cannot be asked: {why.strerror or why}"
                self._problem(Problem(way[0], what, "interface"))

    async def _wait_for_late_answers(self, *first: asyncio.Task[None]) -> None:
        """Stay until all is asked and the last datagrams' answers had their time.

        Where enough is known of everybody, only those that nobody knows of yet are waited for,
        and these answer a group at once as a rule.
        """
        await asyncio.wait(first)
        loop = asyncio.get_running_loop()
        while True:
            await self._quiet.wait()
            patience = self._patience
            at_ease = all(self._settled(host) or host.left_alone for host in self._hosts.values())
            ends = [self._last_group + (patience.soon if at_ease else patience.linger)]
            if not at_ease:
                ends.append(self._last_sent + patience.soon)
            left = max(ends) - loop.time() if self._last_group or self._last_sent else 0.0
            if left <= 0:
                return
            await asyncio.sleep(left)

    async def _send(self, host: _Host, probe: Probe, ask: Ask) -> None:
        await host.allowance.packet(len(ask.payload))
        try:
            if not self._datagrams.send(probe, ask, host.ip, ask.port or probe.ports[0]):
                return
        except OSError as error:
            self._blame(host, "unreachable", f"cannot be reached: {error.strerror or error}")
            return
        self._last_asks.setdefault(probe.name, ask)
        if len(self._said) < _MAX_SAID:
            self._said.add(ask.payload)
        self._asked.setdefault(probe.name, set()).add(host.ip)
        self._last_sent = asyncio.get_running_loop().time()

    def _received(self, probe: Probe, payload: bytes, ip: str, port: int) -> None:
        if ip in self._own or payload in self._said:
            # Our own question, looped back to the port that answers are sent to.
            return
        allowed = self._scope.allows(ip)
        if not allowed and ip not in self._strangers:
            if len(self._strangers) >= _MAX_STRANGERS:
                return
            self._strangers[ip] = None
        self._taken[probe.name, ip] += 1
        if self._taken[probe.name, ip] > _MAX_DATAGRAMS:
            if self._taken[probe.name, ip] == _MAX_DATAGRAMS + 1:
                self._problem(Problem(ip, f"{probe.name}: too many answers; the rest is not read", "flood"))
            return
        near = on_link(ip, self._interfaces) is not None
        mac = self._neighbours.mac(ip) if near else None
        ask = self._last_asks.get(probe.name)
        asked = ask.payload if ask else b""
        self._answered.setdefault(probe.name, set()).add(ip)
        message = self._message("udp", payload, self._speaker(ip, port, mac), probe.name, asked)
        self._emit(message)
        if not allowed:
            return
        host = self._meet(ip, mac, "answer")
        host.answered_any = host.stale = True
        host.answered.set()
        if ask is not None:
            for more in probe.follow(ask, payload):
                self._start(host, self._lead(host, probe, more))
        self._follow_leads(host, message)

    # Streams

    async def _visit(self, host: _Host, port: int, *, named: bool) -> None:
        """See whether a port is open, then speak there: if that is not understood, in other ways, each once."""
        if not host.first_time("port", port, named):
            return
        ways = () if port in SILENT_PORTS and not named else self._ways(port)[:1]
        tried: set[_Way] = set()
        while True:
            async with host.allowance.connection():
                sock = await self._dial(host, port)
                if sock is None:
                    return
                if not ways or self._settled(host):
                    sock.close()
                    return
                way = ways[0]
                tried.add(way)
                heard, more, fault = await self._speak(host, port, way, sock)
            if heard == way.dialect:
                self._settle(host, port, fault)
                await self._go_on(host, port, way.transport, more)
                return
            ways = tuple(other for other in self._others(way, heard, port) if other not in tried)
            if not ways:
                self._settle(host, port, fault)
                return

    def _ways(self, port: int) -> tuple[_Way, ...]:
        """How this port is spoken to first, then what else might be understood there."""
        if port in TLS_PORTS:
            order = [_Way("tls", "http"), _Way("tcp", "http")]
        elif any(port in probe.ports for probe in self._dialects["rtsp"]):
            order = [_Way("tcp", "rtsp"), _Way("tcp", "http")]
        else:
            order = [_Way("tcp", "http"), _Way("tcp", "rtsp")]
        own = [_Way("tcp", "own") for probe in self._dialects["own"] if port in probe.ports]
        return (*own, *(way for way in order if self._dialects[way.dialect]))

    def _others(self, way: _Way, heard: Heard, port: int) -> tuple[_Way, ...]:
        """What else a port might understand that answered one way of speaking with `heard`."""
        encrypted = (_Way("tls", "http"),) if self._dialects["http"] else ()
        if heard == "tls":
            return encrypted
        if heard == "nothing" and (
            way.transport == "tls" or any(port in probe.ports for probe in self._dialects[way.dialect])
        ):
            return ()
        # A TLS server closes without a word when HTTP is spoken to it in clear.
        return (*self._ways(port), *(encrypted if heard == "closed" else ()))

    async def _speak(
        self, host: _Host, port: int, way: _Way, sock: socket.socket
    ) -> tuple[Heard, deque[tuple[Probe, Ask]], Fault]:
        """Ask the first question of a dialect over `sock`.

        What was heard, what there is to ask next, what was wrong.
        """
        target = Target(host.ip.partition("%")[0], port, way.transport, _zone(host.ip))
        probes = self._dialects[way.dialect]
        if way.dialect == "own":
            probes = tuple(probe for probe in probes if port in probe.ports)
        asks = deque((probe, ask) for probe in probes for ask in (probe.hello(target) if probe.hello else ()))
        probe, ask = asks.popleft()
        host.first_time(port, way.transport, ask.payload)
        try:
            line = await self._open(host, port, way.transport, sock)
        except OSError as error:
            return "failed", asks, _tls_fault(error)
        reply = await self._exchange(host, line, port, way.transport, (probe, ask))
        heard = _heard(reply, way.dialect)
        if heard == way.dialect:
            asks.extendleft((probe, more) for more in reversed(probe.follow(ask, reply.payload)))
        return heard, asks, _fault(reply)

    async def _go_on(
        self, host: _Host, port: int, transport: Transport, asks: deque[tuple[Probe, Ask]]
    ) -> None:
        """Ask the rest, each question on a connection of its own, answers' follow-ups first."""
        while asks and not self._settled(host):
            probe, ask = asks.popleft()
            if (ask.port, ask.transport) not in {(None, None), (port, transport)}:
                self._start(host, self._lead(host, probe, ask))
                continue
            reply = await self._ask_once(host, port, transport, probe, ask)
            if reply is not None and reply.payload:
                asks.extendleft((probe, more) for more in reversed(probe.follow(ask, reply.payload)))

    async def _lead(self, host: _Host, probe: Probe, ask: Ask) -> None:
        """Ask what an answer led to: on the same host, at the port that it says."""
        transport = ask.transport or probe.transport
        port = ask.port or next(iter(probe.ports), 0)
        if not 0 < port < 65_536 or transport == "ethernet":
            return
        if self._settled(host):
            return
        if transport == "udp":
            if host.first_time(port, transport, ask.payload):
                await self._send(host, probe, ask)
            return
        await self._go_on(host, port, transport, deque([(probe, ask)]))

    async def _ask_once(
        self, host: _Host, port: int, transport: Transport, probe: Probe, ask: Ask
    ) -> Reply | None:
        if not host.first_time(port, transport, ask.payload):
            return None
        async with host.allowance.connection():
            sock = await self._dial(host, port)
            if sock is None:
                return None
            try:
                line = await self._open(host, port, transport, sock)
            except OSError as error:
                self._settle(host, port, _tls_fault(error))
                return None
            reply = await self._exchange(host, line, port, transport, (probe, ask))
        self._settle(host, port, _fault(reply))
        return reply

    async def _dial(self, host: _Host, port: int) -> socket.socket | None:
        """Connect, after a pause if the host had trouble; what is learned from that is told once a port."""
        if host.left_alone:
            return None
        if host.trouble:
            await asyncio.sleep(min(2.0, 0.1 * 2**host.trouble))
        wait = self._patience.connect if host.rtt is None else min(self._patience.connect, 0.5 + 8 * host.rtt)
        began = time.monotonic()
        new = host.first_time("dial", port)
        kind = "open"
        sock = None
        try:
            sock = await dial(host.ip, port, wait)
        except TimeoutError:
            kind = "timed_out"
        except (ConnectionRefusedError, ConnectionResetError):
            kind = "refused"
        except OSError as error:
            kind = "unreachable"
            host.left_alone = True
            self._blame(host, kind, f"cannot be reached: {error.strerror or error}")
        if new:
            self._ports[kind] += 1
            # What neither opens nor refuses is filtered, here or on the way.
            row = self._ports_by_subnet.setdefault(_subnet(host.ip), Counter())
            row["filtered" if kind == "timed_out" else kind] += 1
        if kind in {"open", "refused"}:
            took = time.monotonic() - began
            host.rtt = took if host.rtt is None else (3 * host.rtt + took) / 4
        if sock is not None and port not in host.open:
            host.open.add(port)
            self._emit(self._message("tcp", b"", self._speaker(host.ip, port, self._mac(host)), OPEN_PORT))
        return sock

    async def _open(self, host: _Host, port: int, transport: Transport, sock: socket.socket) -> Line:
        """A line over a connected socket, with TLS where asked for; its certificate is told once a port.

        Raises OSError when there is no agreement on TLS.
        """
        try:
            line = await (open_tls(sock, self._patience) if transport == "tls" else open_line(sock))
        except BaseException:
            sock.close()
            raise
        if line.certificate is not None and host.first_time("certificate", port, line.certificate):
            speaker = self._speaker(host.ip, port, self._mac(host))
            self._answered.setdefault("tls", set()).add(host.ip)
            self._emit(self._message("tls", line.certificate, speaker, "tls"))
        return line

    async def _exchange(
        self, host: _Host, line: Line, port: int, transport: Transport, question: tuple[Probe, Ask]
    ) -> Reply:
        probe, ask = question
        try:
            host.allowance.question()
            host.allowance.charge(len(ask.payload))
            self._asked.setdefault(probe.name, set()).add(host.ip)
            reply = await line.exchange(ask, self._patience)
        finally:
            line.close()
        host.allowance.charge(len(reply.payload))
        if reply.payload:
            self._answered.setdefault(probe.name, set()).add(host.ip)
            # Probes without a question of their own read what is fetched by HTTP.
            dialect = self._dialect_of.get(probe.name, "http")
            understood = _heard(reply, dialect) == dialect
            message = self._message(
                transport,
                reply.payload,
                self._speaker(host.ip, port, self._mac(host)),
                probe.name if understood else "",
                ask.payload,
                whole=reply.whole,
            )
            self._emit(message)
            host.stale = True
            self._follow_leads(host, message)
        return reply

    def _settle(self, host: _Host, port: int, fault: Fault) -> None:
        """Tell what was wrong; a host that is wrong time and again is left alone."""
        if fault is None:
            host.trouble = 0
            return
        kind, what = fault
        self._blame(host, kind, what, port)
        if kind == "long":
            return
        host.trouble += 1
        if host.trouble >= _MAX_TROUBLE and not host.left_alone:
            host.left_alone = True
            self._blame(host, "left-alone", f"left alone after {host.trouble} failures in a row")

    def _follow_leads(self, host: _Host, message: Message) -> None:
        """Go where a message of this host leads: ports it names, questions it gives rise to."""
        if self._settled(host):
            return
        for port in self._plan.ports_named(message):
            if 0 < port < 65_536 and host.named < _MAX_NAMED and host.first_time("named", port):
                host.named += 1
                if ("port", port, False) not in host.seen or port in SILENT_PORTS:
                    self._start(host, self._visit(host, port, named=True))
        for probe, ask in self._plan.leads(message):
            self._start(host, self._lead(host, probe, ask))

    # Words

    def _mac(self, host: _Host) -> str | None:
        if host.mac is None and on_link(host.ip, self._interfaces):
            host.mac = self._neighbours.mac(host.ip)
        return host.mac

    @staticmethod
    def _speaker(ip: str, port: int | None, mac: str | None) -> Speaker:
        return Speaker(ip.partition("%")[0], mac, port)

    def _message(
        self,
        transport: Transport,
        payload: bytes,
        sender: Speaker,
        protocol: str,
        asked: bytes = b"",
        *,
        whole: bool = True,
    ) -> Message:
        return Message(
            transport,
            payload,
            sender,
            Speaker(),
            asked,
            protocol,
            self._plan.clock(),
            "scan",
            whole=whole,
        )


def _fault(reply: Reply) -> Fault:
    """What was wrong with how an answer came, if anything."""
    if reply.ended == "reset" and not reply.payload:
        return "reset", "resets connections"
    if not reply.payload:
        closed = reply.ended == "closed"
        return "silent", "closes without an answer" if closed else "accepts and says nothing"
    if reply.ended == "slow":
        return "slow", "answers too slowly to be waited for"
    if reply.ended in {"long", "late"}:
        return "long", "sends more than is read; the rest was left"
    return None


def _tls_fault(error: OSError) -> Fault:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return "tls", f"TLS failed: {reason or error or type(error).__name__}"


def _subnet(ip: str) -> str:
    text = ip.partition("%")[0]
    return str(ipaddress.ip_network(f"{text}/{64 if ':' in text else 24}", strict=False))


def _zone(ip: str) -> str | None:
    return ip.partition("%")[2] or None


def _dialect(probe: Probe) -> Dialect:
    """Whether a probe's questions travel as HTTP, as RTSP or as something of their own."""
    if probe.hello is None:
        # Asked only where an answer led; descriptions and the like are fetched by HTTP.
        return "http"
    first = probe.hello(Target("192.0.2.1", next(iter(probe.ports), 1), "tcp"))
    line = first[0].payload.partition(b"\r\n")[0] if first else b""
    if line.endswith((b" HTTP/1.1", b" HTTP/1.0")):
        return "http"
    return "rtsp" if line.endswith(b" RTSP/1.0") else "own"


def _heard(reply: Reply, dialect: Dialect) -> Heard:
    """What the beginning of an answer is; any bytes will do for a protocol of its own."""
    payload = reply.payload.lstrip(b"\r\n")
    if not payload:
        return "closed" if reply.ended == "closed" else "nothing"
    if payload.startswith(b"HTTP/"):
        return "http"
    if payload.startswith(b"RTSP/"):
        return "rtsp"
    if payload[:2] == b"\x15\x03":
        return "tls"
    return "own" if dialect == "own" else "other"

"""Tests that every live host is asked everything once, within bounds, whatever it does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.ask import Asking, Plan
from agent.ask.ports import KNOWN_PORTS, SILENT_PORTS
from agent.pace import PROFILES, Pace
from agent.scope import Scope
from agent.wire import Ask, Message, Probe, Target
from tests.agent.ask import hosts
from tests.agent.ask.hosts import (
    HASTY,
    Living,
    Outcome,
    Serve,
    ask,
    get,
    http_probe,
    probe,
    rtsp_probe,
    standing,
)

HTTP = http_probe()
RTSP = rtsp_probe()


def asked(
    ip: str, *services: Serve, probes: Iterable[Probe] = (HTTP, RTSP), **more: object
) -> tuple[Outcome, list[int]]:
    """One host with these services, asked on their ports; its answers and those ports."""

    async def run() -> tuple[Outcome, list[int]]:
        async with standing(ip, *((0, serve) for serve in services)) as ports:
            plan = Plan(ports=tuple(ports), patience=HASTY, **more)  # type: ignore[arg-type]
            return await ask(ip, probes, [Living(ip)], plan), ports

    return asyncio.run(run())


def test_http() -> None:
    """An open port is told, the question is answered, and the answer comes with the question."""
    outcome, (port,) = asked("127.77.20.1", hosts.web())
    assert outcome.sighted == ["127.77.20.1"]
    assert outcome.open_ports == [port]
    (answer,) = outcome.said("http")
    assert answer.payload == b"HTTP/1.1 200 OK\r\nX-Path: /\r\nContent-Length: 0\r\n\r\n"
    assert answer.asked == f"GET / HTTP/1.1\r\nHost: 127.77.20.1:{port}\r\n\r\n".encode()
    assert (answer.transport, answer.via, answer.whole) == ("tcp", "scan", True)
    assert (answer.sender.ip, answer.sender.port) == ("127.77.20.1", port)
    assert outcome.problems == []


def test_every_probe_of_a_dialect() -> None:
    """Where HTTP answers, every protocol that travels in HTTP is asked; RTSP is not."""
    outcome, _ = asked(
        "127.77.20.2", hosts.web(), probes=(HTTP, RTSP, http_probe("onvif", "/onvif", order=6))
    )
    assert [message.protocol for message in outcome.messages[2:]] == ["http", "onvif"]


def test_rtsp_on_a_web_port() -> None:
    """A port where HTTP is asked and RTSP answers is asked in RTSP, once."""
    outcome, _ = asked("127.77.20.3", hosts.media)
    assert len(outcome.said("rtsp")) == 1
    assert outcome.said("http") == []
    assert outcome.problems == []


def test_http_on_an_rtsp_port() -> None:
    """A port where RTSP is asked and the server wants HTTP is asked in HTTP, once."""

    async def run() -> Outcome:
        async with standing("127.77.20.4", (0, hosts.web())) as ports:
            plan = Plan(ports=tuple(ports), patience=HASTY)
            return await ask("127.77.20.4", (HTTP, rtsp_probe(tuple(ports))), [Living("127.77.20.4")], plan)

    assert len(asyncio.run(run()).said("http")) == 1


def test_follow_ups_in_order() -> None:
    """What an answer leads to is asked next, on the same port, and never the same twice."""
    seen: list[str] = []

    def follow(question: Ask, reply: bytes) -> tuple[Ask, ...]:
        assert reply.startswith(b"HTTP/1.1 200")
        host = question.payload.split(b"Host: ")[1].split(b"\r\n")[0].decode()
        return (
            (get("/a", host), get("/b", host))
            if question.what == "GET /"
            else (get("/a", host), get("/c", host))
        )

    outcome, _ = asked(
        "127.77.20.5", hosts.web(seen), probes=(http_probe(follow=follow), http_probe("onvif", "/onvif"))
    )
    assert seen == ["/", "/a", "/c", "/b", "/onvif"]
    assert len(outcome.said("http")) == 4


def test_tls(tmp_path: Path) -> None:
    """On a TLS port the certificate is told once, then HTTP is spoken inside; also where nothing said TLS."""
    ip = "127.77.20.6"

    async def run() -> Outcome:
        async with standing(
            ip, (8443, hosts.web()), (0, hosts.web()), tls=hosts.server_context(tmp_path)
        ) as ports:
            probes = (HTTP, http_probe("onvif", "/onvif"))
            return await ask(ip, probes, [Living(ip)], Plan(ports=tuple(ports), patience=HASTY))

    outcome = asyncio.run(run())
    certificates = outcome.said("tls")
    assert len(certificates) == 2
    assert certificates[0].payload[:1] == b"\x30"
    assert b"camera.example" in certificates[0].payload
    assert {message.transport for message in (*certificates, *outcome.said("http"))} == {"tls"}
    assert (len(outcome.said("http")), len(outcome.said("onvif"))) == (2, 2)
    assert outcome.problems == []


def test_plain_http_on_a_tls_port() -> None:
    """A server that speaks clear text on a TLS port is heard all the same."""

    async def run() -> Outcome:
        async with standing("127.77.20.7", (8443, hosts.web())):
            return await ask(
                "127.77.20.7", (HTTP,), [Living("127.77.20.7")], Plan(ports=(8443,), patience=HASTY)
            )

    outcome = asyncio.run(run())
    assert len(outcome.said("http")) == 1
    assert outcome.problems == []


@pytest.mark.parametrize("port", sorted(SILENT_PORTS))
def test_binary_vendor_ports_are_only_opened(port: int) -> None:
    """On a binary vendor port no byte is sent: that it is open is the fact."""
    received = []

    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())

    async def run() -> Outcome:
        async with standing("127.77.20.8", (port, listen)):
            outcome = await ask(
                "127.77.20.8", (HTTP, RTSP), [Living("127.77.20.8")], Plan((port,), patience=HASTY)
            )
            await asyncio.sleep(0.05)
            return outcome

    outcome = asyncio.run(run())
    assert outcome.open_ports == [port]
    assert received == [b""]


def test_named_port_is_asked() -> None:
    """A port that an answer names is asked, also a vendor's binary one; nonsense is not."""
    ip = "127.77.20.9"

    async def run() -> Outcome:
        async with standing(ip, (0, hosts.web()), (8000, hosts.web())) as (port, _):
            plan = Plan(
                (port, 8000),
                patience=HASTY,
                ports_named=lambda message: (8000, 0, 70_000) if message.payload else (),
            )
            return await ask(ip, (HTTP,), [Living(ip)], plan)

    outcome = asyncio.run(run())
    assert sorted(message.sender.port or 0 for message in outcome.said("http")) == sorted(
        port or 0 for port in outcome.open_ports
    )
    assert len(outcome.open_ports) == 2


def test_leads() -> None:
    """A question that a message leads to is asked at its port, its answer read by its own probe."""
    ip = "127.77.20.10"
    seen: list[str] = []
    upnp = probe("upnp", "tcp", (), None)

    async def run() -> Outcome:
        async with standing(ip, (0, hosts.web()), (0, hosts.web(seen))) as (first, second):

            def leads(message: Message) -> Iterable[tuple[Probe, Ask]]:
                if message.protocol == "http":
                    yield upnp, get("/rootDesc.xml", ip, port=second, transport="tcp")
                    yield upnp, get("/rootDesc.xml", ip, port=70_000, transport="tcp")

            return await ask(ip, (HTTP, upnp), [Living(ip)], Plan((first,), patience=HASTY, leads=leads))

    outcome = asyncio.run(run())
    assert seen == ["/rootDesc.xml"]
    assert len(outcome.said("upnp")) == 1


@pytest.mark.parametrize(
    ("serve", "kind", "answered"),
    [
        (hosts.nothing, "silent", 0),
        (hosts.drip, "slow", 1),
        (hosts.flood, "long", 1),
        (hosts.reset, "reset", 0),
        (hosts.garbage, None, 0),
    ],
)
def test_bad_neighbours(serve: Serve, kind: str | None, answered: int) -> None:
    """A host that misbehaves is one Problem of its kind, bounded; the good host beside it is read in full."""

    async def run() -> Outcome:
        async with (
            standing("127.77.20.11", (0, serve), (0, serve)) as bad,
            standing("127.77.20.12", (0, hosts.web())) as good,
        ):
            plan = Plan((*bad, *good), patience=HASTY)
            alive = [Living("127.77.20.11"), Living("127.77.20.12")]
            return await ask("127.77.20.11-12", (HTTP, RTSP), alive, plan)

    outcome = asyncio.run(run())
    blamed = [problem for problem in outcome.problems if problem.where.startswith("127.77.20.11")]
    assert len(blamed) <= 2
    assert kind is None or kind in [problem.kind for problem in blamed]
    assert all("127.77.20.12" not in problem.where for problem in outcome.problems)
    from_bad = [message for message in outcome.said("http") if message.sender.ip == "127.77.20.11"]
    assert len(from_bad) == 2 * answered
    assert all(len(message.payload) <= 65_536 and not message.whole for message in from_bad)
    assert [message.sender.ip for message in outcome.said("http")].count("127.77.20.12") == 1


def test_tarpit_is_left_alone() -> None:
    """A host that accepts on every port and never speaks is given up after a few."""
    accepted = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        await hosts.nothing(reader, writer)

    outcome, ports = asked("127.77.20.13", *[count] * 16, probes=(HTTP,))
    assert "left-alone" in outcome.kinds
    assert accepted < len(ports)
    assert outcome.asking is not None
    assert outcome.asking.coverage()["left_alone"] == ["127.77.20.13"]


@pytest.mark.parametrize(("profile", "most"), [("gentle", 1), ("standard", 2), ("thorough", 4)])
def test_connections_at_once(profile: str, most: int) -> None:
    """No host ever has more connections of ours at once than the profile allows."""
    now = peak = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, peak
        now += 1
        peak = max(peak, now)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.03)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await reader.read()
        finally:
            now -= 1

    async def run() -> None:
        async with standing("127.77.20.14", *[(0, count)] * 8) as ports:
            quick = replace(PROFILES[profile], connections_per_second=10_000)
            await ask(
                "127.77.20.14", (HTTP,), [Living("127.77.20.14")], Plan(tuple(ports), patience=HASTY), quick
            )

    asyncio.run(run())
    assert peak == most


def test_budget_of_questions() -> None:
    """A host whose answers always lead further is asked no more than its budget."""
    seen: list[str] = []

    def follow(question: Ask, _reply: bytes) -> tuple[Ask, ...]:
        return (get(f"{question.what[4:]}x", "h"),)

    async def run() -> Outcome:
        async with standing("127.77.20.15", (0, hosts.web(seen))) as ports:
            small = replace(PROFILES["thorough"], host_asks=10)
            plan = Plan(tuple(ports), patience=HASTY)
            return await ask(
                "127.77.20.15", (http_probe(follow=follow),), [Living("127.77.20.15")], plan, small
            )

    outcome = asyncio.run(run())
    assert len(seen) == 10
    assert outcome.kinds == ["budget"]


def test_closed_ports_are_counted() -> None:
    """Refused ports are no problem; they are counted in the coverage."""
    outcome, _ = asked("127.77.20.16", hosts.web())
    assert outcome.asking is not None
    coverage = outcome.asking.coverage()
    assert (coverage["ports"]["open"], coverage["ports"]["refused"]) == (1, 0)

    async def run() -> Outcome:
        return await ask("127.77.20.16", (HTTP,), [Living("127.77.20.16")], Plan((1, 2, 3), patience=HASTY))

    outcome = asyncio.run(run())
    assert outcome.asking is not None
    assert outcome.asking.coverage()["ports"]["refused"] == 3
    assert outcome.problems == []
    assert not outcome.asking.coverage()["incomplete"]


class Responder(asyncio.DatagramProtocol):
    """Answers each datagram `times` times with what it got, reversed."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.got: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.append(data)
        for number in range(self.times):
            self.transport.sendto(data[::-1] + str(number).encode(), addr)  # type: ignore[attr-defined]


class Elsewhere(Responder):
    """Lets another address answer."""

    def __init__(self, ip: str) -> None:
        super().__init__()
        self.ip = ip

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.append(data)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((self.ip, 0))
            other.sendto(b"from elsewhere", addr)


def udp_probe(port: int, **more: object) -> Probe:
    def hello(target: Target) -> tuple[Ask, ...]:
        return (Ask(f"who is {target.ip}?".encode()),)

    return probe("vendor", "udp", (port,), hello, **more)


async def one_datagram_host(ip: str, responder: Responder) -> AsyncIterator[int]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: responder, (ip, 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@pytest.mark.parametrize("reply_port", [None, 37_021])
def test_datagram(reply_port: int | None) -> None:
    """A live host is asked by unicast, from the port that its protocol answers to; once is enough."""
    responder = Responder()

    async def run() -> Outcome:
        async for port in one_datagram_host("127.77.20.17", responder):
            plan = Plan((), patience=HASTY)
            probes = (udp_probe(port, reply_port=reply_port),)
            return await ask("127.77.20.17", probes, [Living("127.77.20.17")], plan)
        raise AssertionError

    outcome = asyncio.run(run())
    (answer,) = outcome.said("vendor")
    assert (answer.transport, answer.payload) == ("udp", b"?71.02.77.721 si ohw0")
    assert answer.asked == b"who is 127.77.20.17?"
    assert responder.got == [b"who is 127.77.20.17?"]
    assert outcome.problems == []


def test_silent_host_is_asked_again_by_datagram() -> None:
    """A datagram may be lost: a host that did not answer is asked as often as the profile says."""
    responder = Responder(times=0)

    async def run() -> None:
        async for port in one_datagram_host("127.77.20.18", responder):
            await ask("127.77.20.18", (udp_probe(port),), [Living("127.77.20.18")], Plan((), patience=HASTY))

    asyncio.run(run())
    assert len(responder.got) == PROFILES["thorough"].tries


def test_flood_of_datagrams() -> None:
    """Thousands of answers from one address are cut off with one Problem."""

    async def run() -> Outcome:
        async for port in one_datagram_host("127.77.20.19", Responder(times=4000)):
            return await ask(
                "127.77.20.19", (udp_probe(port),), [Living("127.77.20.19")], Plan((), patience=HASTY)
            )
        raise AssertionError

    outcome = asyncio.run(run())
    assert len(outcome.said("vendor")) == 64
    assert outcome.kinds == ["flood"]


def test_stranger_is_emitted_but_not_asked() -> None:
    """An answer from outside the scope is emitted; its sender is never connected to, nor led on."""
    touched = []

    async def touch(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        touched.append(1)

    async def run() -> Outcome:
        async with standing("127.77.20.99", (0, touch)) as (web,):
            async for port in one_datagram_host("127.77.20.20", Elsewhere("127.77.20.99")):
                plan = Plan((web,), patience=HASTY, ports_named=lambda _message: (web,))
                return await ask("127.77.20.20", (udp_probe(port), HTTP), [Living("127.77.20.20")], plan)
        raise AssertionError

    outcome = asyncio.run(run())
    assert {message.sender.ip for message in outcome.said("vendor")} == {"127.77.20.99"}
    assert touched == []
    assert outcome.asking is not None
    assert outcome.asking.coverage()["outside_the_scope"] == 1
    assert outcome.sighted == ["127.77.20.20"]


def test_answer_makes_a_host_alive() -> None:
    """A host of the scope that the sweep did not find is asked once it answers anything."""

    async def run() -> Outcome:
        async with standing("127.77.20.22", (0, hosts.web())) as (web,):
            async for port in one_datagram_host("127.77.20.21", Elsewhere("127.77.20.22")):
                plan = Plan((web,), patience=HASTY)
                return await ask("127.77.20.21-22", (udp_probe(port), HTTP), [Living("127.77.20.21")], plan)
        raise AssertionError

    outcome = asyncio.run(run())
    assert sorted(ip or "" for ip in outcome.sighted) == ["127.77.20.21", "127.77.20.22"]
    assert [message.sender.ip for message in outcome.said("http")] == ["127.77.20.22"]
    assert outcome.asking is not None
    assert outcome.asking.coverage()["found_by"] == {"answer": 1, "tcp": 1}


def test_outside_the_scope_is_never_asked() -> None:
    """A live host that is not in the scope is not touched, whoever names it."""
    seen: list[str] = []

    async def run() -> Outcome:
        async with standing("127.77.20.23", (0, hosts.web(seen))) as ports:
            return await ask(
                "127.77.20.24", (HTTP,), [Living("127.77.20.23")], Plan(tuple(ports), patience=HASTY)
            )

    outcome = asyncio.run(run())
    assert seen == []
    assert outcome.messages == []


def test_cancel_keeps_what_is_known() -> None:
    """Cancelled, the messages so far stand, sockets are closed, and the coverage names who is unfinished."""
    messages: list[Message] = []
    answered = asyncio.Event()

    def emit(message: Message) -> None:
        messages.append(message)
        if message.protocol == "http":
            answered.set()

    async def run() -> dict[str, object]:
        async with standing("127.77.20.25", (0, hosts.web()), (0, hosts.nothing)) as ports:

            async def endless() -> AsyncIterator[Living]:
                yield Living("127.77.20.25")
                await asyncio.sleep(3600)

            plan = Plan(tuple(ports), patience=replace(HASTY, first=60, reply=60))
            scope = Scope.parse(["127.77.20.25"])
            asking = Asking(scope, (HTTP,), Pace(PROFILES["standard"]), emit, print, plan=plan)
            task = asyncio.create_task(asking.run(endless()))
            await answered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return asking.coverage()

    coverage = asyncio.run(run())
    assert coverage["incomplete"] is True
    assert coverage["unfinished"] == ["127.77.20.25"]
    assert [message.protocol for message in messages].count("http") == 1


def test_a_failing_probe_does_not_end_the_scan() -> None:
    """A fault while one host is asked is one Problem; the others' answers stand."""

    def follow(question: Ask, _reply: bytes) -> tuple[Ask, ...]:
        if b"127.77.20.26" in question.payload:
            raise ZeroDivisionError
        return ()

    async def run() -> Outcome:
        async with (
            standing("127.77.20.26", (8081, hosts.web())),
            standing("127.77.20.27", (8081, hosts.web())),
        ):
            alive = [Living("127.77.20.26"), Living("127.77.20.27")]
            return await ask(
                "127.77.20.26-27", (http_probe(follow=follow),), alive, Plan((8081,), patience=HASTY)
            )

    outcome = asyncio.run(run())
    assert len(outcome.said("http")) == 2
    assert outcome.kinds == ["failed"]


def test_more_hosts_than_places() -> None:
    """With fewer places than hosts, every host is asked all the same."""

    async def run() -> Outcome:
        few = replace(PROFILES["thorough"], hosts=2)
        alive = [Living(f"127.77.21.{number}") for number in range(1, 41)]
        return await ask("127.77.21.0/24", (HTTP,), alive, Plan((9,), patience=HASTY), few)

    outcome = asyncio.run(run())
    assert len(outcome.sighted) == 40
    assert outcome.asking is not None
    assert outcome.asking.progress == (40, 40)


def test_ports_have_their_evidence() -> None:
    """Each default port stands once, with where it was seen."""
    assert len({port.number for port in KNOWN_PORTS}) == len(KNOWN_PORTS)
    assert all(port.source and port.says in {"http", "https", "rtsp", "nothing"} for port in KNOWN_PORTS)


def test_nothing_more_is_asked_of_who_is_known() -> None:
    """Once enough is known, questions end; ports that the user named are still tried, unspoken to."""
    seen: list[str] = []
    probes = tuple(http_probe(f"http{number}", f"/{number}") for number in range(3))

    def after_one(_ip: str, _mac: str | None) -> bool:
        return bool(seen)

    outcome, ports = asked(
        "127.77.20.60", hosts.web(seen), hosts.web(seen), probes=probes, settled=after_one, every_port=True
    )
    assert seen in (["/0"], ["/0", "/0"])
    assert set(outcome.open_ports) == set(ports)
    assert outcome.asking is not None
    assert outcome.asking.coverage()["settled_early"] == 1


def test_who_was_finished_before_is_left_alone() -> None:
    """A host that an earlier scan finished is not connected to; others are, and told of when done."""
    finished: list[str] = []

    async def run() -> Outcome:
        async with standing("127.77.20.61", (0, hosts.web())) as ports:
            plan = Plan(
                ports=tuple(ports),
                patience=HASTY,
                finished=finished.append,
                done=frozenset({"127.77.20.61"}),
            )
            living = [Living("127.77.20.61"), Living("127.77.20.62")]
            return await ask("127.77.20.61-62", (HTTP,), living, plan)

    outcome = asyncio.run(run())
    assert outcome.said("http") == []
    assert set(finished) == {"127.77.20.62"}


def test_a_host_without_services_is_spared() -> None:
    """In the gentle profile a host whose likely ports are closed is not asked at all the others."""
    ports = tuple(range(40_001, 40_013))

    async def run() -> Outcome:
        plan = Plan(ports=ports, patience=HASTY)
        return await ask("127.77.20.63", (HTTP,), [Living("127.77.20.63")], plan, PROFILES["gentle"])

    outcome = asyncio.run(run())
    assert outcome.asking is not None
    coverage = outcome.asking.coverage()
    assert coverage["ports"]["refused"] == 8
    assert coverage["hosts_asked_little"] == 1

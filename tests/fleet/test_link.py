"""Tests of the way to the inventory: bad receivers, long silence, certificates, hand-carried bundles."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import http.server
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats as nats_py
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from nats.js.api import StreamConfig

from agent.outbox import Answer, Limits, Outbox, Outcome, Sender
from agent.outbox.https import Https, HttpsError, Link
from agent.outbox.jetstream import JetStream, NatsLink
from exchange.parcel import Parcel
from inventory import tokens
from inventory.fleet.identity import clashing
from inventory.fleet.worker import streams
from inventory.models import Agent, Device
from tests.agent.outbox.reports import camera, document
from tests.fleet.faults import FAULTS, spoiling
from tests.fleet.nats import Nats, installed
from tests.fleet.rig import machine, nothing_doubled, stored
from tests.inventory.serving import serving

DAY = 86_400.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def sender(outbox: Outbox, link: Link, clock: Clock) -> Sender:
    """A sender as the agent's, without chance."""
    return Sender(outbox, Https(link), clock=clock, jitter=lambda: 1.0)


def drained(sending: Sender, outbox: Outbox, clock: Clock) -> None:
    """Send until nothing waits, with the time that that needs."""
    for _ in range(200):
        sending.send_due()
        if not outbox.status(clock.now).parts:
            sending.courier.close()
            return
        clock.now += max(sending.pause, 300.0)
    raise AssertionError(sending.state)


def test_whatever_the_receiver_answers(central: dict[str, Any], tmp_path: Path) -> None:
    """After every kind of bad answer all is stored, once; nothing is set aside."""
    token = tokens.issue(machine("box", tmp_path / "box", ["s"]))[1]
    Agent.objects.update(public_key="")
    clock, outbox = Clock(), Outbox(tmp_path / "o")
    produced = {}
    for number, _ in enumerate(FAULTS):
        outbox.put("s", f"r{number}", document([camera(number * 10 + n) for n in range(7)]), clock.now)
        produced[f"r{number}"] = 7
    with serving(central, tmp_path / "state") as served, spoiling(served.port, list(FAULTS)) as port:
        drained(sender(outbox, Link(f"http://127.0.0.1:{port}", token), clock), outbox, clock)
    status = outbox.status()
    assert (status.aside, status.lost_changed) == (0, 0)
    assert stored() == produced
    assert nothing_doubled()


def test_a_receiver_that_finds_reports_too_large(central: dict[str, Any], tmp_path: Path) -> None:
    """A report that is refused for its size goes in smaller parts until it is taken: every device, once."""
    token = tokens.issue(machine("box", tmp_path / "box", ["s"]))[1]
    Agent.objects.update(public_key="")
    clock, outbox = Clock(), Outbox(tmp_path / "o")
    cameras = [camera(number, serial=f"{number * 7919:064d}") for number in range(300)]
    outbox.put("s", "large", document(cameras), clock.now)
    with serving(central, tmp_path / "state", CAMCENSUS_MAX_REPORT="60000") as served:
        drained(sender(outbox, Link(f"http://127.0.0.1:{served.port}", token), clock), outbox, clock)
    assert Device.objects.count() == 300
    assert nothing_doubled()
    assert outbox.status().aside == 0


def test_poison_is_set_aside(central: dict[str, Any], tmp_path: Path) -> None:
    """What the inventory itself says it cannot read is not tried for ever; what comes behind it goes on."""
    token = tokens.issue(machine("box", tmp_path / "box", ["s"]))[1]
    Agent.objects.update(public_key="")
    clock, outbox = Clock(), Outbox(tmp_path / "o")
    outbox.put("s", "bad", {**document([camera(1)]), "schema": 99}, clock.now)
    outbox.put("s", "good", document([camera(2)]), clock.now)
    with serving(central, tmp_path / "state") as served:
        drained(sender(outbox, Link(f"http://127.0.0.1:{served.port}", token), clock), outbox, clock)
    assert [row["report"] for row in outbox.asides()] == ["bad"]
    assert "schema 99" in outbox.asides()[0]["why"]
    assert stored() == {"good": 1}


def test_a_site_that_is_not_ours_does_not_hold_up_the_others(central: dict[str, Any], tmp_path: Path) -> None:
    """A refused site waits for somebody to mend it; the other sites' reports go."""
    token = tokens.issue(machine("box", tmp_path / "box", ["s"]), sites=[])[1]
    Agent.objects.update(public_key="")
    clock, outbox = Clock(), Outbox(tmp_path / "o")
    outbox.put("elsewhere", "r1", document([camera(1)]), clock.now)
    outbox.put("s", "r2", document([camera(2)]), clock.now + 1)
    with serving(central, tmp_path / "state") as served:
        sending = sender(outbox, Link(f"http://127.0.0.1:{served.port}", token), clock)
        sending.send_due()
        sending.send_due()
        sending.courier.close()
    assert stored() == {"r2": 1}
    assert outbox.status().parts == 1
    assert outbox.status().aside == 0


def test_a_month_without_a_link(central: dict[str, Any], tmp_path: Path) -> None:
    """Daily reports wait for a month; then all come, in the outbox's bounds, with every change."""
    token = tokens.issue(machine("box", tmp_path / "box", ["s"]))[1]
    Agent.objects.update(public_key="")
    clock, outbox = Clock(), Outbox(tmp_path / "o", Limits(size=1 << 20))
    down = sender(outbox, Link("http://127.0.0.1:9", token), clock)
    changes = set()
    pauses = []
    for day in range(31):
        cameras = [camera(number) for number in range(50)]
        cameras[day] = camera(day, firmware=f"V{day}")
        changes.add(f"V{day}")
        outbox.put("s", f"day-{day}", document(cameras), clock.now)
        down.send_due()
        pauses.append(down.pause)
        clock.now += DAY
    down.courier.close()
    assert pauses[:4] == [2.0, 4.0, 8.0, 16.0]
    assert max(pauses) == 900.0
    with serving(central, tmp_path / "state") as served:
        drained(sender(outbox, Link(f"http://127.0.0.1:{served.port}", token), clock), outbox, clock)
    assert len(stored()) == 31
    assert Device.objects.count() == 50
    assert nothing_doubled()


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """What was put off until a time that is far away now does not wait for it."""
    clock, outbox = Clock(), Outbox(tmp_path / "o")
    outbox.put("s", "r1", document([camera(1)]), clock.now)
    sender(outbox, Link("http://127.0.0.1:9", "t"), clock).send_due()
    clock.now -= 365 * DAY
    assert not outbox.due(clock.now)
    outbox.hold_no_longer(clock.now + 900)
    assert outbox.due(clock.now + 901)


def test_two_machines_with_one_identity(central: dict[str, Any], tmp_path: Path) -> None:
    """Both are heard, nothing is doubled, and the inventory knows that there are two."""
    agent = machine("box", tmp_path / "box", ["s"])
    Agent.objects.update(public_key="")
    token = tokens.issue(agent)[1]
    with serving(central, tmp_path / "state") as served:
        for number in (1, 2):
            clock, outbox = Clock(), Outbox(tmp_path / f"o{number}")
            outbox.put("s", f"r{number}", document([camera(5)]), clock.now)
            sending = sender(outbox, Link(f"http://127.0.0.1:{served.port}", token), clock)
            sending.sign = lambda parcel, number=number: Parcel(  # type: ignore[misc]  # its number is bound
                parcel.site, parcel.report, 1, 1, parcel.body, "box", f"machine-{number}"
            )
            drained(sending, outbox, clock)
    agent.refresh_from_db()
    assert clashing(agent)
    assert stored() == {"r1": 1, "r2": 1}
    assert Device.objects.count() == 1
    assert nothing_doubled()


def test_a_report_changed_on_its_way(central: dict[str, Any], tmp_path: Path) -> None:
    """An agent that has a key is believed by its signature alone, whoever holds its token."""
    agent = machine("box", tmp_path / "box", ["s"])
    token = tokens.issue(agent)[1]
    clock, outbox = Clock(), Outbox(tmp_path / "o")
    outbox.put("s", "r1", document([camera(5)]), clock.now)
    with serving(central, tmp_path / "state") as served:
        sending = sender(outbox, Link(f"http://127.0.0.1:{served.port}", token), clock)
        sending.send_due()
        sending.courier.close()
    assert "has a key" in sending.state
    assert stored() == {}
    assert outbox.status().parts == 1


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A server over TLS with a certificate of its own, which tells whether anybody spoke to it."""
    heard: list[str] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take anything."""
            heard.append(self.headers.get("Authorization", ""))
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"run": 1, "accepted": 1, "refused": 0, "devices": []}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    first, second = (certificate(tmp_path / name) for name in ("first", "second"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*first)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {
            "url": f"https://127.0.0.1:{server.server_port}",
            "first": first,
            "second": second,
            "heard": heard,
            "change": lambda: context.load_cert_chain(*second),
        }
        server.shutdown()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, folder.name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def sent(link: Link) -> Answer:
    """What becomes of a parcel that is sent over a link."""
    with contextlib.closing(Https(link)) as courier:
        return courier.send(Parcel("s", "r", 1, 1, b"body"))


def test_a_certificate_that_changes(secure: dict[str, Any]) -> None:
    """With the certificate pinned, a server with another one hears nothing, not even the token."""
    link = Link(secure["url"], "secret", pinned=secure["first"][0])
    assert sent(link).outcome is Outcome.STORED
    secure["change"]()
    answer = sent(link)
    assert answer.outcome is Outcome.LATER
    assert "certificate" in answer.why.lower()
    assert secure["heard"] == ["Bearer secret"]


def test_a_certificate_that_nobody_vouches_for(secure: dict[str, Any]) -> None:
    """Only an authority that was named, or the system's, is believed."""
    answer = sent(Link(secure["url"], "secret"))
    assert (answer.outcome, secure["heard"]) == (Outcome.LATER, [])
    assert sent(Link(secure["url"], "secret", ca=secure["first"][0])).outcome is Outcome.STORED


def test_tokens_do_not_go_in_the_clear() -> None:
    """Plain HTTP is for this machine alone."""
    with pytest.raises(HttpsError, match="https alone"):
        Https(Link("http://192.0.2.1", "secret"))


def test_an_answer_has_a_plain_reason() -> None:
    """Nothing listens there: the answer says so in words."""
    answer = sent(Link("http://127.0.0.1:9", "t"))
    assert answer == Answer(Outcome.LATER, answer.why)
    assert "cannot be reached" in answer.why


def test_jetstream_over_tls(tmp_path: Path) -> None:
    """With the authority named, a parcel is handed over; with another one, nothing is said."""
    if installed() is None:
        pytest.skip("missing tool: nats-server (Debian package nats-server)")
    paths = certificate(tmp_path / "server")
    other, _ = certificate(tmp_path / "other")
    lines = (
        f'tls {{ cert_file: "{paths[0]}", key_file: "{paths[1]}" }}\n'
        "authorization { user: jump, password: word }"
    )
    nats = Nats(tmp_path / "nats", lines)
    nats.start()
    try:
        url = f"tls://jump:word@127.0.0.1:{nats.port}"
        asyncio.run(_with_streams(url, paths[0]))
        for ca, outcome in ((paths[0], Outcome.HANDED_OVER), (other, Outcome.LATER)):
            with contextlib.closing(JetStream(NatsLink(url, "box", ca=ca))) as courier:
                assert courier.send(Parcel("s", "r", 1, 1, b"body")).outcome is outcome
        with contextlib.closing(
            JetStream(NatsLink(url.replace("word", "wrong"), "box", ca=paths[0]))
        ) as courier:
            answer = courier.send(Parcel("s", "r2", 1, 1, b"body"))
        assert answer.outcome is Outcome.LATER
        assert "authorization" in answer.why.lower()
    finally:
        nats.stop()


async def _with_streams(url: str, ca: Path) -> None:
    """Make the streams of the fleet."""
    client = await nats_py.connect(url, tls=ssl.create_default_context(cafile=str(ca)))
    for stream in streams():
        await client.jetstream().add_stream(StreamConfig(**stream))
    await client.close()

"""Tests of reading recorders with a login: what is asked, how often, and what becomes of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import logging
import re
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.census import Tally
from agent.credentials import Attempts, Credentials, Login, Secret
from agent.details import Details, Place, Subject, read_details
from agent.details.makers import WAYS
from agent.details.onvif import READS
from agent.journal import Journal
from agent.pace import PROFILES, Pace, Profile
from agent.probes import ALL
from fingerprints.codec import report_to_json
from fingerprints.judge import Judge
from fingerprints.matcher import Matchers
from fingerprints.model import Report
from fingerprints.oui import Registry
from fingerprints.policy import load_policies
from fingerprints.rules import load_knowledge
from reporters import REPORTERS
from simulator.device import Account, Certificate, Onvif
from tests.agent.details.standing import DAHUA, HIKVISION, IP, Standing, login_of, standing

WRONG = Secret("never-right-3")


@pytest.fixture(scope="module")
def judge() -> Judge:
    """A judge over the shipped knowledge."""
    return Judge(Matchers(load_knowledge()), Registry.packaged())


def report_of(here: Standing, details: Details, judge: Judge) -> Report:
    tally = Tally(judge, load_policies(judge.knowledge, ["uk-2022-sensitive-sites"]), ALL)
    for message in here.messages:
        tally.feed(message)
    return tally.report(coverage={"details": details.to_json()}, problems=here.problems)


def test_hikvision(monkeypatch: pytest.MonkeyPatch, judge: Judge) -> None:
    """A Hikvision recorder's eight hidden cameras are devices behind it; one of them is not Hikvision's."""

    async def run() -> tuple[Standing, Details]:
        async with standing(HIKVISION, monkeypatch) as here:
            return here, await here.read(login_of(HIKVISION), "Hikvision")

    here, details = asyncio.run(run())
    assert here.problems == []
    assert here.paths == [
        "- /ISAPI/System/deviceInfo",
        "- /ISAPI/System/deviceInfo",
        "+ /ISAPI/System/deviceInfo",
        "+ /ISAPI/ContentMgmt/InputProxy/channels",
        "+ /ISAPI/ContentMgmt/InputProxy/channels/status",
    ]
    report = report_of(here, details, judge)
    recorder = next(device for device in report.devices if not device.hidden)
    assert (recorder.verdict.manufacturer, recorder.verdict.model) == ("Hikvision", "DS-7732NI-M4")
    assert recorder.verdict.mac == HIKVISION.mac
    hidden = [device for device in report.devices if device.hidden]
    assert [device.addresses for device in hidden] == [(f"192.168.254.{number}",) for number in range(2, 10)]
    assert [device.verdict.manufacturer for device in hidden[:6]] == ["Hikvision"] * 6
    assert hidden[7].verdict.manufacturer != "Hikvision"
    assert hidden[7].finding.status != "flagged"
    assert {device.verdict.device_class for device in hidden} == {"camera"}
    assert hidden[0].verdict.firmware == "V5.6.6 build 210625"
    rows = report.coverage["recorders"]
    assert isinstance(rows, list)
    assert (rows[0]["channels"], rows[0]["listed"]) == (8, True)
    assert details.channels == {IP: 8}


def test_dahua(monkeypatch: pytest.MonkeyPatch, judge: Judge) -> None:
    """A Dahua recorder's cameras are read; the one that Hikvision made is said to be so."""

    async def run() -> tuple[Standing, Details]:
        async with standing(DAHUA, monkeypatch) as here:
            return here, await here.read(login_of(DAHUA), "Dahua")

    here, details = asyncio.run(run())
    assert here.problems == []
    report = report_of(here, details, judge)
    makers = {device.id: device.verdict.manufacturer for device in report.devices if device.hidden}
    assert makers == {f"{IP}/channel-1": "Dahua", f"{IP}/channel-2": "Hikvision"}
    assert details.channels == {IP: 2}


def test_every_question_only_reads() -> None:
    """Each path that is ever asked for names a method that reads; all go out as GET."""
    for way in WAYS.values():
        for page in way.pages:
            action = page.path.partition("action=")[2]
            assert page.path.startswith("/ISAPI/") or action.startswith("get"), page.path
            assert not {"set", "add", "remove", "reboot"} & set(action.lower().split("&"))


@pytest.mark.parametrize("maker", ["Hikvision", "Dahua", None])
def test_stops_at_the_first_refusal(monkeypatch: pytest.MonkeyPatch, maker: str | None) -> None:
    """A wrong login is sent once, by whatever protocol, and never again to that host."""
    device = replace(
        DAHUA if maker == "Dahua" else HIKVISION,
        onvif=Onvif("made up", information={"Model": "X"}, login=True),
    )

    async def run() -> tuple[Standing, list[Details]]:
        async with standing(device, monkeypatch) as here:
            login = login_of(device, password=WRONG)
            return here, [await here.read(login, maker) for _ in range(3)]

    here, details = asyncio.run(run())
    sent = [
        request.target
        for request, body in here.asked
        if "authorization" in request.headers or b"UsernameToken" in body
    ]
    assert len(sent) == 1
    assert [found.refused for found in details] == [[IP]] * 3
    assert here.messages == []
    assert [problem.kind for problem in here.problems] == ["refused"] * 3


def test_without_a_login_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that no credential is for is left alone, and counted."""

    async def run() -> tuple[Standing, Details]:
        async with standing(HIKVISION, monkeypatch) as here:
            return here, await here.read(None, "Hikvision")

    here, details = asyncio.run(run())
    assert here.asked == []
    assert (details.asked, details.without_login) == (0, 1)


@pytest.mark.parametrize("allowed", [False, True])
def test_basic_in_clear_only_if_allowed(monkeypatch: pytest.MonkeyPatch, allowed: bool) -> None:
    """A device that offers basic authentication over plain HTTP gets no password unless that is allowed."""
    account = Account("viewer", "only-to-look-7", "x", basic=True)
    device = replace(HIKVISION, account=account)

    async def run() -> tuple[Standing, Details]:
        async with standing(device, monkeypatch) as here:
            return here, await here.read(login_of(device, basic_in_clear=allowed), "Hikvision")

    here, details = asyncio.run(run())
    assert any(path.startswith("+") for path in here.paths) == allowed
    assert details.read == allowed
    if not allowed:
        assert "basic authentication in clear, which is not allowed" in here.problems[0].what


def test_basic_inside_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside TLS, basic authentication shows the password to nobody else."""
    server = replace(HIKVISION.http[0], port=443, tls=Certificate("CN=recorder"))
    device = replace(HIKVISION, account=Account("viewer", "only-to-look-7", "x", basic=True), http=(server,))

    async def run() -> Details:
        async with standing(device, monkeypatch) as here:
            return await here.read(login_of(device), "Hikvision", tls=True)

    assert asyncio.run(run()).read == 1


def test_a_camera_is_not_asked_for_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no recorder is asked what it is, and nothing else."""

    async def run() -> Standing:
        async with standing(HIKVISION, monkeypatch) as here:
            await here.read(login_of(HIKVISION), "Hikvision", recorder=False)
            return here

    assert {path[2:] for path in asyncio.run(run()).paths} == {"/ISAPI/System/deviceInfo"}


def test_onvif_where_the_maker_has_no_way(monkeypatch: pytest.MonkeyPatch, judge: Judge) -> None:
    """Another maker's device is read by ONVIF, with a token that carries no password."""
    information = {
        "Manufacturer": "Bosch",
        "Model": "AUTODOME",
        "FirmwareVersion": "6.50",
        "SerialNumber": "040409",
    }
    device = replace(HIKVISION, onvif=Onvif("made up", information=information, login=True))

    async def run() -> tuple[Standing, Details]:
        async with standing(device, monkeypatch) as here:
            return here, await here.read(login_of(device), None)

    here, details = asyncio.run(run())
    assert here.problems == []
    assert details.read == 1
    report = report_of(here, details, judge)
    assert [device.verdict.manufacturer for device in report.devices] == ["Bosch"]
    tokens = [body for _, body in here.asked if b"UsernameToken" in body]
    assert tokens
    assert all(b"PasswordDigest" in body for body in tokens)
    assert b"UsernameToken" not in here.asked[0][1]
    called = [re.search(rb"Body>\s*<(?:\w+:)?(\w+)", body) for _, body in here.asked]
    operations = {found[1].decode() for found in called if found}
    assert operations >= {"GetSystemDateAndTime", "GetDeviceInformation", "GetNetworkInterfaces"}
    assert operations <= set(READS)
    assert all(name.startswith("Get") for name in READS)


def caught(login: Login, here: Standing) -> Exception:
    """An exception out of a frame that knows the login."""
    try:
        return ValueError(int(f"{login} {here.attempts}"))
    except ValueError as error:
        return error


class Hostile(asyncio.Protocol):
    """Answers any request with what it was made with, again and again."""

    def __init__(self, answer: bytes, *, endless: bool) -> None:
        self._answer, self._endless = answer, endless

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        self._transport.write(self._answer)
        if self._endless:
            self._transport.write(b"x" * (2 << 20))
        self._transport.close()


@pytest.mark.parametrize(
    ("answer", "endless"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<DeviceIn", False),
        (b'HTTP/1.1 401 X\r\nWWW-Authenticate: Digest realm="x", nonce=, qop="\r\n\r\n', False),
        (b"HTTP/1.1 401 X\r\nWWW-Authenticate: Digest algorithm=ROT13, nonce=x, realm=x\r\n\r\n", False),
        (b"HTTP/1.1 302 X\r\nLocation: http://192.0.2.1/\r\n\r\n", False),
        (b"\x00\xff\xfe", False),
        (b"", False),
    ],
    ids=["endless", "broken", "bad-challenge", "odd-digest", "elsewhere", "rubbish", "closed"],
)
def test_hostile_servers(answer: bytes, endless: bool) -> None:
    """Whatever a server answers, reading it ends, and the report says that nothing came of it."""
    here = Standing(0)

    async def run() -> Details:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Hostile(answer, endless=endless), IP, 0)
        here.port = server.sockets[0].getsockname()[1]
        async with server:
            return await here.read(login_of(HIKVISION), "Hikvision")

    details = asyncio.run(run())
    assert details.asked == 1
    assert (details.read, bool(here.problems)) in {(0, True), (1, False)}


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that anybody logs, at the finest level."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("maker", ["Hikvision", "Dahua", None])
@pytest.mark.parametrize("right", [True, False])
def test_no_password_is_seen_anywhere(
    monkeypatch: pytest.MonkeyPatch,
    judge: Judge,
    tmp_path: Path,
    logged: io.StringIO,
    maker: str | None,
    right: bool,
) -> None:
    """Logs, reports of every form, journals and tracebacks hold no password, ours or a camera's."""
    device = (
        DAHUA
        if maker == "Dahua"
        else replace(HIKVISION, onvif=Onvif("made up", information={"Model": "X"}, login=True))
    )
    login = login_of(device) if right else login_of(device, password=WRONG)

    async def run() -> tuple[Standing, Details]:
        async with standing(device, monkeypatch) as here:
            return here, await here.read(login, maker)

    here, details = asyncio.run(run())
    report = report_of(here, details, judge)
    with Journal(tmp_path / "scan.journal", lambda _: None, {}) as journal:
        for message in here.messages:
            journal.message(message)
    out = io.StringIO()
    for write in REPORTERS.values():
        write(report, out)
    whole = traceback.TracebackException.from_exception(caught(login, here), capture_locals=True)
    seen = "".join(
        (
            logged.getvalue(),
            out.getvalue(),
            json.dumps(report_to_json(report)),
            (tmp_path / "scan.journal").read_text(errors="replace"),
            "".join(whole.format()),
            repr(details),
        )
    )
    assert len(seen) > 2_000
    for password in (login.password.reveal(), "of-the-camera-9"):
        for form in (password, base64.b64encode(f"viewer:{password}".encode()).decode()):
            assert form not in seen


def test_the_pace_of_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request waits for the scan's pace; a host that has had all that the profile allows is left alone."""

    async def run(profile: Profile) -> tuple[Standing, Details]:
        async with standing(HIKVISION, monkeypatch) as here:
            return here, await here.read(login_of(HIKVISION), "Hikvision", profile=profile)

    here, details = asyncio.run(run(PROFILES["gentle"]))
    assert details.read == 1
    assert here.paces[0].connections == len(here.asked) == 5
    here, details = asyncio.run(run(replace(PROFILES["gentle"], host_connections=3)))
    assert len(here.asked) == 3
    assert (details.read, details.silent) == (0, 1)
    assert "has had all the connections that the profile allows" in here.problems[0].what


class Slow:
    """A web server on two ports that answers nothing, or late; `most` is how many requests it had at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now, self.most, self.asked = seconds, 0, 0, 0
        self.over = asyncio.Event()
        self.talks: set[asyncio.Task[None] | None] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                self.now += 1
                self.most = max(self.most, self.now)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.over.wait(), self.seconds)
                self.now -= 1
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def read(self, hosts: list[str], seconds: float | None) -> Details:
        """Have two subjects read at each of these hosts."""
        found = Details()
        known = Credentials((login_of(HIKVISION),))
        async with contextlib.AsyncExitStack() as stack:
            subjects = []
            for host in hosts * 2:
                server = await asyncio.start_server(self.answer, host, 0)
                await stack.enter_async_context(server)
                place = Place(host, server.sockets[0].getsockname()[1])
                subjects.append(Subject(host, "Hikvision", recorder=True, places=(place,)))
            await read_details(
                subjects,
                known,
                Attempts(),
                lambda _: None,
                lambda _: None,
                found,
                pace=Pace(PROFILES["thorough"]),
                seconds=seconds,
            )
            self.over.set()
            await asyncio.gather(*(talk for talk in self.talks if talk is not None))
        return found


def test_one_question_at_a_time() -> None:
    """A device with two web servers is asked by one conversation after the other."""
    slow = Slow(0.02)
    found = asyncio.run(slow.read([IP], None))
    assert (slow.most, found.asked, found.not_reached) == (1, 2, [])
    assert slow.asked > 2


def test_the_time_limit(judge: Judge) -> None:
    """When the time is over, whoever was not read to the end is named, and nothing more is asked."""
    slow = Slow(30.0)
    found = asyncio.run(slow.read([IP, "127.78.0.2"], 0.5))
    assert found.ended == "time limit"
    assert sorted(found.not_reached) == [IP, "127.78.0.2"]
    told = found.to_json()
    assert (told["ended"], told["not_reached"]) == ("time limit", 2)
    spots = (
        Tally(judge, load_policies(judge.knowledge, ["uk-2022-sensitive-sites"]), ALL)
        .report(coverage={"details": told})
        .coverage["blind_spots"]
    )
    assert isinstance(spots, list)
    (spot,) = (row for row in spots if row["kind"] == "details-not-reached")
    assert "2 devices with a login not read in the time" in spot["what"]

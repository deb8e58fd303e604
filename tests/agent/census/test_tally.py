"""Who asks is not who answers; who calls home, what was not seen and who had to go are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from agent.census import Tally
from agent.census.tally import MAX_HOSTS
from agent.probes import ALL
from agent.wire import ASKED, OPEN_PORT, SIGHTING, Message, Probe, Target
from fingerprints.codec import report_to_json, schema
from fingerprints.explain import explain_device
from fingerprints.judge import Judge
from fingerprints.matcher import Matchers
from fingerprints.model import Device, Fact, Report, Speaker
from fingerprints.oui import Registry
from fingerprints.rules import load_knowledge
from tests.small_knowledge import small_knowledge

NOON = 1_700_000_000.0
CAMERA, RECORDER, PHONE = "192.168.1.9", "192.168.1.20", "192.168.1.50"


def read_lines(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """``field=text`` a line, ``>field=text`` about the listener."""
    for line in payload.decode().splitlines():
        field, _, text = line.lstrip(">").partition("=")
        yield Fact(field, text, "listener" if line.startswith(">") else "speaker")


LINES = Probe("lines", "tcp", (), (), lambda _: True, read_lines)
SEARCHES = tuple(
    Probe(name, "udp", (), (), lambda _: False, lambda _payload, _asked: iter(()))
    for name in ("sadp", "dhip", "ssdp")
)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """A judge over the small knowledge."""
    return Judge(Matchers(small_knowledge(tmp_path)), Registry.packaged())


@pytest.fixture(scope="module")
def shipped() -> Judge:
    """A judge over the shipped knowledge."""
    return Judge(Matchers(load_knowledge()), Registry.packaged())


def tally(judge: Judge, **more: Any) -> Tally:
    """An empty census."""
    return Tally(judge, (), (LINES, *SEARCHES), **more)


def said(text: str, ip: str | None, to: str | None = None, **more: Any) -> Message:
    """A message of one host to another."""
    row: dict[str, Any] = {"protocol": "lines", "at": NOON, "via": "x.pcap"} | more
    ports = row.pop("ports", (40_000, 80))
    mac = row.pop("mac", None)
    return Message("tcp", text.encode(), Speaker(ip, mac, ports[0]), Speaker(to, None, ports[1]), **row)


def covered(report: Report) -> Any:
    """The coverage, to be looked into."""
    return report.coverage


def at(report: Report, ip: str) -> Device:
    """The device at an address."""
    return next(device for device in report.devices if ip in device.addresses)


def test_a_client_of_a_camera_is_no_camera(shipped: Judge) -> None:
    """Asking a camera's port, in the words of its protocol, tells nothing of who asks; the answer does."""
    census = Tally(shipped, (), ALL)
    ask = b"DESCRIBE rtsp://192.168.1.9/Streaming/Channels/101 RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: Lavf58\r\n\r\n"
    answer = (
        b'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm="IP Camera(C1234)"\r\n\r\n'
    )
    here, there = Speaker(CAMERA, None, 554), Speaker(PHONE, None, 40_000)
    census.feed(Message("tcp", ask, there, here, protocol="rtsp", at=NOON))
    alone = census.report()
    assert [device.verdict.manufacturer for device in alone.devices] == [None, None]
    census.feed(Message("tcp", answer, here, there, ask, protocol="rtsp", at=NOON))
    report = census.report()
    assert at(report, CAMERA).verdict.manufacturer == "Hikvision"
    assert at(report, PHONE).verdict.manufacturer is None
    assert at(report, PHONE).ports == ()
    assert [(row.asker, row.asked, row.records) for row in report.contacts] == [(PHONE, CAMERA, True)]


def test_a_question_to_everybody_makes_no_device_of_the_asker(shipped: Judge) -> None:
    """A phone that searches in each maker's protocol is not what it searches for."""
    census = Tally(shipped, (), ALL)
    for probe in ALL:
        if probe.hello is None or not probe.groups:
            continue
        for ask in probe.hello(Target(probe.groups[0], probe.ports[0])):
            census.feed(
                Message(
                    "udp",
                    ask.payload,
                    Speaker(PHONE, None, 50_000),
                    Speaker(probe.groups[0], None, probe.ports[0]),
                    protocol=probe.name,
                    at=NOON,
                )
            )
    report = census.report()
    assert at(report, PHONE).verdict.manufacturer is None
    assert at(report, PHONE).verdict.evidence == ()
    (scanner,) = covered(report)["scanners"]
    assert scanner["address"] == PHONE
    assert {"sadp", "dhip", "ssdp"} <= set(scanner["searches"])


def test_a_scanners_questions_count_for_nobody(judge: Judge) -> None:
    """Paths that a scanner asked for are not held for paths that a host serves; a recorder's may be."""
    for ports, maker in (((80,), "Acme"), (range(80, 90), None)):
        census = tally(judge)
        for port in ports:
            census.feed(said("", CAMERA, PHONE, protocol=OPEN_PORT, ports=(port, 40_000)))
        census.feed(said(">http.title=Acme AC-100T", PHONE, CAMERA))
        census.feed(said("dns.query=x", CAMERA))
        report = census.report()
        assert at(report, CAMERA).verdict.manufacturer == maker
        assert len(covered(report)["scanners"]) == (maker is None)


def test_who_asks_where_nothing_is_is_a_scanner(judge: Judge) -> None:
    """Many hosts on one port are a recorder's if they answer, a scanner's if most are not there."""
    census = tally(judge)
    for last in range(1, 101):
        census.feed(said("", PHONE, f"10.0.0.{last}", protocol=ASKED, ports=(40_000, 554)))
        census.feed(said("", RECORDER, f"10.0.1.{last}", protocol=ASKED, ports=(40_000, 554)))
        census.feed(said("rtsp.server=x", f"10.0.1.{last}", RECORDER, ports=(554, 40_000)))
    (row,) = covered(census.report())["scanners"]
    assert (row["address"], row["hosts"], row["ports"]) == (PHONE, 100, 1)
    assert PHONE in {ip for device in census.report().devices for ip in device.addresses}


def test_a_conversation_has_one_asker(judge: Judge) -> None:
    """In a connection that goes to and fro the client alone asks."""
    census = tally(judge)
    for _ in range(2):
        census.feed(said("rtsp.user-agent=Lavf", PHONE, CAMERA, asked=b"RTSP/1.0 200", ports=(40_000, 554)))
        census.feed(said("rtsp.server=x", CAMERA, PHONE, asked=b"PLAY", ports=(554, 40_000)))
        census.feed(said("rtsp.public=x", PHONE, CAMERA, asked=b"RTSP/1.0 200", ports=(40_000, 554)))
    assert [(row.asker, row.asked) for row in census.report().contacts] == [(PHONE, CAMERA)]


def test_who_sends_files_is_no_scanner(judge: Judge) -> None:
    """A camera that puts each picture on a server by FTP asks for a new port of it each time."""
    census = tally(judge)
    for port in (21, *range(50_000, 50_100)):
        census.feed(said("", RECORDER, CAMERA, protocol=OPEN_PORT, ports=(port, 40_000)))
    assert covered(census.report())["scanners"] == []


def test_a_recorder_is_no_scanner(judge: Judge) -> None:
    """Who asks a hundred cameras on one port each is their recorder."""
    census = tally(judge)
    for last in range(1, 101):
        census.feed(said(">rtsp.path=/live", RECORDER, f"10.0.0.{last}", ports=(40_000, 554)))
        census.feed(said("rtsp.server=x", f"10.0.0.{last}", RECORDER, asked=b"DESCRIBE", ports=(554, 40_000)))
    report = census.report()
    assert covered(report)["scanners"] == []
    assert len(report.contacts) == 100
    assert {row.asker for row in report.contacts} == {RECORDER}


def test_scanning_software_names_itself(judge: Judge) -> None:
    """One request whose agent is a scanner's is enough."""
    census = tally(judge)
    census.feed(said("http.user-agent=Mozilla/5.0 (compatible; Nmap Scripting Engine)", PHONE, CAMERA))
    (row,) = covered(census.report())["scanners"]
    assert (row["address"], row["hosts"]) == (PHONE, 1)


def test_calls_to_clouds_are_counted(judge: Judge) -> None:
    """Each question and connection counts, with its first and last time and where it went."""
    census = tally(judge, maker_of=lambda name: SimpleNamespace(maker="Acme") if "acme" in name else None)
    for minute in (2, 0, 1):
        census.feed(said("dns.query=dev.acme.test", CAMERA, "192.168.1.1", at=NOON + 60 * minute))
    census.feed(said("tls.sni=dev.acme.test", CAMERA, "203.0.113.7", at=NOON + 90))
    census.feed(said("dns.query=example.org", CAMERA))
    report = census.report()
    (row,) = report.phone_home
    assert (row.device, row.maker, row.name, row.count) == (CAMERA, "Acme", "dev.acme.test", 4)
    assert (row.addresses, row.fields) == (("203.0.113.7",), ("dns.query", "tls.sni"))
    assert (row.first_seen, row.last_seen) == (NOON, NOON + 120)
    jsonschema.validate(report_to_json(report), schema())


def test_where_a_cloud_is_comes_from_the_resolver(judge: Judge) -> None:
    """Addresses that a device was told for a cloud's name are kept; of other answers nothing is, and nobody asked."""
    census = tally(judge, maker_of=lambda name: SimpleNamespace(maker="Acme") if "acme" in name else None)
    census.feed(said("dns.query=dev.acme.test", CAMERA, "192.168.1.1"))
    for text in ("dev.acme.test 203.0.113.7", "dev.acme.test 203.0.113.8", "api.acme.test 203.0.113.9"):
        assert census.feed(said(f">dns.answer={text}", "192.168.1.1", CAMERA, ports=(53, 40_000)))
    assert not census.feed(said(">dns.answer=x.test 203.0.113.1", "192.168.1.1", CAMERA, ports=(53, 40_000)))
    report = census.report()
    (row,) = report.phone_home
    assert (row.name, row.count, row.addresses) == ("dev.acme.test", 1, ("203.0.113.7", "203.0.113.8"))
    assert row.fields == ("dns.query",)
    assert report.contacts == ()
    assert [fact.fact.field for device in report.devices for fact in device.observations] == ["dns.query"]


def test_bytes_of_connections_to_clouds_are_counted(judge: Judge) -> None:
    """A connection that has ended adds its bytes to the name it was opened with, but is no second call."""
    census = tally(judge, maker_of=lambda name: SimpleNamespace(maker="Acme") if "acme" in name else None)
    for port, moved in ((40_001, (500, 7_000)), (40_002, (300, 1))):
        hello = said("tls.sni=dev.acme.test", CAMERA, "203.0.113.7", ports=(port, 443))
        assert census.feed(hello) == (port == 40_001)
        assert not census.feed(replace(hello, moved=moved))
    census.feed(said("tls.sni=dev.acme.test", CAMERA, "203.0.113.7", ports=(40_003, 443)))
    census.feed(said("dns.query=api.acme.test", CAMERA, "192.168.1.1", moved=(30, 90)))
    census.feed(said("dns.query=api.acme.test", CAMERA, "192.168.1.1"))
    census.feed(said("tls.sni=example.org", CAMERA, "203.0.113.8", moved=(1, 2)))
    report = census.report()
    api, dev = report.phone_home
    assert (dev.count, dev.measured, dev.bytes_sent, dev.bytes_received) == (3, 2, 800, 7_001)
    # What a resolver was told is not what the cloud was.
    assert (api.count, api.measured, api.bytes_sent, api.bytes_received) == (1, 0, None, None)
    assert covered(report)["messages_read"] == {"lines": 4}
    jsonschema.validate(report_to_json(report), schema())


def test_who_makes_up_names_does_not_push_out_others(judge: Judge) -> None:
    """Names of one host are bounded; another's are kept."""
    census = tally(judge, maker_of=lambda _: SimpleNamespace(maker="Acme"))
    census.feed(said("dns.query=a.test", CAMERA))
    for number in range(200):
        census.feed(said(f"dns.query=n{number}.test", PHONE))
    rows = census.report().phone_home
    assert [row.name for row in rows if row.device == CAMERA] == ["a.test"]
    assert len(rows) == 33


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_times_are_those_of_a_clock_that_was_set(judge: Judge, order: tuple[int, ...]) -> None:
    """Frames from 1970 and from the far future move neither first nor last; captures come in any order."""
    times = (NOON, 60.0, 9e12)
    census = tally(judge)
    for number in order:
        census.feed(said(f"dns.query=n{number}", CAMERA, at=times[number]))
    report = census.report()
    (device,) = report.devices
    assert (device.first_seen, device.last_seen) == (NOON, NOON)
    assert covered(report)["messages_without_time"] == 2


def test_phones_that_change_their_mac_do_not_push_out_cameras(judge: Judge) -> None:
    """Where there are too many hosts, those without evidence go, the longest unseen first; it is counted."""
    census = tally(judge, max_hosts=64)
    census.feed(said("http.server=acme-webs", CAMERA, mac="00:40:8c:00:00:01", at=NOON))
    for number in range(2_000):
        mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
        text = f"dhcp.hostname=phone{number}"
        census.feed(said(text, f"10.0.{number >> 8}.{number & 255}", mac=mac, at=NOON + number))
    report = census.report()
    assert at(report, CAMERA).verdict.manufacturer == "Acme"
    assert at(report, "10.0.7.207").hostnames == ("phone1999",)
    assert len(report.devices) <= 64
    assert covered(report)["hosts_forgotten"] == 2_001 - len(report.devices)
    assert MAX_HOSTS > 65_536


def test_a_forgotten_host_may_say_everything_again(judge: Judge) -> None:
    """What a host said before it was forgotten is learned again when it is repeated."""
    census = tally(judge, max_hosts=8)
    census.feed(said("dns.query=x", CAMERA, at=NOON - 1))
    for number in range(20):
        census.feed(said("dns.query=y", f"10.0.0.{number + 1}", at=NOON + number))
    census.feed(said("dns.query=x", CAMERA, at=NOON + 60))
    assert [row.fact.text for row in at(census.report(), CAMERA).observations] == ["x"]


def test_hosts_outside_the_scope_are_listed(judge: Judge) -> None:
    """An answer from, or a claim of, an address that is not in the scope is named with its factory setting."""
    census = tally(judge, wanted=lambda ip: ip.startswith("10.0.0."))
    census.feed(said("http.server=acme-webs\nsadp.ipv4-address=192.168.1.64", "10.0.0.5", via="scan"))
    census.feed(said("http.server=acme-webs", "192.168.1.108", via="scan"))
    report = census.report()
    rows = [
        (row["address"], row["device"], row["factory_address_of"]) for row in covered(report)["out_of_scope"]
    ]
    assert rows == [("192.168.1.64", "10.0.0.5", "Hikvision"), ("192.168.1.108", "192.168.1.108", "Dahua")]
    (spot,) = [row for row in covered(report)["blind_spots"] if row["kind"] == "out-of-scope"]
    assert (spot["count"], "2 as set in the factory" in spot["what"]) == (2, True)


def test_a_link_local_address_beside_its_own_is_listed(judge: Judge) -> None:
    """What a device announces for itself outside the scope is told; its IPv6 addresses are no news."""
    census = tally(judge, wanted=lambda ip: ip.startswith("10.0.0."))
    census.feed(
        said("ip.address=10.0.0.5\nip.address=169.254.65.120\nip.address=fe80::7", "10.0.0.5", via="scan")
    )
    rows = [(row["address"], row["device"], row["how"]) for row in covered(census.report())["out_of_scope"]]
    assert rows == [("169.254.65.120", "10.0.0.5", "states it in ip.address")]


def test_channels_without_a_camera_are_counted(shipped: Judge) -> None:
    """A recorder's channels stand beside the identified cameras that it was seen to ask."""
    census = Tally(shipped, (), (LINES,))
    census.feed(
        said(
            "dhip.device-class=NVR\ndhip.device-type=NVR4216\ndhip.vendor=Dahua\ndhip.remote-video-input-channels=16",
            RECORDER,
        )
    )
    census.feed(
        said(
            'rtsp.www-authenticate=Digest realm="IP Camera(C1234)"',
            CAMERA,
            RECORDER,
            asked=b"DESCRIBE",
            ports=(554, 40_000),
        )
    )
    census.feed(said("onvif.type=NetworkVideoTransmitter", CAMERA))
    report = census.report()
    recorder = at(report, RECORDER).verdict
    assert (recorder.device_class, recorder.channels) == ("recorder", 16)
    assert at(report, CAMERA).verdict.device_class == "camera"
    (row,) = covered(report)["recorders"]
    assert (row["channels"], row["cameras"]) == (16, 1)
    (spot,) = [row for row in covered(report)["blind_spots"] if row["kind"] == "channels"]
    assert spot["what"] == "15 channels of 1 recorder not matched to a camera"


def test_every_blind_spot_has_its_step(judge: Judge) -> None:
    """Hosts that nobody can name, subnets and silent protocols are told with what to do."""
    census = tally(judge)
    census.feed(said("dns.query=x", CAMERA))
    census.feed(said("", "10.0.0.1", protocol=SIGHTING, mac="28:57:be:00:00:01"))
    given = {
        "asked_by_subnet": {"192.168.1.0/24": {"asked": {"sadp": 254}, "timed_out": {"sadp": 254}}},
        "sweep": {"not_swept": 3},
        "asking": {"group_questions": {"sadp": 1, "ssdp": 2}, "answered": {"ssdp": 1}, "unfinished_hosts": 0},
    }
    coverage = covered(census.report(coverage=given))
    spots = {row["kind"]: row for row in coverage["blind_spots"]}
    assert set(spots) == {"not-swept", "silent", "unidentified", "without-mac"}
    assert all(row["step"] and row["count"] for row in spots.values())
    assert spots["silent"]["what"] == "no answer in sadp"
    assert [row["subnet"] for row in coverage["subnets"]] == ["10.0.0.0/24", "192.168.1.0/24"]
    assert coverage["subnets"][1]["answered"] == {"lines": 1}
    assert coverage["subnets"][1]["timed_out"] == {"sadp": 254}
    assert {"dns.query: x"} == {text for row in coverage["unidentified_hosts"] for text in row["said"]}


def test_a_clash_is_explained(judge: Judge) -> None:
    """Two devices that state one MAC are two rows, and each explains what it shares with the other."""
    census = tally(judge)
    for ip, serial in ((CAMERA, "F1234567X"), (PHONE, "G7654321Y")):
        census.feed(said(f"onvif.serial={serial}", ip, mac="28:57:be:00:00:01"))
    report = census.report()
    assert [device.id for device in report.devices] == [CAMERA, PHONE]
    text = "\n".join(explain_device(at(report, CAMERA), judge.knowledge))
    assert f"conflict: {PHONE} shows the same mac 28:57:be:00:00:01; they are kept apart" in text


def test_two_serials_of_one_host_are_a_conflict(judge: Judge) -> None:
    """Two devices behind one address (a forwarded port), or a lie: shown, not chosen in silence."""
    census = tally(judge)
    census.feed(said("onvif.serial=F1234567X", CAMERA, at=NOON))
    census.feed(said("onvif.serial=G7654321Y", CAMERA, at=NOON + 1))
    (device,) = census.report().devices
    assert [(row.claim, row.kept, row.against) for row in device.verdict.conflicts] == [
        ("serial", "F1234567X", "G7654321Y")
    ]


@pytest.mark.parametrize("turned", [False, True])
def test_the_same_from_other_client_ports_is_read_once(judge: Judge, turned: bool) -> None:
    """What differs in its client's port alone is dissected once, counted each time, kept at its first place."""
    read: list[bytes] = []

    def dissect(payload: bytes, asked: bytes) -> Iterator[Fact]:
        read.append(payload)
        return read_lines(payload, asked)

    probe = Probe("lines", "tcp", (), (), lambda _: True, dissect)
    census = Tally(judge, (), (probe,))
    said = [
        Message(
            "tcp",
            b"http.server=App-webs/",
            Speaker(CAMERA, None, 80),
            Speaker(RECORDER, None, port),
            protocol="lines",
            at=at,
        )
        for port, at in ((50_000, NOON), (50_001, NOON + 1), (50_002, NOON + 2))
    ]
    for message in reversed(said) if turned else said:
        census.feed(message)
    assert len(read) == (3 if turned else 1)
    assert census.report().coverage["messages_read"] == {"lines": 3}
    (row,) = census.state()["hosts"][0][1]["said"]
    assert row[5] == NOON
    camera = next(row for row in census.report().devices if CAMERA in row.addresses)
    assert (camera.first_seen, camera.last_seen) == (NOON, NOON + 2)


def test_subnets_where_nobody_answered(judge: Judge) -> None:
    """A part of the scope in which nobody was met is a blind spot, never a clean subnet."""
    census = tally(judge)
    census.feed(said("http.title=x", CAMERA))
    wanted = ("192.168.1.1-192.168.1.254", "10.4.0.1-10.4.0.254", "10.4.1.7")
    coverage = covered(census.report(coverage={"subnets_wanted": wanted}))
    assert coverage["silent_subnets"] == ["10.4.0.1-10.4.0.254", "10.4.1.7"]
    (row,) = [row for row in coverage["blind_spots"] if row["kind"] == "silent-subnets"]
    assert row["count"] == 2
    assert row["what"] == "nobody answered in 10.4.0.1-10.4.0.254, 10.4.1.7"


def test_interfaces_that_were_not_used(judge: Judge) -> None:
    """An interface that was left out is a blind spot with the option that would use it; loopback is none."""
    left = [{"name": "lo", "why": "loopback"}, {"name": "wlan0", "why": "has no address"}]
    coverage = covered(tally(judge).report(coverage={"interfaces_left_out": left}))
    (row,) = coverage["blind_spots"]
    assert (row["kind"], row["count"]) == ("interfaces", 1)
    assert "wlan0 (has no address)" in row["what"]
    assert "--interface" in row["step"]

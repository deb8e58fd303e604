"""A capture tells who asks whom: a recorder its cameras, a scanner everybody."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from agent.capture import Reading, Replay
from agent.capture.savefile import Frame
from agent.census import Tally
from agent.cli.wiring import prepare
from agent.probes import ALL
from fingerprints.codec import report_to_json
from tests.places import SHARED, needs_shared

RECORDER, CAMERA = "192.168.7.2", "192.168.7.64"
SYN, ACK, PUSH, RST = 2, 16, 8, 4


def _onvif(start: bytes, body: bytes) -> bytes:
    """A SOAP message over HTTP."""
    envelope = (
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>%b</s:Body></s:Envelope>'
    )
    whole = envelope % body
    return b"%b\r\nContent-Length: %d\r\n\r\n%b" % (start, len(whole), whole)


ONVIF = (
    _onvif(
        b"POST /onvif/device_service HTTP/1.1",
        b'<GetDeviceInformation xmlns="http://www.onvif.org/ver10/device/wsdl"/>',
    ),
    _onvif(
        b"HTTP/1.1 200 OK",
        b"<GetDeviceInformationResponse><Manufacturer>Acme</Manufacturer></GetDeviceInformationResponse>",
    ),
)
RTSP = (
    b"DESCRIBE rtsp://192.168.7.64/live RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    b'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm="A1", nonce="1"\r\n\r\n',
)
# Layouts as in agent/probes/dhip.py and agent/probes/hikvision_sdk.py, with their sources.
DAHUA = (
    b"\xa0\x05\0\x60" + bytes(28),
    b"\xb0\0\0\x78" + bytes(28) + b"Realm:Login to 3C0123456789ABC\r\nRandom:1\r\n\r\n",
)
DAHUA_SESSION = tuple(
    b"\x20\0\0\0DHIP" + struct.pack("<6I", 0, 1, len(body), 0, len(body), 0) + body
    for body in (
        b'{"method":"global.login","params":{"userName":"","clientType":"Web3.0"}}',
        b'{"error":{"code":268632079},"params":{"realm":"Login to 3C0123456789ABC"},"result":false}',
    )
)
HIKVISION = (b"\0\0\0\x20\x63" + bytes(27), b"\0\0\0\x10" + bytes(12))


def segment(source: str, target: str, ports: tuple[int, int], flags: int, **more: Any) -> bytes:
    """An Ethernet frame with a TCP segment; checksums are left out."""
    data: bytes = more.get("data", b"")
    tcp = struct.pack(
        "!HHIIBBHHH", *ports, more.get("sequence", 1), more.get("answered", 1), 0x50, flags, 8192, 0, 0
    )
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(data), 1, 0x4000, 64, 6, 0) + ends
    macs = bytes((2, 0, *ends[4:])) + bytes((2, 0, *ends[:4]))
    return macs + b"\x08\x00" + ip + tcp + data


def conversation(port: int, asks: bytes, answers: bytes) -> Iterator[bytes]:
    """A connection of the recorder to the camera, with a question and an answer."""
    there, back = (40_000, port), (port, 40_000)
    yield segment(RECORDER, CAMERA, there, SYN, sequence=99)
    yield segment(CAMERA, RECORDER, back, SYN | ACK, sequence=499, answered=100)
    yield segment(RECORDER, CAMERA, there, PUSH | ACK, sequence=100, answered=500, data=asks)
    yield segment(CAMERA, RECORDER, back, PUSH | ACK, sequence=500, answered=100 + len(asks), data=answers)
    end = 500 + len(answers)
    yield segment(RECORDER, CAMERA, there, RST, sequence=100 + len(asks), answered=end)


def report_on(frames: Iterator[bytes]) -> dict[str, Any]:
    """The report on these frames, a hundredth of a second from one to the next."""
    reading, tally = Reading(ALL, "x.pcap"), prepare(None, None).tally()
    for number, data in enumerate(frames, 1):
        for message in reading.frame(Frame(1e9 + number / 100, 1, data, len(data), number, 0)):
            tally.feed(message)
    return report_of(tally, reading)


def report_of(tally: Tally, reading: Reading) -> dict[str, Any]:
    for message in reading.close():
        tally.feed(message)
    return dict(json.loads(json.dumps(report_to_json(tally.report()))))


@pytest.mark.parametrize(
    ("port", "talk", "protocol"),
    [
        (554, RTSP, "rtsp"),
        (80, ONVIF, "onvif"),
        (37_777, DAHUA, "dahua-dvrip"),
        (37_777, DAHUA_SESSION, "dahua-dvrip"),
        (8_000, HIKVISION, "hikvision-sdk"),
    ],
)
def test_a_recorder_has_an_edge_to_its_camera(port: int, talk: tuple[bytes, bytes], protocol: str) -> None:
    """Who asks a camera is told with the protocol, from client to server; fetching video is recording."""
    report = report_on(conversation(port, *talk))
    ids = {ip: device["id"] for device in report["devices"] for ip in device["addresses"]}
    (row,) = report["contacts"]
    assert (row["from"], row["to"]) == (ids[RECORDER], ids[CAMERA])
    assert protocol in row["protocols"]
    assert row["records"] is (protocol == "rtsp")
    assert report["coverage"]["scanners"] == []


@pytest.mark.parametrize("answer", [b"", HIKVISION[1]])
def test_a_question_that_nobody_understands_is_an_edge(answer: bytes) -> None:
    """A connection of which nothing can be read still tells who asked whom."""
    (row,) = report_on(conversation(9_999, b"\1\2\3", answer))["contacts"]
    assert (row["protocols"], row["records"]) == (["tcp"], False)


@pytest.mark.parametrize("hosts", [True, False], ids=["many hosts", "many ports"])
def test_bare_syns_tell_a_scanner(hosts: bool) -> None:
    """Who knocks at many ports of a host, or at one port of many, is a scanner though nobody answers."""
    targets = [(f"192.168.7.{place}", 554) if hosts else (CAMERA, 8_000 + place) for place in range(10, 60)]
    report = report_on(segment(RECORDER, ip, (50_000, port), SYN) for ip, port in targets)
    (scanner,) = report["coverage"]["scanners"]
    assert (scanner["address"], scanner["hosts"], scanner["ports"]) == (
        RECORDER,
        50 if hosts else 1,
        1 if hosts else 50,
    )
    assert {device["manufacturer"] for device in report["devices"]} == {None}


def test_a_few_bare_syns_tell_no_scanner() -> None:
    """A client that tries a few ports again and again, of a camera that is off, is none."""
    knocks = [segment(RECORDER, CAMERA, (50_000 + at, port), SYN) for at in range(99) for port in (80, 554)]
    assert report_on(iter(knocks))["coverage"]["scanners"] == []


@needs_shared
def test_a_recorded_scan_is_recognised() -> None:
    """The scanner of a recorded scan of ports is named, and neither it nor what it asked is a camera."""
    path = SHARED / "pcaps" / "neg-nmap-portscan-vm.pcapng"
    tally = prepare(None, None).tally()
    for message in Replay(path, ALL):
        tally.feed(message)
    report = report_to_json(tally.report())
    assert [row["address"] for row in report["coverage"]["scanners"]] == ["192.168.124.130"]
    assert {(row["manufacturer"], row["finding"]) for row in report["devices"]} <= {
        (None, "clear"),
        (None, "unidentified"),
    }

"""Tests that kept evidence gives no secret away."""

from __future__ import annotations

import base64
import io
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.layers.snmp import SNMP, SNMPresponse, SNMPvarbind
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet

from agent.capture import Reading
from agent.capture.evidence import Evidence
from agent.capture.savefile import Frame, read_frames
from agent.cli.wiring import prepare
from agent.probes import ALL
from fingerprints.model import Report

CLIENT, CAMERA = "10.9.0.2", "10.9.0.64"
MACS = {CLIENT: "02:00:00:00:00:02", CAMERA: "44:19:b6:00:00:64"}
SECRETS = ("Zq7-Hunter.2", "kW3.sesamE-9")
"""Two passwords of one length."""
SERVER = b'HTTP/1.1 401 Unauthorized\r\nServer: App-webs/\r\nWWW-Authenticate: Basic realm="DVR"\r\nContent-Length: 0\r\n\r\n'
RTSP_SERVER = b'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm="c056e32b914e"\r\n\r\n'


def basic(secret: str) -> bytes:
    """User and password as RFC 7617 has them."""
    return base64.b64encode(f"admin:{secret}".encode())


def ether(source: str, target: str, upper: Any) -> Packet:
    """A frame between the two."""
    frame: Packet = Ether(src=MACS[source], dst=MACS[target]) / IP(src=source, dst=target) / upper
    return frame


def talk(port: int, *said: tuple[str, bytes], opened: bool = True) -> list[Packet]:
    """A TCP connection in which each of these is one segment."""
    place = {CLIENT: 1_000, CAMERA: 9_000}
    ports = {CLIENT: 40_000, CAMERA: port}
    other = {CLIENT: CAMERA, CAMERA: CLIENT}
    found = []

    def segment(source: str, flags: str, data: bytes = b"") -> None:
        target = other[source]
        head = TCP(
            sport=ports[source], dport=ports[target], seq=place[source], ack=place[target], flags=flags
        )
        found.append(ether(source, target, head / data if data else head))
        place[source] += len(data) + ("S" in flags or "F" in flags)

    if opened:
        segment(CLIENT, "S")
        segment(CAMERA, "SA")
    for source, data in said:
        segment(source, "PA", data)
    segment(CLIENT, "FA")
    segment(CAMERA, "FA")
    return found


def http(request: bytes, answer: bytes = SERVER, port: int = 80) -> list[Packet]:
    """A question with its answer."""
    return talk(port, (CLIENT, request), (CAMERA, answer))


def get(*lines: bytes, path: bytes = b"/doc/page/login.asp") -> bytes:
    """A request with these header lines."""
    return b"\r\n".join([b"GET " + path + b" HTTP/1.1", b"Host: 10.9.0.64", *lines, b"", b""])


def post(kind: bytes, body: bytes) -> bytes:
    """A request with a body."""
    head = b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    return head % (kind, len(body)) + body


def page(body: bytes) -> bytes:
    """An answer with a page."""
    head = b"HTTP/1.1 200 OK\r\nServer: App-webs/\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def sdp(body: bytes) -> bytes:
    """An answer with a description of a session."""
    head = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def datagram(source: str, sport: int, dport: int, data: Any) -> list[Packet]:
    """One UDP datagram."""
    target = CAMERA if source == CLIENT else CLIENT
    return [ether(source, target, UDP(sport=sport, dport=dport) / data)]


def snmp(secret: str, text: bytes = b"Hikvision DS-2CD2042WD-I") -> Packet:
    """What a device answers to a reader with this community."""
    told = SNMPresponse(varbindlist=[SNMPvarbind(oid="1.3.6.1.2.1.1.1.0", value=text)])
    return SNMP(version=1, community=secret, PDU=told)


def cut(data: bytes, *places: int) -> list[bytes]:
    """`data` in parts."""
    ends = [0, *places, len(data)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def in_parts(secret: str) -> list[Packet]:
    """A header whose value is spread over three segments, the last before the second."""
    request = get(b"Authorization: Basic " + basic(secret))
    parts = cut(request, request.index(b"Basic") + 8, request.index(b"Basic") + 14)
    frames = talk(80, *((CLIENT, part) for part in parts), (CAMERA, SERVER))
    frames[3], frames[4] = frames[4], frames[3]
    return frames


def answered_early(secret: str) -> list[Packet]:
    """An answer comes, and is kept, in the middle of a password."""
    request = get(b"Authorization: Basic " + basic(secret))
    first, second = cut(request, request.index(b"Basic") + 9)
    again = get(b"X-Second: 1", path=b"/SDK/language")
    return talk(80, (CLIENT, first), (CAMERA, SERVER), (CLIENT, second), (CLIENT, again), (CAMERA, SERVER))


def from_the_middle(secret: str) -> list[Packet]:
    """The capture begins in the middle of a request's password."""
    request = get(b"Authorization: Basic " + basic(secret))
    parts = cut(request, request.index(b"Basic") + 9)
    return talk(80, (CLIENT, parts[1]), (CLIENT, get()), (CAMERA, SERVER), opened=False)


def letter_by_letter(secret: str) -> list[Packet]:
    """A telnet login, each letter echoed."""
    letters = [(side, letter.encode()) for letter in f"root\r{secret}\r" for side in (CLIENT, CAMERA)]
    return talk(23, (CAMERA, b"login: "), *letters, opened=False)


def usernametoken(secret: str) -> bytes:
    """An ONVIF question with a password in clear."""
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header><Security><wsse:UsernameToken>'
        "<wsse:Username>admin</wsse:Username><wsse:Password Type="
        '"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText">'
        f"{secret}</wsse:Password></wsse:UsernameToken></Security></s:Header><s:Body/></s:Envelope>"
    ).encode()


def tunnelled(secret: str) -> list[Packet]:
    """A mirror by VXLAN of a login, with a checksum around it."""
    outer = Ether(src="02:00:00:00:00:09", dst="02:00:00:00:00:08") / IP(src="10.1.0.9", dst="10.1.0.8")
    return [
        outer / UDP(sport=5000, dport=4789) / VXLAN(vni=7) / frame
        for frame in http(get(b"Authorization: Basic " + basic(secret)))
    ]


def in_fragments(secret: str) -> list[Packet]:
    """A long SNMP answer in fragments, the community in the first."""
    whole = datagram(CAMERA, 161, 40_000, snmp(secret, b"Hikvision " * 300))[0]
    split: Any = fragment
    return [Ether(src=MACS[CAMERA], dst=MACS[CLIENT]) / part for part in split(whole[IP], fragsize=1_000)]


def over_ipv6(secret: str) -> list[Packet]:
    """A community in IPv6."""
    head = Ether(src=MACS[CAMERA], dst=MACS[CLIENT]) / IPv6(src="fd00::64", dst="fd00::2")
    return [head / UDP(sport=161, dport=40_000) / snmp(secret)]


def dahua(secret: str) -> list[Packet]:
    """A login to Dahua's own port, with what its answer says."""
    login = b"\xa0\x05\x00\x60" + len(secret).to_bytes(4, "little") + bytes(24) + b"admin&&" + secret.encode()
    realm = b"Realm:Login to 5b3a2f6d9c1e\r\nRandom:123456789\r\n\r\n"
    answer = b"\xb0\x00\x00\x58" + len(realm).to_bytes(4, "little") + bytes(24) + realm
    return talk(37777, (CLIENT, login), (CAMERA, answer))


Case = Callable[[str], Sequence[Packet]]

CASES: dict[str, tuple[Case, bytes]] = {
    "http basic": (lambda s: http(get(b"Authorization: Basic " + basic(s))), b"Authorization: Basic xxxx"),
    "http digest": (
        lambda s: http(get(f'authorization: Digest username="admin", response="{s}"'.encode())),
        b"authorization: Digest xxxx",
    ),
    "http proxy": (lambda s: http(get(b"Proxy-Authorization: Basic " + basic(s))), b"Basic xxxx"),
    "folded header": (
        lambda s: http(get(b"Authorization: Digest username=a,\r\n response=" + s.encode())),
        b"Authorization: Digest xxxx",
    ),
    "cookie": (
        lambda s: http(get(f"Cookie: lang=en; WebSession={s}".encode())),
        b"Cookie: lang=xx; WebSession=xxxx",
    ),
    "set-cookie": (
        lambda s: http(get(), SERVER.replace(b"Content", f"Set-Cookie: sid={s}; Path=/\r\nContent".encode())),
        b"Set-Cookie: sid=xxxxxxxxxxxx; Path=/",
    ),
    "token header": (lambda s: http(get(f"X-Auth-Token: {s}".encode())), b"X-Auth-Token: xxxx"),
    "query": (
        lambda s: http(get(path=f"/cgi-bin/CGIProxy.fcgi?cmd=snap&usr=admin&pwd={s}&x=1".encode())),
        b"cmd=snap&usr=xxxxx&pwd=xxxxxxxxxxxx&x=1",
    ),
    "form": (
        lambda s: http(post(b"application/x-www-form-urlencoded", f"username=admin&password={s}".encode())),
        b"username=xxxxx&password=xxxx",
    ),
    "json": (
        lambda s: http(
            post(b"application/json", b'{"params": {"userName": "a", "password": "%s"}}' % s.encode())
        ),
        b'"password": "xxxx',
    ),
    "usernametoken": (
        lambda s: http(post(b"application/soap+xml", usernametoken(s))),
        b">xxxxxxxxxxxx</wsse:Password>",
    ),
    "hikvision session": (
        lambda s: http(get(), SERVER[:-4] + f"\r\n\r\n<Login><sessionID>{s}</sessionID></Login>".encode()),
        b"<sessionID>xxxxxxxxxxxx</sessionID>",
    ),
    "a page that says it": (
        lambda s: http(get(), page(f"var pppoe_pwd='{s}';\n<a href='http://a:{s}@10.9.0.64/'>".encode())),
        b"var pppoe_pwd='xxxxxxxxxxxx';",
    ),
    "location": (
        lambda s: http(get(), SERVER.replace(b"Content", f"Location: /next?token={s}\r\nContent".encode())),
        b"Location: /next?token=xxxxxxxxxxxx",
    ),
    "key of media": (
        lambda s: http(
            b"DESCRIBE rtsp://10.9.0.64/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
            sdp(f"v=0\r\ns=HiCam\r\na=crypto:1 AES_CM_128 inline:{basic(s).decode()}|1\r\n".encode()),
            554,
        ),
        b"inline:xxxx",
    ),
    "in parts": (in_parts, b"Authorization: Basic xx"),
    "answered early": (answered_early, b"Authorization: Basic xx"),
    "from the middle": (from_the_middle, b"GET /doc/page/login.asp"),
    "rtsp basic": (
        lambda s: http(
            b"DESCRIBE rtsp://10.9.0.64/ RTSP/1.0\r\nCSeq: 1\r\nAuthorization: Basic "
            + basic(s)
            + b"\r\n\r\n",
            RTSP_SERVER,
            554,
        ),
        b"Authorization: Basic xxxx",
    ),
    "rtsp url": (
        lambda s: http(
            f"DESCRIBE rtsp://admin:{s}@10.9.0.64/live RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode(), RTSP_SERVER, 554
        ),
        b"rtsp://xxxxxxxxxxxxxxxxxx@10.9.0.64/live",
    ),
    "rtsp path": (
        lambda s: http(
            f"DESCRIBE rtsp://10.9.0.64/user=admin_password={s}_channel=1_stream=0.sdp RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode(),
            RTSP_SERVER,
            554,
        ),
        b"/user=xxxxx_password=xxxxxxxxxxxx_channel=1_stream=0.sdp",
    ),
    "sip": (
        lambda s: datagram(
            CLIENT,
            5060,
            5060,
            f'REGISTER sip:a SIP/2.0\r\nUser-Agent: Hikvision\r\nAuthorization: Digest response="{s}"\r\n\r\n'.encode(),
        ),
        b"Authorization: Digest xxxx",
    ),
    "snmp": (lambda s: datagram(CAMERA, 161, 40_000, snmp(s)), b"\x02\x01\x01\x04\x0cxxxxxxxxxxxx"),
    "snmp over ipv6": (over_ipv6, b"\x02\x01\x01\x04\x0cxxxxxxxxxxxx"),
    "snmp in fragments": (in_fragments, b"\x02\x01\x01\x04\x0cxxxxxxxxxxxx"),
    "in a tunnel": (tunnelled, b"Authorization: Basic xxxx"),
    "ftp": (
        lambda s: talk(
            21,
            (CAMERA, b"220 ready\r\n"),
            (CLIENT, b"USER a\r\n"),
            (CLIENT, f"PASS {s}\r\n".encode()),
            opened=False,
        ),
        b"xxxxxxxxx",
    ),
    "telnet": (letter_by_letter, b"xxxxxxx"),
    "dahua": (dahua, b"Login to 5b3a2f6d9c1e"),
    "sadp sets a password": (
        lambda s: datagram(
            CLIENT,
            37020,
            37020,
            f'<?xml version="1.0"?><Probe><Types>update</Types><Password>{s}</Password></Probe>'.encode(),
        ),
        b"<Password>xxxxxxxxxxxx</Password>",
    ),
}


def written(frames: Sequence[Packet]) -> tuple[bytes, Report]:
    """The file that is kept of these frames, and what was reported of them."""
    whole: list[bytes] = []

    class File(io.BytesIO):
        def close(self) -> None:
            whole.append(self.getvalue())
            super().close()

    tally, reading, evidence = prepare(None, None).tally(), Reading(ALL, "eth0"), Evidence(File)
    for number, packet in enumerate(frames, start=1):
        data = bytes(packet)
        frame = Frame(1_767_225_600.0 + number, 1, data, len(data), number, 0)
        evidence.offer(frame, "eth0", [row for row in reading.frame(frame) if tally.feed(row)])
    evidence.finish("eth0", [row for row in reading.close() if tally.feed(row)])
    evidence.close()
    return whole[0], tally.report()


def checksums_are_right(file: bytes) -> bool:
    """Whether another implementation finds the same checksums, or none, in every frame."""
    for frame in read_frames(io.BytesIO(file)):
        packet = Ether(frame.data)
        for kind in (UDP, TCP):
            if not packet.haslayer(kind) or packet.haslayer(VXLAN):
                continue
            if packet.haslayer(IP) and (packet[IP].flags.MF or packet[IP].frag):
                continue
            told = packet[kind].chksum
            fresh = packet.copy()
            del fresh[kind].chksum
            if told != Ether(bytes(fresh))[kind].chksum:
                return False
    return True


@pytest.mark.parametrize("name", CASES)
def test_a_kept_capture_gives_no_secret_away(name: str) -> None:
    """With one password or another of its length the same bytes are kept, and the report is the same."""
    build, kept = CASES[name]
    (first, report), (second, other) = (written(build(secret)) for secret in SECRETS)
    assert kept in first
    assert first == second
    assert report.devices == other.devices
    for secret in SECRETS:
        assert secret.encode() not in first
        assert basic(secret) not in first
        assert secret not in repr(report)
    assert checksums_are_right(first)


@pytest.mark.parametrize("name", CASES)
def test_it_still_proves_what_it_did(name: str) -> None:
    """Read again, what was kept leads to the same devices, ports and verdicts."""
    build, _ = CASES[name]
    first, report = written(build(SECRETS[0]))
    again = written([frame.data for frame in read_frames(io.BytesIO(first))])[1]  # type: ignore[misc]

    def verdicts(report: Report) -> list[tuple[object, ...]]:
        return [
            (row.id, row.verdict.manufacturer, row.verdict.level, row.finding, row.ports)
            for row in report.devices
        ]

    assert verdicts(again) == verdicts(report)


def test_chance() -> None:
    """Bytes that mean nothing are masked or kept, and never an error."""
    draw = random.Random(7)  # noqa: S311 - the same bytes each time
    for _ in range(300):
        data = draw.randbytes(draw.randrange(1, 300))
        port = draw.choice([21, 80, 161, 554, 8000, 37777, 37810])
        written(
            draw.choice([datagram(CAMERA, port, 40_000, data), talk(port, (CLIENT, data), (CAMERA, data))])
        )

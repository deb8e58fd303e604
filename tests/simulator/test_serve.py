"""Tests that devices answer hand-made questions on real loopback sockets, as their records say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import struct
import zlib
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import pytest
from cryptography import x509

from simulator.device import Device, Place, load
from simulator.serve import MAX_HEAD, listen, serving
from tests import asking

# Each worker of a parallel run has an address of its own.
ADDRESS = f"127.78.{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:]}.1"
PORTS = {80: 18080, 443: 18443, 554: 18554}


@contextlib.contextmanager
def standing(device: Device) -> Iterator[Place]:
    """The device on ADDRESS, answering from a thread of its own."""
    place = Place(ADDRESS, device.mac, ports=PORTS)
    ready, stop = Event(), Event()

    async def serve() -> None:
        async with serving([listen(device, place)]):
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield place
    finally:
        stop.set()
        thread.join()


def dhip_body(said: bytes) -> Any:
    size, magic, first, second = struct.unpack("<I4s8xI4xI", said[:28])
    assert (size, magic, first, second) == (32, b"DHIP", len(said) - 32, len(said) - 32)
    return json.loads(said[32:])


def test_sadp() -> None:
    """A camera answers an inquiry with its own address and the question's Uuid, and nothing else."""
    with standing(load("hikvision-ds-2cd2385g1-i")):
        said = asking.over_udp(ADDRESS, 37020, asking.SADP).decode()
        assert "<DeviceDescription>DS-2CD2385G1-I</DeviceDescription>" in said
        assert f"<IPv4Address>{ADDRESS}</IPv4Address>" in said
        assert "<HttpPort>18080</HttpPort>" in said
        assert "<Uuid>0B7C6E1D-52A4-4F7B-9A11-3C5D8E2F7A60</Uuid>" in said
        with pytest.raises(TimeoutError):
            asking.over_udp(ADDRESS, 37020, asking.SADP.replace(b"inquiry", b"update"))


@pytest.mark.parametrize("uni", [0, 1])
def test_dhip(uni: int) -> None:
    """On loopback a search is answered by unicast, whichever way it asks for."""
    with standing(load("dahua-ipc-hdw5421s")) as place:
        said = dhip_body(asking.over_udp(ADDRESS, 37810, asking.dhip(uni)))
    assert said["mac"] == place.mac
    assert said["params"]["deviceInfo"]["DeviceType"] == "IPC-HDW5421S"
    assert said["params"]["deviceInfo"]["IPv4Address"]["IPAddress"] == ADDRESS


def test_dahua_legacy() -> None:
    """The older Dahua answer has its lengths, device type, address and text where they belong."""
    with standing(load("dahua-hcvr")) as place:
        said = asking.over_udp(ADDRESS, 5050, asking.LEGACY)
    assert said[0] == 0xB3
    assert said[0x28:0x38].rstrip(b"\0") == b"HCVR"
    assert said[0x38:0x3C] == socket.inet_aton(ADDRESS)
    text = said[0x78 + said[2] :]
    assert said[0x78 : 0x78 + said[2]] == place.mac.encode() + b"HCVR"
    assert len(text) == struct.unpack_from("<H", said, 0x14)[0]
    assert b"SerialNo:2K0173CPAGS0ND8" in text


def test_ws_discovery() -> None:
    """A camera answers a Probe of its type or of none, not one of another type."""
    with standing(load("axis-m2036-le")):
        name = "5d3c2f60-8f1e-4f0b-bb7c-6a2d9e4b1c07"
        said = asking.over_udp(ADDRESS, 3702, asking.ws_probe(name=name)).decode()
        assert "onvif://www.onvif.org/name/AXIS%20M2036-LE" in said
        assert f"http://{ADDRESS}:18080/onvif/device_service" in said
        assert f"<a:RelatesTo>uuid:{name}</a:RelatesTo>" in said
        assert asking.over_udp(ADDRESS, 3702, asking.ws_probe(""))
        with pytest.raises(TimeoutError):
            asking.over_udp(ADDRESS, 3702, asking.ws_probe("pub:Computer"))


def test_ws_discovery_on_one_line() -> None:
    """Hikvision firmware drops a Probe with a line break in it."""
    with standing(load("hikvision-ds-2cd2385g1-i")):
        assert asking.over_udp(ADDRESS, 3702, asking.ws_probe())
        with pytest.raises(TimeoutError):
            asking.over_udp(ADDRESS, 3702, asking.ws_probe().replace(b"><", b">\n<"))


def test_ssdp() -> None:
    """A search is answered with the description's address, which serves the description."""
    with standing(load("synology-rt2600ac")):
        said = asking.over_udp(ADDRESS, 1900, asking.SSDP).decode()
        assert f"LOCATION: http://{ADDRESS}:8000/ssdp/desc-DSM-lbr0.xml\r\n" in said
        assert "ST: upnp:rootdevice\r\n" in said
        described = asking.over_tcp(ADDRESS, 8000, asking.http("/ssdp/desc-DSM-lbr0.xml"))
    assert described.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"<modelName>RT2600ac</modelName>" in described


def test_mdns() -> None:
    """A question from an ordinary port is answered to that port, id and question repeated."""
    with standing(load("dlink-dcs-935l")) as place:
        said = asking.over_udp(ADDRESS, 5353, asking.mdns("_dhnap", "_tcp", "local"))
        listed = asking.over_udp(ADDRESS, 5353, asking.mdns("_services", "_dns-sd", "_udp", "local"))
        with pytest.raises(TimeoutError):
            asking.over_udp(ADDRESS, 5353, asking.mdns("_ipp", "_tcp", "local"))
    assert struct.unpack_from(">HHHH", said) == (0x4D2, 0x8400, 1, 1)
    assert b"model_number=DCS-935L" in said
    assert place.mac.upper().encode() in said
    assert b"\x06_dhnap\x04_tcp\x05local\0" in listed


def test_tplink_tdp() -> None:
    """The answer's checksum is right and its JSON is the recorded one."""
    with standing(load("tplink-tapo-c210")):
        said = asking.over_udp(ADDRESS, 20002, asking.TDP)
    checked = said[:12] + bytes.fromhex("5a6b7c8d") + said[16:]
    assert zlib.crc32(checked) == struct.unpack_from(">I", said, 12)[0]
    assert json.loads(said[16:])["result"]["device_model"] == "C210"


def test_http() -> None:
    """Recorded paths answer as recorded, others are not found; HEAD has no body."""
    with standing(load("hikvision-ds-2cd2155fwd-i")):
        refused = asking.over_tcp(ADDRESS, 18080, asking.http("/ISAPI/System/status?x=1"))
        absent = asking.over_tcp(ADDRESS, 18080, asking.http("/nothing"))
        head = asking.over_tcp(ADDRESS, 18080, asking.http("/ISAPI/System/status", "HEAD"))
    assert refused.startswith(b"HTTP/1.1 401 Unauthorized\r\nServer: App-webs/\r\n")
    assert b'realm="IP Camera(47206)"' in refused
    assert refused.endswith(b"<p>Authentication Error</p>\r\n</body>\r\n</html>\r\n")
    assert absent.startswith(b"HTTP/1.1 404 Not Found\r\nServer: App-webs/\r\nContent-Length: 0\r\n")
    assert head.endswith(b"\r\n\r\n")
    assert head.split(b"\r\n\r\n")[0] == refused.split(b"\r\n\r\n")[0]


def test_http_keeps_the_connection() -> None:
    """HTTP/1.1 without `Connection: close` answers several requests in one connection."""
    request = b"GET / HTTP/1.1\r\nHost: camera\r\n\r\n"
    with standing(load("web-server")):
        said = asking.over_tcp(ADDRESS, 18080, request * 2)
    assert said.count(b"Welcome to nginx!</title>") == 2


@pytest.mark.parametrize(
    "question",
    [
        b"\0\xff" * 30 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HEAD + b"\r\n\r\n",
        asking.rtsp("OPTIONS"),
    ],
    ids=["noise", "long", "rtsp"],
)
def test_http_hangs_up(question: bytes) -> None:
    """What is no HTTP request, or too long, ends the conversation without an answer, and only that one."""
    with standing(load("web-server")):
        with contextlib.suppress(ConnectionError):
            assert asking.over_tcp(ADDRESS, 18080, question) == b""
        assert b"200 OK" in asking.over_tcp(ADDRESS, 18080, asking.http("/"))


def test_onvif() -> None:
    """Everybody may read the clock; the rest is answered where it was recorded."""
    with standing(load("canon-vb-s30d")):
        clock = asking.over_tcp(ADDRESS, 18080, asking.soap("GetSystemDateAndTime"))
        about = asking.over_tcp(ADDRESS, 18080, asking.soap("GetDeviceInformation"))
        users = asking.over_tcp(ADDRESS, 18080, asking.soap("GetUsers"))
    assert b"<tt:Year>" in clock
    assert b"<tds:Manufacturer>Canon</tds:Manufacturer><tds:Model>VB-S30D</tds:Model>" in about
    assert users.startswith(b"HTTP/1.1 400 ")
    assert b"ter:NotAuthorized" in users


def test_onvif_refusal() -> None:
    """A recorded refusal is given instead, with its realm."""
    with standing(load("dahua-ipc-hdw1025c")):
        said = asking.over_tcp(ADDRESS, 18080, asking.soap("GetDeviceInformation"))
    assert said.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b'realm="Login to 2J01206PAA00457"' in said


def test_rtsp() -> None:
    """OPTIONS and DESCRIBE repeat the sequence number and give the recorded headers, all of them."""
    with standing(load("hikvision-rtsp-mac-realm")):
        said = asking.over_tcp(
            ADDRESS, 18554, asking.rtsp("OPTIONS") + asking.rtsp("DESCRIBE") + asking.rtsp("PLAY")
        )
    assert said.startswith(b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nPublic: OPTIONS, DESCRIBE, SETUP")
    assert said.count(b'realm="c056e32b914e"') == 2
    assert b"RTSP/1.0 501 Not Implemented\r\nCSeq: 7\r\n\r\n" in said


def test_rtsp_description() -> None:
    """An open stream describes itself, with the length that it has."""
    with standing(load("vlc-rtsp-server")):
        said = asking.over_tcp(ADDRESS, 8554, asking.rtsp("DESCRIBE"))
    head, _, body = said.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"s=Unnamed\r\n" in body


def test_certificate() -> None:
    """The certificate carries the recorded names."""
    with standing(load("dahua-xvr-https")):
        shown = x509.load_der_x509_certificate(asking.certificate(ADDRESS, 18443))
    assert shown.subject.rfc4514_string() == "CN=192.168.1.100,C=CN"
    assert shown.issuer.rfc4514_string() == "CN=Dahua Device XVR CA,O=Zhejiang Dahua Technology Co.\\,Ltd."


def test_a_taken_port_leaves_nothing_open() -> None:
    """Where a port is taken, the error names it, and every other socket is closed again."""
    device = load("dahua-hcvr")
    place = Place(ADDRESS, device.mac)
    with (
        socket.create_server((ADDRESS, 37777)),
        pytest.raises(OSError, match=re.escape(f"{ADDRESS}:37777/tcp")),
    ):
        listen(device, place)
    listen(device, place).close()

"""Tests that the lab is what it says: every device and program answers hand-made questions there."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.device import Device
from tests import asking
from tests.lab import namespaces
from tests.lab.network import INTERFACE, Lab, Member

pytestmark = pytest.mark.lab

DISCOVERY_GROUP = "239.255.255.250"
DHIP_GROUP = "239.255.255.251"
MDNS_GROUP = "224.0.0.251"


def speaking(lab: Lab, speaks: Callable[[Device], object]) -> set[str]:
    """The addresses of the simulated devices that `speaks` is true of."""
    return {member.ip for member in lab.devices if isinstance(member.truth, Device) and speaks(member.truth)}


def program(lab: Lab, name: str) -> Member:
    return next(member for member in lab.programs if member.name == name)


def ask_group(
    lab: Lab, group: str, port: int, question: bytes, *, heard_at: int = 0
) -> dict[str, list[bytes]]:
    """The answers to one multicast question, by who sent them.

    They are heard at the port the question came from, or in the group at port `heard_at`.
    """
    index = lab.scanner_interface()
    mreqn = struct.pack("@4s4si", bytes(4), bytes(4), index)
    with lab.open(socket.SOCK_DGRAM) as sock, lab.open(socket.SOCK_DGRAM) as listener:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, mreqn)
        sock.bind((lab.scanner_ip, 0))
        if heard_at:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((group, heard_at))
            member = struct.pack("@4s4si", socket.inet_aton(group), bytes(4), index)
            listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        sock.sendto(question, (group, port))
        return collect(listener if heard_at else sock)


def collect(sock: socket.socket) -> dict[str, list[bytes]]:
    """What comes within one and a half seconds, by sender."""
    found: dict[str, list[bytes]] = {}
    end = time.monotonic() + 1.5
    while (left := end - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            data, sender = sock.recvfrom(65_536)
        except TimeoutError:
            break
        found.setdefault(sender[0].partition("%")[0], []).append(data)
    return found


def ask_tcp(
    lab: Lab, ip: str, port: int, question: bytes, family: socket.AddressFamily = socket.AF_INET
) -> bytes:
    """What is answered there over TCP, until the other side closes or is silent for a second."""
    said = b""
    with lab.open(socket.SOCK_STREAM, family) as sock:
        sock.settimeout(2)
        sock.connect((ip, port))
        sock.sendall(question)
        sock.settimeout(1)
        try:
            while more := sock.recv(65_536):
                said += more
        except TimeoutError:
            pass
    return said


def test_sadp_answers_the_group(lab: Lab) -> None:
    """Exactly the devices that speak SADP answer an inquiry, by multicast, and never by unicast."""
    heard = ask_group(lab, DISCOVERY_GROUP, 37020, asking.SADP, heard_at=37020)
    answers = {ip for ip, said in heard.items() if any(b"<ProbeMatch>" in data for data in said)}
    assert answers == speaking(lab, lambda device: device.sadp)
    assert ask_group(lab, DISCOVERY_GROUP, 37020, asking.SADP) == {}


@pytest.mark.parametrize(("uni", "heard_at"), [(1, 0), (0, 37810)])
def test_dhip_answers_as_it_is_asked(lab: Lab, uni: int, heard_at: int) -> None:
    """With `uni` 1 the devices answer who asked, with 0 the group."""
    heard = ask_group(lab, DHIP_GROUP, 37810, asking.dhip(uni), heard_at=heard_at)
    answers = {ip for ip, said in heard.items() if any(b"notifyDevInfo" in data for data in said)}
    assert answers == speaking(lab, lambda device: device.dhip)


def test_broadcast_reaches_them_too(lab: Lab) -> None:
    """A DHIP search and the older question are answered when they come by broadcast."""
    for port, question, speaks in (
        (37810, asking.dhip(1), lambda device: device.dhip),
        (5050, asking.LEGACY, lambda device: device.dahua_legacy),
    ):
        with lab.open(socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.bind((lab.scanner_ip, 0))
            sock.sendto(question, ("10.77.0.255", port))
            assert set(collect(sock)) == speaking(lab, speaks)


def test_ws_discovery(lab: Lab) -> None:
    """A Probe for cameras is answered by every simulated ONVIF device, each from its own address."""
    heard = ask_group(lab, DISCOVERY_GROUP, 3702, asking.ws_probe())
    cameras = speaking(lab, lambda device: device.ws_discovery and "Transmitter" in device.ws_discovery.types)
    assert cameras <= set(heard)
    for ip in cameras:
        assert f"http://{ip}:".encode() in heard[ip][0]
    assert set(heard) - cameras <= {program(lab, "ipycam").ip}


def test_ws_discovery_over_ipv6(lab: Lab) -> None:
    """The same question in the link-local group of IPv6 reaches the same devices."""
    with lab.open(socket.SOCK_DGRAM, socket.AF_INET6) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, lab.scanner_interface())
        sock.sendto(asking.ws_probe(), ("ff02::c", 3702, 0, lab.scanner_interface()))
        heard = collect(sock)
    cameras = speaking(lab, lambda device: device.ws_discovery and "Transmitter" in device.ws_discovery.types)
    assert len(heard) == len(cameras)
    assert all(ip.startswith("fe80::") for ip in heard)


def test_ssdp(lab: Lab) -> None:
    """A search is answered by every simulated UPnP device and by minidlna."""
    heard = ask_group(lab, DISCOVERY_GROUP, 1900, asking.SSDP)
    assert set(heard) == speaking(lab, lambda device: device.ssdp) | {program(lab, "minidlna").ip}


def test_mdns(lab: Lab) -> None:
    """A question for all services is answered by every simulated device that has some, and by avahi."""
    question = asking.mdns("_services", "_dns-sd", "_udp", "local")
    heard = ask_group(lab, MDNS_GROUP, 5353, question)
    assert set(heard) == speaking(lab, lambda device: device.mdns) | {program(lab, "avahi").ip}


def test_tplink_tdp(lab: Lab) -> None:
    """TP-Link's devices answer a question sent to each of them."""
    for ip in speaking(lab, lambda device: device.tplink_tdp):
        with lab.open(socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            sock.sendto(asking.TDP, (ip, 20002))
            assert b"device_model" in sock.recv(65_536)


def test_web_and_stream_servers(lab: Lab) -> None:
    """Every simulated web and stream server answers on its real port, over IPv4 and IPv6."""
    asked = 0
    for member in lab.devices:
        device = member.truth
        if not isinstance(device, Device):
            continue
        plain = [server for server in device.http if not server.tls]
        for server in plain:
            # What is for an account alone is challenged anew each time.
            open_to_all = [route for route in server.route if not route.login and not route.query]
            path = open_to_all[0].path if open_to_all else "/nothing"
            status = open_to_all[0].status if open_to_all else 404
            said = ask_tcp(lab, member.ip, server.port, asking.http(path))
            assert said.startswith(f"HTTP/1.1 {status} ".encode()), member.name
            assert said == ask_tcp(lab, member.ip6, server.port, asking.http(path), socket.AF_INET6)
            asked += 1
        if device.onvif:
            said = ask_tcp(lab, member.ip, device.onvif.port, asking.soap("GetSystemDateAndTime"))
            assert b"GetSystemDateAndTimeResponse" in said, member.name
            asked += 1
        if device.rtsp and device.rtsp.describe:
            said = ask_tcp(lab, member.ip, device.rtsp.port, asking.rtsp("DESCRIBE"))
            assert said.startswith(f"RTSP/1.0 {device.rtsp.describe.status} ".encode()), member.name
            asked += 1
    assert asked > 30


@pytest.mark.parametrize(
    ("name", "port", "question", "says"),
    [
        ("nginx", 80, asking.http("/"), b"Server: nginx/"),
        ("lighttpd", 80, asking.http("/"), b"Server: lighttpd/"),
        ("ipycam", 8080, asking.soap("GetSystemDateAndTime"), b"GetSystemDateAndTimeResponse"),
        ("gst-rtsp-server", 554, asking.rtsp("OPTIONS"), b"Server: GStreamer RTSP server"),
        ("minidlna", 8200, asking.http("/rootDesc.xml"), b"MediaServer:1"),
        ("wsdd", 5357, asking.http("/"), b"HTTP/1."),
    ],
)
def test_third_party_software(lab: Lab, name: str, port: int, question: bytes, says: bytes) -> None:
    """Software that nobody here wrote answers in its own way."""
    assert says in ask_tcp(lab, program(lab, name).ip, port, question)


def test_wsdd_is_a_computer(lab: Lab) -> None:
    """A Probe for devices of the Windows profile is answered by wsdd as a computer does."""
    heard = ask_group(lab, DISCOVERY_GROUP, 3702, asking.ws_probe("wsdp:Device"))
    assert b"pub:Computer" in heard[program(lab, "wsdd").ip][0]


def test_macs_are_the_devices_own(lab: Lab) -> None:
    """The scanner's neighbour table has every device under its maker's MAC."""
    for member in lab.members:
        with lab.open(socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", (member.ip, 9))
    time.sleep(0.5)
    table = lab.run(["ip", "neigh"]).stdout
    for member in lab.members:
        assert f"{member.ip} dev {INTERFACE} lladdr {member.mac}" in table, member.name


def test_there_is_no_way_out(lab: Lab) -> None:
    """Neither the scanner nor any device has a route to anything but the lab's own subnets."""
    for family in ("-4", "-6"):
        for namespace in (lab.scanner, *(member.namespace for member in lab.members)):
            listed = ["ip", "-n", namespace, family, "route", "show", "default"]
            assert subprocess.run(listed, capture_output=True, text=True, check=True).stdout == ""


def test_announcements_are_captured(lab: Lab, tmp_path: Path) -> None:
    """What devices announce reaches the scanner's interface, and a capture of it is written."""
    path = tmp_path / "announced.pcap"
    with lab.capture(path, "udp"):
        assert lab.announce() > 20
    recorded = path.read_bytes()
    for said in (b"/discovery/Hello", b"ssdp:alive", b"_axis-video", b"AXIS,PTZ Dome Network Camera"):
        assert said in recorded


def test_without_root_nothing_is_permitted(lab: Lab) -> None:
    """The unprivileged scanner has no capability, yet runs this interpreter."""
    done = lab.run([sys.executable, "-c", "print(open('/proc/self/status').read())"], root=False)
    assert done.returncode == 0, done.stderr
    effective = next(line for line in done.stdout.splitlines() if line.startswith("CapEff"))
    assert int(effective.split()[1], 16) == 0
    assert lab.run(["id", "-u"]).stdout == "0\n"


def test_a_killed_lab_is_cleaned_up(lab: Lab) -> None:
    """What a killed process left behind is gone after the next start."""
    assert lab.scanner
    code = (
        "import os, signal; from tests.lab import namespaces as n;"
        "n.ip([f'netns add {n.prefix()}left']); print(n.prefix(), flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    left = Path("/run/netns") / f"{died.stdout.strip()}left"
    assert died.returncode == -signal.SIGKILL
    assert left.exists()
    with subprocess.Popen(["nsenter", f"--net={left}", "sleep", "60"]) as sleeper:
        time.sleep(0.2)
        namespaces.remove_stale()
        assert sleeper.wait(5) == -signal.SIGKILL
    assert not left.exists()
    assert (Path("/run/netns") / lab.scanner).exists()
    assert os.getpid() == int(lab.scanner.split("-")[1])

"""Records the captures of ``pcaps/`` in labs of its own: ``python -m tests.lab.record [NAME...]`` (root).

Each recording stands up the devices it needs, captures what the scanner's interface sees while
something happens, and writes ``pcaps/NAME.pcap`` with its part of ``pcaps/index.toml``: which
hosts are in it and what must be said of each.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import struct
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from simulator.device import Device, load, load_all
from tests import asking
from tests.lab.network import INTERFACE, Lab, Member
from tests.lab.software import SOFTWARE

FOLDER: Final = Path(__file__).resolve().parents[2] / "pcaps"
MOST_BYTES: Final = 256 * 1024
_LISTEN_SECONDS: Final = 2.0
_NO_CAMERA: Final = "not-surveillance"
_MIXED: Final = (
    "hikvision-ds-2cd2385g1-i",
    "dahua-ipc-hdw5421s",
    "annke-i61dr",
    "lorex-w461asc",
    "axis-m5014",
    "axis-m2036-le",
    "tplink-vigi-c350",
    "dlink-dcs-935l",
    "hue-bridge",
    "windows-pc",
)
# A scan asks each host many ports: few hosts keep the file small.
_SCANNED: Final = ("hikvision-ds-2cd2385g1-i", "annke-i61dr", "dahua-hcvr", "amcrest-ip2m-841b", "web-server")

_ANNOUNCING: Final = (
    "hikvision-ds-2cd2385g1-i",
    "amcrest-ip2m-841b",
    "cp-plus-cp-unc-da21pl3-y",
    "axis-m5014",
    "axis-m2036-le",
    "tplink-vigi-c350",
    "dlink-dcs-935l",
    "edimax-ic-3115w",
    "hue-bridge",
    "windows-pc",
)
"""Devices that make themselves known unasked, which those found by SADP or DHIP alone do not."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One capture: `devices` are ids of simulated devices, `act` is what happens meanwhile.

    `addresses` says by which address the hosts are known in it: ``ip`` or ``ip6``.
    """

    name: str
    what: str
    devices: tuple[str, ...]
    act: Callable[[Lab], None]
    vlans: tuple[int, ...] = ()
    software: bool = False
    addresses: str = "ip"
    filter: str = "not port 67 or port 68"


def ask_groups(lab: Lab) -> None:
    """One round of every multicast question, as a scanner asks them."""
    for group, port, question in (
        ("239.255.255.250", 37020, asking.SADP),
        ("239.255.255.251", 37810, asking.dhip(0)),
        ("239.255.255.250", 3702, asking.ws_probe()),
        ("239.255.255.250", 3702, asking.ws_probe("")),
        ("239.255.255.250", 1900, asking.SSDP),
        ("224.0.0.251", 5353, asking.mdns("_services", "_dns-sd", "_udp", "local")),
        ("224.0.0.251", 5353, asking.mdns("_axis-video", "_tcp", "local")),
        ("224.0.0.251", 5353, asking.mdns("_dhnap", "_tcp", "local")),
        ("224.0.0.251", 5353, asking.mdns("_hap", "_tcp", "local")),
        ("224.0.0.251", 5353, asking.mdns("_http", "_tcp", "local")),
    ):
        with lab.open(socket.SOCK_DGRAM) as sock:
            where = struct.pack("@4s4si", bytes(4), bytes(4), lab.scanner_interface())
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, where)
            # SADP and multicast DNS are answered at their own port.
            sock.bind((lab.scanner_ip, port if port in {37020, 5353} else 0))
            sock.sendto(question, (group, port))
            _hear(sock)


def ask_groups_over_ipv6(lab: Lab) -> None:
    """The multicast questions that have a group in IPv6, then the cameras' web pages over it."""
    for group, port, question in (
        ("ff02::c", 3702, asking.ws_probe()),
        ("ff02::c", 3702, asking.ws_probe("")),
        ("ff02::c", 1900, asking.SSDP),
        ("ff02::fb", 5353, asking.mdns("_services", "_dns-sd", "_udp", "local")),
    ):
        with lab.open(socket.SOCK_DGRAM, socket.AF_INET6) as sock:
            index = lab.scanner_interface()
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sock.sendto(question, (group, port, 0, index))
            _hear(sock)
    for member in lab.devices:
        _visit(lab, member, member.ip6, socket.AF_INET6)


def visit_all(lab: Lab) -> None:
    """A client's visit to every device: web pages, ONVIF, the stream's description."""
    ask_groups(lab)
    for member in lab.devices:
        _visit(lab, member, member.ip, socket.AF_INET)


def announce(lab: Lab) -> None:
    """Every device announces itself, twice; nobody asks anything."""
    for _ in range(2):
        lab.announce()
        time.sleep(0.5)


def scan(lab: Lab) -> None:
    """The project's own scan, by unicast alone."""
    argv = [sys.executable, "-m", "agent.cli", "scan", *(member.ip for member in lab.members)]
    done = lab.run([*argv, "--format", "json", "--quiet"], seconds=300)
    if done.returncode not in {0, 4}:
        raise SystemExit(f"the scan failed: {done.stderr}")


RECORDINGS: Final = (
    Recording("multicast-round", "a scanner asks every multicast group once", _MIXED, ask_groups),
    Recording("unicast-scan", "camcensus scans the addresses one by one", _SCANNED, scan),
    Recording("announcements", "devices announce themselves, nobody asks", _ANNOUNCING, announce, filter=""),
    Recording(
        "trunk-vlan",
        "announcements on an 802.1Q trunk of three VLANs",
        _ANNOUNCING,
        announce,
        (10, 20, 30),
        filter="",
    ),
    Recording(
        "ipv6",
        "questions and visits over IPv6 alone",
        _ANNOUNCING,
        ask_groups_over_ipv6,
        addresses="ip6",
        filter="ip6",
    ),
    Recording(
        "hikvision",
        "a client visits Hikvision devices",
        (
            "hikvision-ds-2cd2385g1-i",
            "hikvision-ds-2cd2155fwd-i",
            "hikvision-rtsp-mac-realm",
            "hikvision-ds-7804hqh-k1",
            "hikvision-ds-kh6210-l",
        ),
        visit_all,
    ),
    Recording(
        "dahua",
        "a client visits Dahua devices",
        (
            "dahua-ipc-hdw5421s",
            "dahua-sd-ptz",
            "dahua-ipc-hdw1025c",
            "dahua-dh-ipc-hdw1230t2",
            "dahua-hcvr",
            "dahua-vto2000a",
        ),
        visit_all,
    ),
    Recording(
        "oem-badged",
        "a client visits devices under other badges, among neighbours",
        (
            "annke-i61dr",
            "eri-k104-p4",
            "amcrest-ip2m-841b",
            "lorex-w461asc",
            "intelbras-mhdx-1016",
            "cp-plus-cp-unc-da21pl3-y",
            "honeywell-h4w2per3",
            "hue-bridge",
            "tplink-tl-wr841n",
            "web-server",
        ),
        visit_all,
    ),
    Recording(
        "no-cameras",
        "the same questions where no camera stands",
        tuple(device.id for device in load_all() if device.device_class == _NO_CAMERA),
        visit_all,
        software=True,
    ),
)


def record(recording: Recording) -> None:
    """Write the capture of `recording`; it must be small."""
    devices = [load(name) for name in recording.devices]
    software = (
        [program for program in SOFTWARE if program.name in {"avahi", "wsdd"}] if recording.software else []
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "capture.pcap"
        with Lab(devices, software, Path(folder), recording.vlans) as lab:
            # What interfaces say when they come up is no part of the recording.
            time.sleep(2.5)
            with lab.capture(path, recording.filter):
                recording.act(lab)
            members = lab.members
        if path.stat().st_size > MOST_BYTES:
            raise SystemExit(f"{recording.name}: {path.stat().st_size} bytes are too many")
        shutil.copyfile(path, FOLDER / f"{recording.name}.pcap")
    _describe(recording, members)


def _hear(sock: socket.socket) -> None:
    end = time.monotonic() + 0.5
    while (left := end - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            sock.recv(65_536)
        except TimeoutError:
            return


def _visit(lab: Lab, member: Member, address: str, family: socket.AddressFamily) -> None:
    device = member.truth
    if not isinstance(device, Device):
        return
    for server in device.http:
        paths = [route.path for route in server.route if route.method == "GET"] or ["/"]
        for path in paths if not server.tls else []:
            _exchange(lab, address, server.port, asking.http(path), family)
    if device.onvif:
        for action in ("GetSystemDateAndTime", "GetDeviceInformation", "GetScopes"):
            _exchange(lab, address, device.onvif.port, asking.soap(action), family)
    if device.rtsp:
        for method in ("OPTIONS", "DESCRIBE"):
            _exchange(lab, address, device.rtsp.port, asking.rtsp(method), family)


def _exchange(lab: Lab, address: str, port: int, question: bytes, family: socket.AddressFamily) -> None:
    with lab.open(socket.SOCK_STREAM, family) as sock:
        sock.settimeout(2)
        sock.connect((address, port))
        sock.sendall(question)
        sock.settimeout(0.5)
        try:
            while sock.recv(65_536):
                pass
        except TimeoutError:
            return


def _describe(recording: Recording, members: Sequence[Member]) -> None:
    index = FOLDER / "index.toml"
    known: dict[str, Any] = tomllib.loads(index.read_text()) if index.exists() else {}
    known[recording.name] = {
        "what": recording.what,
        "host": [_expected(recording, member) for member in members],
    }
    lines = [
        "# What each capture shows and what must be said of every host in it.",
        "# Written by tests/lab/record.py.",
    ]
    for name in sorted(known):
        lines += ["", f"[{name}]", f"what = {_text(known[name]['what'])}"]
        for host in known[name]["host"]:
            lines += ["", f"[[{name}.host]]", *(f"{key} = {_text(value)}" for key, value in host.items())]
    index.write_text("\n".join(lines) + "\n")


def _expected(recording: Recording, member: Member) -> dict[str, Any]:
    truth = member.truth
    host: dict[str, Any] = {"name": member.name, "mac": member.mac}
    host["ip"] = member.ip6 if recording.addresses == "ip6" else member.ip
    if member.vlan is not None:
        host["vlan"] = member.vlan
    host["flagged"] = isinstance(truth, Device) and truth.flagged
    if isinstance(truth, Device) and truth.manufacturer is not None:
        host["manufacturer"] = truth.manufacturer
        told = {"brand": truth.brand, "model": truth.model, "device_class": truth.device_class}
        host |= {key: text for key, text in told.items() if text is not None and key not in truth.hidden}
    return host


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return (
        str(value)
        if isinstance(value, int)
        else '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    )


def main() -> None:
    """Record the named captures, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.record", description=__doc__)
    names = [recording.name for recording in RECORDINGS]
    parser.add_argument("name", nargs="*", choices=[*names, []], help=f"which to record: {', '.join(names)}")
    wanted = parser.parse_args().name or names
    for recording in RECORDINGS:
        if recording.name in wanted:
            record(recording)
            size = (FOLDER / f"{recording.name}.pcap").stat().st_size
            sys.stderr.write(f"{recording.name}: {size} bytes on {INTERFACE}\n")


if __name__ == "__main__":
    main()

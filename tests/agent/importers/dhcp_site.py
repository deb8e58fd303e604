"""Runs a real DHCP server in a network namespace of its own, with clients that ask it for addresses.

Called as a program inside ``unshare --net``: ``dhcp_site.py SERVER FOLDER``. The server keeps its
leases in FOLDER; what clients were given is printed as JSON lines (address, MAC, name).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

__all__ = ["CLIENTS", "LEASES", "SERVERS", "leases_of", "missing"]

CLIENTS: Final = (
    ("44:47:cc:00:00:01", "front-door", "dhcpcd-5.5.6:Linux"),
    ("bc:ad:28:00:00:02", "", "udhcp 1.24.1"),
    ("00:40:8c:00:00:03", "axis-00408c000003", ""),
)
"""MAC, host name, vendor class of each client; the texts are such as any DHCP client may send."""

LEASES: Final = {"dnsmasq": "dnsmasq.leases", "isc-dhcpd": "dhcpd.leases", "kea": "kea-leases4.csv"}
"""The lease file of each server."""
_PROGRAMS: Final = {"dnsmasq": "dnsmasq", "isc-dhcpd": "dhcpd", "kea": "kea-dhcp4"}
_COOKIE: Final = b"\x63\x82\x53\x63"
_SECONDS: Final = 20.0


def _dnsmasq(folder: Path, leases: Path) -> list[str]:
    return [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--user=root",
        "--port=0",
        "--interface=s0",
        "--bind-interfaces",
        "--no-ping",
        "--dhcp-range=10.99.0.10,10.99.0.50,1h",
        f"--dhcp-leasefile={leases}",
        f"--pid-file={folder}/pid",
    ]


def _isc_dhcpd(folder: Path, leases: Path) -> list[str]:
    leases.touch()
    config = folder / "dhcpd.conf"
    config.write_text(
        "authoritative; ping-check false;\n"
        "set vendor-class-identifier = option vendor-class-identifier;\n"
        "subnet 10.99.0.0 netmask 255.255.255.0 { range 10.99.0.10 10.99.0.50; default-lease-time 3600; }\n"
    )
    command = [
        "dhcpd",
        "-4",
        "-f",
        "-cf",
        str(config),
        "-lf",
        str(leases),
        "-pf",
        f"{folder}/pid",
        "--no-pid",
    ]
    return [*command, "s0"]


def _kea(folder: Path, leases: Path) -> list[str]:
    config = folder / "kea.json"
    config.write_text(
        json.dumps(
            {
                "Dhcp4": {
                    "interfaces-config": {"interfaces": ["s0"]},
                    "lease-database": {"type": "memfile", "name": str(leases), "lfc-interval": 0},
                    "valid-lifetime": 3600,
                    "subnet4": [{"subnet": "10.99.0.0/24", "pools": [{"pool": "10.99.0.10 - 10.99.0.50"}]}],
                    "multi-threading": {"enable-multi-threading": False},
                }
            }
        )
    )
    return ["kea-dhcp4", "-c", str(config)]


SERVERS: Final[Mapping[str, Callable[[Path, Path], list[str]]]] = MappingProxyType(
    {"dnsmasq": _dnsmasq, "isc-dhcpd": _isc_dhcpd, "kea": _kea}
)
"""By name: what writes a server's files into a folder, the lease file as told, and gives its command."""


def leases_of(server: str, folder: Path) -> tuple[list[dict[str, Any]], Path]:
    """What each client was given by a real server, with the file that this wrote."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, __file__, server, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return rows, folder / LEASES[server]


def missing(server: str) -> str | None:
    """The program that is not installed here, if it is not."""
    return (
        None if shutil.which(_PROGRAMS[server], path=f"{os.environ['PATH']}:/usr/sbin") else _PROGRAMS[server]
    )


def _options(kind: int, name: str, vendor: str, more: bytes = b"") -> bytes:
    parts = [b"\x35\x01" + bytes([kind]), more]
    parts += [bytes([code, len(text)]) + text.encode() for code, text in ((12, name), (60, vendor)) if text]
    return b"".join(parts) + b"\x37\x03\x01\x03\x06\xff"


def _frame(mac: bytes, xid: int, options: bytes) -> bytes:
    """An Ethernet frame with a broadcast DHCP message of this client."""
    message = struct.pack("!BBBBIHH16s16s", 1, 1, 6, 0, xid, 0, 0x8000, b"", mac).ljust(236, b"\0")
    message += _COOKIE + options
    udp = struct.pack("!HHHH", 68, 67, 8 + len(message), 0) + message
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[12:]
    return b"\xff" * 6 + mac + b"\x08\x00" + head + udp


def _answers(sock: socket.socket, xid: int) -> Iterator[bytes]:
    """DHCP messages of the server to this transaction, until nothing came for a second."""
    with contextlib.suppress(TimeoutError):
        while True:
            frame = sock.recv(4096)
            if frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[34:38] == b"\x00\x43\x00\x44":
                message = frame[42:]
                if message[4:8] == struct.pack("!I", xid):
                    yield message


def _value(message: bytes, wanted: int) -> bytes:
    at = 240
    while at < len(message) and message[at] != 255:
        if message[at] == 0:
            at += 1
            continue
        if message[at] == wanted:
            return message[at + 2 : at + 2 + message[at + 1]]
        at += 2 + message[at + 1]
    return b""


def _lease(sock: socket.socket, mac: bytes, name: str, vendor: str, until: float) -> str:
    """Ask for an address until it is given."""
    xid = int.from_bytes(mac[2:])
    while time.monotonic() < until:
        sock.send(_frame(mac, xid, _options(1, name, vendor)))
        for offer in _answers(sock, xid):
            kind, given = _value(offer, 53), offer[16:20]
            if kind == b"\x02":
                wish = b"\x32\x04" + given + b"\x36\x04" + _value(offer, 54)
                sock.send(_frame(mac, xid, _options(3, name, vendor, wish)))
            elif kind == b"\x05":
                return socket.inet_ntoa(given)
    raise TimeoutError(f"no lease for {mac.hex(':')}")


def main(server: str, folder: Path) -> None:
    """Start the server, be every client in turn, print what they were given."""
    for line in (
        "link set lo up",
        "link add s0 type veth peer name c0",
        "address add 10.99.0.1/24 dev s0",
        "link set s0 up",
        "link set c0 up",
    ):
        subprocess.run(["ip", *line.split()], check=True)
    leases = folder / LEASES[server]
    command = SERVERS[server](folder, leases)
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin", "KEA_PIDFILE_DIR": str(folder)}
    environment |= {"KEA_LOCKFILE_DIR": str(folder), "KEA_DHCP_DATA_DIR": str(folder)}
    log = (folder / "log").open("w")
    with log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
        try:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            with sock:
                sock.bind(("c0", 3))
                sock.settimeout(1.0)
                until = time.monotonic() + _SECONDS
                for mac, name, vendor in CLIENTS:
                    ip = _lease(sock, bytes.fromhex(mac.replace(":", "")), name, vendor, until)
                    sys.stdout.write(json.dumps({"ip": ip, "mac": mac, "name": name}) + "\n")
            while leases.read_text().count(CLIENTS[-1][0]) < 1 and time.monotonic() < until:
                time.sleep(0.1)
        except TimeoutError as error:
            raise SystemExit(f"{error}\n{(folder / 'log').read_text()}") from None
        finally:
            process.terminate()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

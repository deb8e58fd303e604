"""A site of three VLANs around a router, with every way in which cameras hide; no way out of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from simulator.device import Device, load
from tests.lab import namespaces

__all__ = ["INVENTED", "Camera", "Nic", "Site"]

INVENTED: Final = "00:11:22:33:44:55"
"""A MAC that nobody was assigned, and that cheap firmware carries."""
_ROOT: Final = Path(__file__).resolve().parents[2]
_SCANNER: Final = "10.10.10.250"
_VLANS: Final = (10, 20, 30)
_START_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Nic:
    """One interface: its VLAN, its IPv4 address (None: IPv6 alone) and, where it is not the device's, its MAC."""

    vlan: int
    ip: str | None
    mac: str | None = None


@dataclass(frozen=True, slots=True)
class Camera:
    """One device of the site: which one it is, what it answers (everything, if nothing is named), where."""

    role: str
    device: Device
    nics: tuple[Nic, ...]
    only: tuple[str, ...] = ()
    addresses: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "addresses", tuple(nic.ip for nic in self.nics if nic.ip))


def _camera(role: str, device: str, *nics: Nic, only: Sequence[str] = ()) -> Camera:
    return Camera(role, load(device), nics, tuple(only))


class Site:
    """The site while it stands; a context manager.

    The scanner stands in VLAN 10, 10.10.10.0/24; 10.10.20.0/24 and 10.10.30.0/24 are behind the
    router, 10.10.x.1. The recorder's eight cameras hang on ports of its own: nothing of them is
    on any wire here.
    """

    subnets: Final = ("10.10.10.0/24", "10.10.20.0/24", "10.10.30.0/24")
    cameras: Final = (
        _camera("PoE recorder", "hikvision-ds-7732ni-m4", Nic(10, "10.10.10.20")),
        _camera("only its maker's protocol", "dahua-ipc-hdw1431t1-s4", Nic(10, "10.10.10.21"), only=["dhip"]),
        _camera("ignores multicast", "vivotek-fd9187-ht", Nic(10, "10.10.10.22"), only=["onvif"]),
        _camera("factory address", "hikvision-ds-2cd2385g1-i", Nic(10, "192.168.1.64"), only=["sadp"]),
        _camera("IPv6 alone", "axis-m2036-le", Nic(10, None)),
        _camera("invented MAC", "dahua-dh-ipc-hdw1230t2", Nic(10, "10.10.10.40", INVENTED)),
        _camera("same invented MAC", "tplink-vigi-c350", Nic(10, "10.10.10.41", INVENTED)),
        _camera(
            "multi-homed",
            "dahua-ipc-hdw5421s",
            Nic(10, "10.10.10.50"),
            Nic(20, "10.10.20.50", "3c:ef:8c:00:00:51"),
        ),
        _camera("only port 8000", "hikvision-ds-2cd2385g1-i", Nic(20, "10.10.20.60"), only=["tcp"]),
        _camera("behind the router", "canon-vb-s30d", Nic(20, "10.10.20.61")),
        _camera("behind the router, too", "bosch-autodome", Nic(30, "10.10.30.70")),
    )

    def __init__(self) -> None:
        self._prefix = namespaces.prefix() + "site-"
        self.scanner = f"{self._prefix}scanner"
        self._switch = f"{self._prefix}switch"
        self._router = f"{self._prefix}router"
        self._fleet: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        namespaces.remove_stale()
        try:
            self._wire()
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process and remove every namespace; safe to call twice."""
        if self._fleet is not None:
            self._fleet.kill()
            self._fleet.wait()
            for pipe in (self._fleet.stdin, self._fleet.stdout):
                if pipe is not None:
                    pipe.close()
            self._fleet = None
        namespaces.remove(self._prefix)

    def run(self, argv: Sequence[str], home: Path, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `argv` in the scanner's namespace, from the repository's root."""
        return subprocess.run(
            ["ip", "netns", "exec", self.scanner, *argv],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            cwd=_ROOT,
            env={"HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )

    @contextlib.contextmanager
    def listening(self, path: Path, home: Path) -> Iterator[None]:
        """Have our own `listen` keep what passes at the scanner while the block runs."""
        argv = [sys.executable, "-m", "agent.cli", "listen", "eth0", "--write", str(path), "--format", "json"]
        program = subprocess.Popen(
            ["ip", "netns", "exec", self.scanner, *argv],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env={"HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        try:
            end = time.monotonic() + _START_SECONDS
            while not path.exists():
                if program.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("listen did not start")
                time.sleep(0.05)
            yield
        finally:
            program.terminate()
            try:
                program.wait(timeout=_START_SECONDS)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()

    def _space(self, camera: Camera) -> str:
        return f"{self._prefix}{self.cameras.index(camera)}"

    def _wire(self) -> None:
        spaces = [self._switch, self._router, self.scanner, *map(self._space, self.cameras)]
        namespaces.ip(f"netns add {name}" for name in spaces)
        lines = [f"link add br{vlan} type bridge forward_delay 0 mcast_snooping 0" for vlan in _VLANS]
        lines += [f"link set br{vlan} up" for vlan in _VLANS]
        lines += _cable("scanner", self.scanner, "eth0", 10, "00:e0:4c:36:00:fa")
        for vlan in _VLANS:
            lines += _cable(f"r{vlan}", self._router, f"eth{vlan}", vlan, f"00:e0:4c:36:01:{vlan:02x}")
        for camera in self.cameras:
            for at, nic in enumerate(camera.nics):
                mac = nic.mac or camera.device.mac
                port = f"c{self.cameras.index(camera)}x{at}"
                lines += _cable(port, self._space(camera), f"eth{at}", nic.vlan, mac)
                if nic.mac == INVENTED:
                    # Both of them hear what is for either: a switch would send it to whoever spoke last.
                    lines.append(f"link set {port} type bridge_slave learning off")
        namespaces.ip(lines, self._switch)
        namespaces.ip(_up("eth0", f"{_SCANNER}/24", "10.10.10.1"), self.scanner)
        for vlan in _VLANS:
            namespaces.ip(_up(f"eth{vlan}", f"10.10.{vlan}.1/24", None), self._router)
        argv = ["ip", "netns", "exec", self._router, "sysctl", "-qw", "net.ipv4.ip_forward=1"]
        subprocess.run(argv, check=True)
        for camera in self.cameras:
            for at, nic in enumerate(camera.nics):
                gateway = f"10.10.{nic.vlan}.1" if at == 0 and nic.ip and nic.ip.startswith("10.") else None
                address = f"{nic.ip}/24" if nic.ip else None
                namespaces.ip(_up(f"eth{at}", address, gateway), self._space(camera))

    def _start(self) -> None:
        # It may not outlive this process, however that ends.
        argv = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.lab.fleet"]
        fleet = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
        self._fleet = fleet
        if fleet.stdin is None or fleet.stdout is None:
            raise RuntimeError("the fleet has no pipes")
        for camera in self.cameras:
            ip = camera.addresses[0] if camera.addresses else f"[{self._link_local(camera)}]"
            order: dict[str, Any] = {"namespace": self._space(camera), "device": camera.device.id, "ip": ip}
            order |= {"ip6": self._link_local(camera), "mac": camera.device.mac, "interface": "eth0"}
            order |= {"late": 0.0, "connections": 64, "only": camera.only}
            fleet.stdin.write(json.dumps(order) + "\n")
            for ip in camera.addresses[1:]:
                # What a device answers comes from the address that was asked.
                there = {"ip": ip, "interface": None, "only": ("dhip",)}
                fleet.stdin.write(json.dumps(order | there) + "\n")
        fleet.stdin.write("\n")
        fleet.stdin.flush()
        if fleet.stdout.readline() != "ready\n":
            raise RuntimeError("the cameras did not start")

    def _link_local(self, camera: Camera) -> str:
        done = subprocess.run(
            ["ip", "-n", self._space(camera), "-j", "-6", "addr", "show", "dev", "eth0"],
            check=True,
            capture_output=True,
            text=True,
        )
        return str(json.loads(done.stdout)[0]["addr_info"][0]["local"])


def _cable(port: str, namespace: str, interface: str, vlan: int, mac: str) -> list[str]:
    return [
        f"link add {port} type veth peer name {interface} address {mac} netns {namespace}",
        f"link set {port} master br{vlan} up",
    ]


def _up(interface: str, address: str | None, gateway: str | None) -> list[str]:
    lines = ["link set lo up"]
    lines += [f"addr add {address} dev {interface}"] if address else []
    lines += [f"link set {interface} addrgenmode eui64", f"link set {interface} up"]
    lines += [f"route add default via {gateway}"] if gateway else []
    return lines

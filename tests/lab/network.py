"""A network of namespaces: a switch, a scanner and one namespace for each device, with no way out."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Final, Self

from simulator.device import Device
from simulator.serve import Habits
from tests.lab import namespaces
from tests.lab.software import SOFTWARE, Software
from tests.lab.trunk import Trunk

__all__ = ["INTERFACE", "TOOLS", "Lab", "Member", "missing_tools"]

INTERFACE: Final = "eth0"
TOOLS: Final = ("ip", "nsenter", "setpriv", "tcpdump", "unshare", *(program.tool for program in SOFTWARE))
_ROOT: Final = Path(__file__).resolve().parents[2]
_START_SECONDS: Final = 20.0
_NOBODY: Final = ("--reuid=65534", "--regid=65534", "--clear-groups")
_NO_CAPABILITIES: Final = ("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs")


def missing_tools() -> list[str]:
    """What the lab needs and this machine has not."""
    return sorted({tool for tool in TOOLS if shutil.which(tool) is None})


@dataclass(frozen=True, slots=True)
class Member:
    """One host of the lab: where it stands and what it really is.

    `truth` is the simulated device, or the third-party program; `vlan` is its tag on a trunk.
    """

    namespace: str
    ip: str
    ip6: str
    mac: str
    truth: Device | Software
    vlan: int | None = None

    @property
    def name(self) -> str:
        """The device's id or the program's name."""
        return self.truth.id if isinstance(self.truth, Device) else self.truth.name


_NUMBERS: Final = count(1)
"""Of the labs of this process: several may stand at one time."""


class Lab:
    """The network while it stands; a context manager.

    10.77.0.0/24 and fd77::/64, no route out. The scanner has 10.77.0.250. With `vlans`, the
    members are spread over these VLANs in turn, and the scanner's interface has no address: it is
    on a tagged trunk (`trunk`). `habits` are those of every device.
    """

    subnet: Final = "10.77.0.0/24"
    scanner_ip: Final = "10.77.0.250"
    scanner_mac: Final = "00:e0:4c:36:00:fa"

    def __init__(
        self,
        devices: Iterable[Device],
        software: Iterable[Software],
        folder: Path,
        vlans: Sequence[int] = (),
        habits: Habits | None = None,
    ) -> None:
        self._prefix = f"{namespaces.prefix()}{next(_NUMBERS)}-"
        self.scanner = f"{self._prefix}scanner"
        self._switch = f"{self._prefix}switch"
        self._folder = folder
        self._vlans = tuple(vlans)
        self._habits = habits or Habits()
        truths: list[Device | Software] = [*devices, *software]
        self.members = tuple(self._member(number, truth) for number, truth in enumerate(truths, start=1))
        self._fleet: subprocess.Popen[str] | None = None
        self._programs: list[subprocess.Popen[bytes]] = []
        self._stack = contextlib.ExitStack()
        self.trunk: Trunk | None = None

    @property
    def devices(self) -> tuple[Member, ...]:
        """The simulated devices."""
        return tuple(member for member in self.members if isinstance(member.truth, Device))

    @property
    def programs(self) -> tuple[Member, ...]:
        """The third-party software."""
        return tuple(member for member in self.members if isinstance(member.truth, Software))

    def __enter__(self) -> Self:
        namespaces.remove_stale()
        try:
            self._wire()
            self._start_programs()
            self._start_fleet()
            self._wait_for_programs()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process of the lab and remove every namespace; safe to call twice."""
        for process in (self._fleet, *self._programs):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
            if process is not None and process.stdin:
                process.stdin.close()
            if process is not None and process.stdout:
                process.stdout.close()
        self._fleet, self._programs = None, []
        self._stack.close()
        namespaces.remove(self._prefix)

    def announce(self) -> int:
        """Have every simulated device announce itself; how many datagrams that were."""
        if self._fleet is None or self._fleet.stdin is None or self._fleet.stdout is None:
            raise RuntimeError("no simulated device stands in this lab")
        self._fleet.stdin.write("announce\n")
        self._fleet.stdin.flush()
        return int(self._fleet.stdout.readline())

    def run(
        self, argv: Sequence[str], *, root: bool = True, seconds: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run `argv` in the scanner's namespace, from the repository's root.

        Without `root` it has another user's identity and no capability (where that user cannot
        run this interpreter: root's identity, still without any capability).
        """
        drop: tuple[str, ...] = () if root else self._unprivileged()
        return subprocess.run(
            ["ip", "netns", "exec", self.scanner, *drop, *argv],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            cwd=_ROOT,
            env={**os.environ, "HOME": str(self._home())},
        )

    @contextlib.contextmanager
    def capture(self, path: Path, what: str = "", interface: str = INTERFACE) -> Iterator[None]:
        """Record what the scanner's `interface` sees while the block runs, to `path` (pcap).

        `what` is a tcpdump filter.
        """
        argv = ["ip", "netns", "exec", self.scanner, "tcpdump", "-i", interface, "-w", str(path)]
        argv += ["--immediate-mode", "-U", "-Z", "root", "-s", "65535", *([what] if what else [])]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as dump:
            try:
                if dump.stderr is None or "listening on" not in dump.stderr.readline():
                    raise RuntimeError("tcpdump did not start")
                yield
                # The last frames are on their way through the kernel.
                time.sleep(0.3)
            finally:
                dump.send_signal(signal.SIGINT)

    def open(self, kind: socket.SocketKind, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
        """A socket in the scanner's namespace."""
        with namespaces.inside(self.scanner):
            return socket.socket(family, kind)

    def scanner_interface(self) -> int:
        """The index of the scanner's interface, for multicast."""
        with namespaces.inside(self.scanner):
            return socket.if_nametoindex(INTERFACE)

    def _member(self, number: int, truth: Device | Software) -> Member:
        vlan = self._vlans[number % len(self._vlans)] if self._vlans else None
        return Member(
            f"{self._prefix}{number}", f"10.77.0.{number}", f"fd77::{number:x}", truth.mac, truth, vlan
        )

    def _wire(self) -> None:
        names = [self._switch, self.scanner, *(member.namespace for member in self.members)]
        namespaces.ip(f"netns add {name}" for name in names)
        commands = ["link add br0 type bridge forward_delay 0 mcast_snooping 0", "link set br0 up"]
        commands += _cable("uplink", self.scanner, self.scanner_mac)
        commands += [
            line for member in self.members for line in _cable(_port(member), member.namespace, member.mac)
        ]
        if not self._vlans:
            commands += [f"link set {port} master br0" for port in ("uplink", *map(_port, self.members))]
        namespaces.ip(commands, self._switch)
        hosts = [(member.namespace, member.ip, member.ip6) for member in self.members]
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(_address, *host) for host in hosts]:
                done.result()
        if self._vlans:
            namespaces.ip([f"link set {INTERFACE} up"], self.scanner)
            ports = {_port(member): member.vlan for member in self.members if member.vlan is not None}
            self.trunk = self._stack.enter_context(Trunk(self._switch, ports, "uplink"))
        else:
            _address(self.scanner, self.scanner_ip, "fd77::fa")

    def _start_fleet(self) -> None:
        if not self.devices:
            return
        # It may not outlive this process, however that ends.
        argv = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.lab.fleet"]
        fleet = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
        self._fleet = fleet
        if fleet.stdin is None or fleet.stdout is None:
            raise RuntimeError("the fleet has no pipes")
        for member in self.devices:
            order = {"namespace": member.namespace, "device": member.name, "ip": member.ip, "ip6": member.ip6}
            order |= {"mac": member.mac, "interface": INTERFACE}
            fleet.stdin.write(json.dumps({**order, **asdict(self._habits)}) + "\n")
        fleet.stdin.write("\n")
        fleet.stdin.flush()
        if fleet.stdout.readline() != "ready\n":
            raise RuntimeError("the simulated devices did not start")

    def _start_programs(self) -> None:
        for member in self.programs:
            if not isinstance(member.truth, Software):
                continue
            folder = self._folder / member.name
            folder.mkdir(parents=True)
            argv = ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{member.namespace}"]
            argv += member.truth.prepare(folder, member.ip)
            with (folder / "output.log").open("wb") as log:
                program = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=folder,
                    env=_environment(folder),
                )
            self._programs.append(program)

    def _wait_for_programs(self) -> None:
        end = time.monotonic() + _START_SECONDS
        for member in self.programs:
            if isinstance(member.truth, Software) and member.truth.ready is not None:
                self._wait_for_port(member, member.truth.ready, end)

    def _wait_for_port(self, member: Member, port: int, end: float) -> None:
        while True:
            with self.open(socket.SOCK_STREAM) as sock:
                sock.settimeout(1)
                if sock.connect_ex((member.ip, port)) == 0:
                    return
            if time.monotonic() > end:
                said = (self._folder / member.name / "output.log").read_text(errors="replace")
                raise RuntimeError(f"{member.name} did not start: {said[-500:]}")
            time.sleep(0.05)

    @functools.cache  # noqa: B019 - one lab a session: it lives as long as the cache
    def _unprivileged(self) -> tuple[str, ...]:
        nobody = ("setpriv", *_NOBODY, *_NO_CAPABILITIES)
        tried = subprocess.run(
            [*nobody, sys.executable, "-c", "import typing"], capture_output=True, check=False, cwd=_ROOT
        )
        return nobody if tried.returncode == 0 else ("setpriv", *_NO_CAPABILITIES)

    def _home(self) -> Path:
        home = self._folder / "home"
        if not home.exists():
            home.mkdir()
            home.chmod(0o777)
        return home


def _port(member: Member) -> str:
    return f"p{member.namespace.rpartition('-')[2]}"


def _cable(port: str, namespace: str, mac: str) -> list[str]:
    return [
        f"link add {port} type veth peer name {INTERFACE} address {mac} netns {namespace}",
        f"link set {port} up",
    ]


def _address(namespace: str, ip: str, ip6: str) -> None:
    commands = [
        "link set lo up",
        f"addr add {ip}/24 broadcast 10.77.0.255 dev {INTERFACE}",
        f"addr add {ip6}/64 dev {INTERFACE} nodad",
        f"link set {INTERFACE} up",
    ]
    namespaces.ip(commands, namespace)


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(folder), "TMPDIR": str(folder)}

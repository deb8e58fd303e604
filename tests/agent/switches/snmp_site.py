"""Serves tables by Debian's snmpd, and builds such tables out of the definitions of their MIBs.

Run as a program it is snmpd's ``pass_persist`` helper: ``snmp_site.py FILE`` answers ``get`` and
``getnext`` out of FILE, whose lines are an object identifier, a type and a value.
"""

from __future__ import annotations

import bisect
import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = [
    "AUTHENTICATION",
    "COMMUNITY",
    "PRIVACY",
    "USER",
    "Tables",
    "answer_out_of",
    "missing",
    "serving",
]

COMMUNITY: Final = "lab-community"
USER: Final = "monitor"
AUTHENTICATION: Final = "lab-authentication"
PRIVACY: Final = "lab-privacy-key"
_SUBTREES: Final = (
    ".1.3.6.1.2.1.2.2",
    ".1.3.6.1.2.1.4.22",
    ".1.3.6.1.2.1.4.35",
    ".1.3.6.1.2.1.17",
    ".1.3.6.1.2.1.31",
    ".1.3.6.1.2.1.105",
    ".1.3.6.1.4.1.9.9.46",
    ".1.3.6.1.4.1.9.9.402",
    ".1.0.8802",
)
# Of snmpd's own, only what is needed beside the helper: not this machine's interfaces and neighbours.
_MODULES: Final = "system_mib,pass,pass_persist,usmConf,vacm_conf,vacm_vars,snmpEngine,usmUser,override"

Oid = tuple[int, ...]


@dataclass
class Tables:
    """Rows of one switch under their identifiers; each method adds one entry of one table."""

    cells: dict[Oid, tuple[str, str]] = field(default_factory=dict)
    vlan_instance: int | None = None
    """If set, only the community ``name@VLAN`` sees the bridge's tables, as on a Catalyst."""

    def number(self, column: str, index: Sequence[int], value: int) -> None:
        """A cell that is an INTEGER."""
        self.cells[*_oid(column), *index] = ("integer", str(value))

    def octets(self, column: str, index: Sequence[int], value: bytes) -> None:
        """A cell that is an OCTET STRING."""
        self.cells[*_oid(column), *index] = ("octet", value.hex(" "))

    def interface(
        self, index: int, name: str, *, alias: str = "", mac: str = "", bridge_port: int = 0
    ) -> None:
        """A row of ifTable, ifXTable (RFC 2863), dot1dBasePortTable (RFC 4188)."""
        self.octets("1.3.6.1.2.1.2.2.1.2", (index,), name.encode())
        self.octets("1.3.6.1.2.1.31.1.1.1.1", (index,), name.encode())
        self.octets("1.3.6.1.2.1.31.1.1.1.18", (index,), alias.encode())
        if mac:
            self.octets("1.3.6.1.2.1.2.2.1.6", (index,), octets_of(mac))
        if bridge_port:
            self.number("1.3.6.1.2.1.17.1.4.1.2", (bridge_port,), index)

    def learned(self, mac: str, bridge_port: int, *, vlan: int | None = None, status: int = 3) -> None:
        """A row of dot1dTpFdbTable (RFC 4188), or dot1qTpFdbTable (RFC 4363) where there is a VLAN."""
        index = tuple(octets_of(mac))
        if vlan is None:
            self.octets("1.3.6.1.2.1.17.4.3.1.1", index, bytes(index))
            self.number("1.3.6.1.2.1.17.4.3.1.2", index, bridge_port)
            self.number("1.3.6.1.2.1.17.4.3.1.3", index, status)
            return
        self.number("1.3.6.1.2.1.17.7.1.2.2.1.2", (vlan, *index), bridge_port)
        self.number("1.3.6.1.2.1.17.7.1.2.2.1.3", (vlan, *index), status)

    def neighbour(self, interface: int, ip: str, mac: str) -> None:
        """A row of ipNetToMediaTable (RFC 4293, the older one) for IPv4, ipNetToPhysicalTable for IPv6."""
        if ":" in ip:
            raw = socket.inet_pton(socket.AF_INET6, ip)
            self.octets("1.3.6.1.2.1.4.35.1.4", (interface, 2, 16, *raw), octets_of(mac))
        else:
            self.octets("1.3.6.1.2.1.4.22.1.2", (interface, *socket.inet_aton(ip)), octets_of(mac))

    def lldp(
        self, port: int, mac: str, name: str, *, capabilities: int = 0x01, description: str = ""
    ) -> None:
        """A row of lldpRemTable (IEEE 802.1AB-2005): a neighbour with a MAC as its chassis identifier."""
        index = (0, port, 1)
        self.number("1.0.8802.1.1.2.1.4.1.1.4", index, 4)
        self.octets("1.0.8802.1.1.2.1.4.1.1.5", index, octets_of(mac))
        self.octets("1.0.8802.1.1.2.1.4.1.1.9", index, name.encode())
        self.octets("1.0.8802.1.1.2.1.4.1.1.10", index, description.encode())
        self.octets("1.0.8802.1.1.2.1.4.1.1.12", index, bytes([capabilities, 0]))

    def power(self, group: int, port: int, *, status: int = 3, power_class: int = 4) -> None:
        """A row of pethPsePortTable (RFC 3621): detection status (3 delivering), class (4 is class 3)."""
        self.number("1.3.6.1.2.1.105.1.1.1.6", (group, port), status)
        self.number("1.3.6.1.2.1.105.1.1.1.10", (group, port), power_class)

    def text(self) -> str:
        """The lines of the helper's file."""
        return "".join(f"{_text(oid)} {kind} {value}\n" for oid, (kind, value) in sorted(self.cells.items()))


def octets_of(mac: str) -> bytes:
    """A MAC's six bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def missing() -> str | None:
    """The program that is not installed here, if it is not."""
    return None if shutil.which("snmpd", path="/usr/sbin:/usr/bin") else "snmpd"


@contextlib.contextmanager
def serving(tables: Mapping[str, Tables], folder: Path, port: int | None = None) -> Iterator[int]:
    """Have an snmpd on each of these loopback addresses, all on the port that is given; its name is ``sw-ADDRESS``."""
    with contextlib.ExitStack() as stack:
        port = port or _free_port(list(tables))
        for ip, table in tables.items():
            own = folder / ip
            own.mkdir()
            (own / "walk").write_text(table.text())
            (own / "snmpd.conf").write_text(
                f"{_communities(table)}\nrouser {USER} priv\nsysName sw-{ip}\nsysDescr a lab switch\n"
                f'createUser {USER} SHA-256 "{AUTHENTICATION}" AES "{PRIVACY}"\n'
                + "".join(
                    f"pass_persist {subtree} {sys.executable} {__file__} {own}/walk\n"
                    for subtree in _SUBTREES
                )
            )
            log = stack.enter_context((own / "log").open("w"))
            process = subprocess.Popen(
                [
                    "/usr/sbin/snmpd",
                    "-f",
                    "-Lo",
                    "-C",
                    "-c",
                    str(own / "snmpd.conf"),
                    "-I",
                    _MODULES,
                    f"udp:{ip}:{port}",
                ],
                env={"SNMP_PERSISTENT_DIR": str(own), "PATH": "/usr/sbin:/usr/bin:/bin"},
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            until = time.monotonic() + 20
            while "NET-SNMP version" not in (own / "log").read_text():
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((own / "log").read_text())
                time.sleep(0.05)
        yield port


def _communities(table: Tables) -> str:
    """Who sees what: everything by one name, or the bridge's tables by another."""
    if table.vlan_instance is None:
        return f"rocommunity {COMMUNITY}"
    return (
        "view plain included .1\nview plain excluded .1.3.6.1.2.1.17\nview bridge included .1.3.6.1.2.1.17\n"
        f"rocommunity {COMMUNITY} default -V plain\n"
        f"rocommunity {COMMUNITY}@{table.vlan_instance} default -V bridge"
    )


def _free_port(addresses: Sequence[str]) -> int:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        first.bind((addresses[0], 0))
        return int(first.getsockname()[1])


def _oid(text: str) -> Oid:
    return tuple(map(int, text.strip(".").split(".")))


def _text(oid: Oid) -> str:
    return "." + ".".join(map(str, oid))


def answer_out_of(text: str) -> None:
    """Be snmpd's helper over such lines: a question a line, three lines for an answer."""
    cells = {}
    for line in text.splitlines():
        name, kind, *value = line.split(" ", 2)
        cells[_oid(name)] = f"{name}\n{kind}\n{value[0] if value else ''}\n"
    order = sorted(cells)
    for line in sys.stdin:
        word = line.strip().lower()
        if word == "ping":
            answer = "PONG\n"
        elif word in {"get", "getnext"}:
            oid = _oid(sys.stdin.readline())
            if word == "getnext":
                at = bisect.bisect_right(order, oid)
                answer = cells[order[at]] if at < len(order) else "NONE\n"
            else:
                answer = cells.get(oid, "NONE\n")
        else:
            answer = "NONE\n"
        sys.stdout.write(answer)
        sys.stdout.flush()


if __name__ == "__main__":
    answer_out_of(Path(sys.argv[1]).read_text())

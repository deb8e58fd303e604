"""Reads the lease file of dnsmasq (``dnsmasq.leases``).

A lease of DHCPv4 is ``expiry [type-]MAC address name client-id``, ``*`` where there is none; one of
DHCPv6 ``expiry IAID address name client-DUID``, behind a line ``duid`` with the server's own
(dnsmasq 2.90, ``src/lease.c``). Leases that have ended are not in the file.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Final

from agent.importers.format import Format, Line, duid_mac, named
from agent.tables import Row, unicast_mac
from fingerprints.model import Fact, Problem

__all__ = ["DNSMASQ_LEASES"]

_HEX: Final = r"(?:[0-9a-fA-F]{2}:)"
_LEASE4: Final = re.compile(
    rf"(?P<expiry>\d{{1,12}}) (?:(?P<type>[0-9a-fA-F]{{2}})-)?(?P<mac>{_HEX}{{0,15}}[0-9a-fA-F]{{2}}) "
    r"(?P<ip>\d{1,3}(?:\.\d{1,3}){3}) (?P<name>\S{1,255}) (?P<id>\S{1,1024})",
    re.ASCII,
)
_LEASE6: Final = re.compile(
    r"(?P<expiry>\d{1,12}) T?(?P<iaid>\d{1,10}) (?P<ip>[0-9a-fA-F:.]{2,45}) (?P<name>\S{1,255}) (?P<id>\S{1,1024})",
    re.ASCII,
)
_DUID: Final = re.compile(r"duid \S{2,1024}", re.ASCII)
_ETHERNET: Final = 1


def _mine(head: str) -> bool:
    first = next((line for line in head.splitlines() if line.strip()), "")
    return any(form.fullmatch(first.strip()) for form in (_LEASE4, _DUID, _LEASE6))


def _read(lines: Iterable[Line], name: str) -> Iterator[Row | Problem]:
    for number, text in lines:
        line = text.strip()
        if not line or _DUID.fullmatch(line):
            continue
        row = _lease4(line) or _lease6(line)
        if row is None:
            yield Problem(f"{name}:{number}", "is not a lease of dnsmasq", "malformed")
        else:
            yield row.from_line(name, number)


def _lease4(line: str) -> Row | None:
    found = _LEASE4.fullmatch(line)
    if found is None or not _is_address(found["ip"]):
        return None
    raw = bytes.fromhex(found["mac"].replace(":", ""))
    ethernet = found["type"] is None or int(found["type"], 16) == _ETHERNET
    client = found["id"]
    facts = named(found["name"])
    if client != "*" and re.fullmatch(rf"{_HEX}{{0,254}}[0-9a-fA-F]{{2}}", client):
        facts += (Fact("dhcp.client-id", client.replace(":", "").lower()),)
    return Row("dhcp-lease", unicast_mac(raw) if ethernet else None, found["ip"], facts)


def _lease6(line: str) -> Row | None:
    found = _LEASE6.fullmatch(line)
    if found is None or not _is_address(found["ip"]):
        return None
    digits = found["id"].replace(":", "")
    duid = bytes.fromhex(digits) if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", digits) else b""
    ip = str(ipaddress.ip_address(found["ip"]))
    return Row("dhcp-lease", duid_mac(duid), ip, named(found["name"]))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


DNSMASQ_LEASES: Final = Format(
    "dnsmasq",
    "dnsmasq leases",
    _mine,
    _read,
    "dnsmasq 2.90, src/lease.c",
)

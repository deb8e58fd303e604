"""Reads the lease files of Kea's memfile backend (``kea-leases4.csv``, ``kea-leases6.csv``).

CSV with a header that names the columns; a later line of an address replaces an earlier one. State 0
is a lease in use; one with a lifetime of nought was removed (Kea 2.2, ``csv_lease_file4.cc``). Commas
and control characters inside a text stand as ``&#x2c`` (``util/csv_file.cc``).
"""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from agent.importers.format import Format, Line, Unreadable, duid_mac, named
from agent.tables import Row, unicast_mac
from fingerprints.model import Fact, Problem

__all__ = ["KEA_LEASES"]

_HEADS: Final = ("address,hwaddr,client_id,", "address,duid,valid_lifetime,")
_ESCAPED: Final = re.compile(r"&#x([0-9a-fA-F]{2})")
_IN_USE: Final = "0"
_MAX_LEASES: Final = 1_000_000


def _mine(head: str) -> bool:
    return head.lstrip("\ufeff").startswith(_HEADS)


def _read(lines: Iterable[Line], name: str) -> Iterator[Row | Problem]:
    rows = iter(lines)
    columns = next(rows)[1].lstrip("\ufeff").split(",")
    leases: dict[str, Row] = {}
    for number, text in rows:
        if not text.strip() or text.startswith("address,"):
            # Files of several runs put together repeat the header.
            continue
        try:
            cells = next(csv.reader([text]))
        except csv.Error as error:
            yield Problem(f"{name}:{number}", f"is not CSV: {error}", "malformed")
            continue
        values = dict(zip(columns, map(_plain, cells), strict=False))
        ip = _address(values.get("address", ""))
        if ip is None or len(cells) < 5:
            yield Problem(f"{name}:{number}", "is not a lease of Kea", "malformed")
            continue
        leases.pop(ip, None)
        if values.get("state", _IN_USE) == _IN_USE and values.get("valid_lifetime") != "0":
            if len(leases) >= _MAX_LEASES:
                raise Unreadable("more leases than are read", number)
            leases[ip] = _lease(ip, values).from_line(name, number)
    yield from leases.values()


def _lease(ip: str, values: Mapping[str, str]) -> Row:
    mac = unicast_mac(_bytes(values.get("hwaddr", ""))) or duid_mac(_bytes(values.get("duid", "")))
    facts = named(values.get("hostname", ""))
    client = _bytes(values.get("client_id", ""))
    if client:
        facts += (Fact("dhcp.client-id", client.hex()),)
    expire, lifetime = values.get("expire", ""), values.get("valid_lifetime", "")
    at = None
    if expire.isascii() and expire.isdigit() and lifetime.isascii() and lifetime.isdigit():
        at = float(int(expire[:15]) - int(lifetime[:15]))
    return Row("dhcp-lease", mac, ip, facts, at=at)


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def _bytes(text: str) -> bytes:
    digits = text.replace(":", "")
    return bytes.fromhex(digits) if re.fullmatch(r"(?:[0-9a-fA-F]{2}){1,255}", digits) else b""


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


KEA_LEASES: Final = Format(
    "kea", "Kea leases (CSV)", _mine, _read, "Kea 2.2, csv_lease_file4.cc, csv_lease_file6.cc"
)

"""Reads what masscan found (``masscan -oJ``, ``-oD``): open TCP ports, with what it took from their banners.

One object a line, in an array or not: address, time and a list of ports, each open (``status``) or with
a ``service`` whose banner quotes the host (masscan 1.3, ``out-json.c``).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from agent.importers.format import Format, Line
from agent.tables import Row
from fingerprints.model import Fact, Problem

__all__ = ["MASSCAN_JSON"]

_BANNERS: Final[Mapping[str, str]] = {
    "ftp": "ftp.banner",
    "http.server": "http.server",
    "telnet": "telnet.banner",
    "title": "http.title",
}
_FIRST: Final = re.compile(r'^\[?\s*\{\s*"ip":\s*"[^"]{2,64}",\s*"timestamp":\s*"\d', re.MULTILINE)
_NO_HOST: Final = re.compile(r"[\[\],\s]*|\{\s*finished:.*|#.*")
_MAX_PORTS: Final = 1_024
_MAX_TEXT: Final = 2_048


def _mine(head: str) -> bool:
    return _FIRST.search(head) is not None


def _read(lines: Iterable[Line], name: str) -> Iterator[Row | Problem]:
    for number, text in lines:
        if _NO_HOST.fullmatch(text):
            continue
        try:
            row = _host(json.loads(text.strip().strip("[],")))
        except (ValueError, RecursionError):
            row = None
        if row is None:
            yield Problem(f"{name}:{number}", "is no host of masscan's", "malformed")
        else:
            yield row.from_line(name, number)


def _host(value: Any) -> Row | None:
    """One object as a Row; raises ValueError for an address that is none."""
    if not isinstance(value, dict) or not isinstance(value.get("ports"), list):
        return None
    ports: dict[int, None] = {}
    facts: dict[Fact, None] = {}
    for row in value["ports"][:_MAX_PORTS]:
        port = row.get("port") if isinstance(row, dict) and row.get("proto") == "tcp" else None
        if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65_536:
            continue
        service = row.get("service")
        if row.get("status", "open") == "open":
            ports[port] = None
        if isinstance(service, dict):
            field, banner = _BANNERS.get(str(service.get("name"))), service.get("banner")
            if field and isinstance(banner, str) and (text := banner.replace("\0", "").strip()):
                facts[Fact(field, text[:_MAX_TEXT])] = None
    when = str(value.get("timestamp", ""))
    at = float(when) if when.isascii() and when.isdigit() and len(when) < 13 else None
    ip = str(ipaddress.ip_address(str(value.get("ip"))))
    return Row("masscan", None, ip, tuple(facts), open_ports=tuple(ports), at=at)


MASSCAN_JSON: Final = Format("masscan", "masscan JSON", _mine, _read, "masscan 1.3, out-json.c")

"""Reads logs of Zeek, as columns or as JSON: what hosts said, in the few logs that keep their words.

``dhcp``, ``dns`` (who asks for which name), ``ssl`` (the name a client calls), ``software``,
``known_certs``, ``known_services`` and ``known_hosts``, told apart by their fields (Zeek 7,
"Log Files"). What other logs hold is not about who somebody is.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from agent.importers.format import Format, Line, named
from agent.tables import Row, unicast_mac
from fingerprints.model import Fact, Problem

__all__ = ["ZEEK_LOG"]

_Record = Mapping[str, str]

_ESCAPED: Final = re.compile(r"\\x([0-9a-fA-F]{2})")
_JSON: Final = re.compile(r'^\{.{0,200}"(?:ts|_path)":', re.MULTILINE)
_UNSET: Final = frozenset({"-", "(empty)", ""})
_SOFTWARE: Final[Mapping[str, str]] = {"HTTP::SERVER": "http.server", "HTTP::BROWSER": "http.user-agent"}
_MAX_TEXT: Final = 2_048
_MAX_SEEN: Final = 500_000


def _mine(head: str) -> bool:
    return head.startswith("#separator") or _JSON.match(head) is not None


def _read(lines: Iterable[Line], name: str) -> Iterator[Row | Problem]:
    columns: list[str] = []
    separator = "\t"
    seen: set[tuple[object, ...]] = set()
    for number, text in lines:
        if text.startswith("#"):
            kind, _, rest = text.partition(separator)
            if kind.startswith("#separator"):
                separator = _plain(kind.removeprefix("#separator").strip() or "\\x09")[:4]
            elif kind == "#fields":
                columns = rest.split(separator)
            continue
        if not text.strip():
            continue
        record = _object(text) if text.startswith("{") else _cells(columns, text.split(separator))
        if record is None:
            yield Problem(f"{name}:{number}", "is no line of a log of Zeek's", "malformed")
            continue
        row = _row(record)
        if row is None:
            continue
        # A name is asked for a thousand times a day.
        key = (row.table, row.mac, row.ip, row.facts, row.open_ports)
        if key not in seen:
            if len(seen) < _MAX_SEEN:
                seen.add(key)
            yield row.from_line(name, number)


def _cells(columns: list[str], cells: list[str]) -> _Record | None:
    if not columns or len(cells) != len(columns):
        return None
    return {key: _plain(value) for key, value in zip(columns, cells, strict=True) if value not in _UNSET}


def _object(text: str) -> _Record | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return {str(key): str(cell) for key, cell in value.items() if isinstance(cell, str | int | float)}


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def _row(record: _Record) -> Row | None:
    """What a line of any log says of a host; None for logs that say nothing of that kind."""
    for needed, reader in _LOGS:
        if needed <= record.keys():
            return reader(record)
    return None


def _dhcp(record: _Record) -> Row | None:
    digits = record["mac"].replace(":", "")
    mac = unicast_mac(bytes.fromhex(digits)) if re.fullmatch(r"[0-9a-fA-F]{12}", digits) else None
    facts = named(record.get("host_name", ""))
    if "client_software" in record:
        facts += (Fact("dhcp.vendor-class", record["client_software"][:_MAX_TEXT]),)
    ip = _address(record.get("assigned_addr", record.get("assigned_ip", "")))
    return Row("dhcp-lease", mac, ip, facts, at=_time(record)) if mac or ip else None


def _said(host: str, field: str, key: str) -> Callable[[_Record], Row | None]:
    """What reads one word of the host in one column."""

    def read(record: _Record) -> Row | None:
        ip = _address(record[host])
        text = record[key][:_MAX_TEXT].strip()
        return Row("zeek", None, ip, (Fact(field, text),), at=_time(record)) if ip and text else None

    return read


def _certificate(record: _Record) -> Row | None:
    facts = tuple(
        Fact(field, record[key][:_MAX_TEXT])
        for key, field in (("subject", "tls.subject"), ("issuer_subject", "tls.issuer"))
        if key in record
    )
    return _service({**record, "port_proto": "tcp"}, facts)


def _service(record: _Record, facts: tuple[Fact, ...] = ()) -> Row | None:
    ip, port = _address(record["host"]), record["port_num"]
    usable = port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65_536
    if ip is None or not usable or record["port_proto"] != "tcp":
        return None
    return Row("zeek", None, ip, facts, open_ports=(int(port),), at=_time(record))


def _software(record: _Record) -> Row | None:
    field = _SOFTWARE.get(record["software_type"])
    return _said("host", field, "unparsed_version")(record) if field else None


def _host(record: _Record) -> Row | None:
    ip = _address(record["host"])
    return Row("zeek", None, ip, at=_time(record)) if ip and record.keys() <= {"ts", "host"} else None


_LOGS: Final[tuple[tuple[frozenset[str], Callable[[_Record], Row | None]], ...]] = (
    (frozenset({"mac", "lease_time"}), _dhcp),
    (frozenset({"host", "software_type", "unparsed_version"}), _software),
    (frozenset({"host", "port_num", "subject"}), _certificate),
    (frozenset({"host", "port_num", "port_proto"}), _service),
    (frozenset({"id.orig_h", "query", "qtype"}), _said("id.orig_h", "dns.query", "query")),
    (frozenset({"id.orig_h", "server_name", "cipher"}), _said("id.orig_h", "tls.sni", "server_name")),
    (frozenset({"ts", "host"}), _host),
)
"""Fields by which a log is known, with what reads a line of it; the first that fits."""


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _time(record: _Record) -> float | None:
    text = record.get("ts", "")
    try:
        return (
            float(text)
            if re.fullmatch(r"\d{1,12}(?:\.\d{1,9})?", text)
            else datetime.fromisoformat(text).timestamp()
        )
    except (ValueError, OverflowError):
        return None


ZEEK_LOG: Final = Format("zeek", "Zeek logs (TSV, JSON)", _mine, _read, "Zeek 7, Log Files")

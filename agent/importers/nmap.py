"""Reads what nmap found (``nmap -oX``): hosts that are up, their MACs, names, open TCP ports, texts of scripts.

Elements after ``nmap.dtd`` 1.05. What nmap concludes (product, operating system) is no word of the
host's own and is left out; what its scripts quote is one: page title, Server header, RTSP methods,
subject of a certificate, system description.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from agent.importers.format import Format, Line, Unreadable, plain_name
from agent.tables import Row, unicast_mac
from fingerprints.model import Fact, Problem

__all__ = ["NMAP_XML"]

_SCRIPTS: Final[Mapping[str, str]] = {
    "http-server-header": "http.server",
    "http-title": "http.title",
    "rtsp-methods": "rtsp.public",
    "snmp-sysdescr": "snmp.sysdescr",
}
_NO_TITLE: Final = "Site doesn't have a title"
_NAME: Final = re.compile(r"(commonName|organizationName)=([^/\n]{1,128})")
_MAX_DEPTH: Final = 64
_MAX_TEXT: Final = 2_048
_MAX_FACTS: Final = 64
_MAX_PORTS: Final = 65_535
_MAX_TOKEN: Final = 4 * 1024 * 1024


@dataclass(slots=True)
class _Host:
    """One element ``host`` as far as it was read."""

    line: int
    at: float | None
    up: bool = False
    ips: list[str] = field(default_factory=list)
    mac: str | None = None
    ports: list[int] = field(default_factory=list)
    facts: dict[Fact, None] = field(default_factory=dict)
    port: int | None = None
    state: str = ""


class _Reader:
    """Takes the calls of expat; finished hosts are in `hosts`."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=None)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.EntityDeclHandler = self._entity
        self.parser.buffer_text = True
        self.hosts: list[_Host] = []
        self.root = ""
        self._host: _Host | None = None
        self._depth = 0

    def _entity(self, *_: object) -> None:
        raise Unreadable("declares entities, which nmap never does", self.parser.CurrentLineNumber)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self.root = self.root or name
        if self._depth > _MAX_DEPTH:
            raise Unreadable("elements within elements without end", self.parser.CurrentLineNumber)
        if name == "host" and self._depth == 2:
            when = attributes.get("endtime") or attributes.get("starttime") or ""
            at = float(when) if when.isascii() and when.isdigit() and len(when) < 13 else None
            self._host = _Host(self.parser.CurrentLineNumber, at)
        elif self._host is not None:
            _learn(self._host, name, attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name == "host" and self._depth == 1 and self._host is not None:
            if self._host.up:
                self.hosts.append(self._host)
            self._host = None


def _learn(host: _Host, name: str, attributes: Mapping[str, str]) -> None:
    """Take one element within a host."""
    if name == "status":
        host.up = attributes.get("state") == "up"
    elif name == "address":
        kind, text = attributes.get("addrtype"), attributes.get("addr", "")
        if kind == "mac":
            digits = text.replace(":", "")
            if re.fullmatch(r"[0-9A-Fa-f]{12}", digits):
                host.mac = unicast_mac(bytes.fromhex(digits))
        elif kind in {"ipv4", "ipv6"} and (ip := _address(text)) and len(host.ips) < _MAX_FACTS:
            host.ips.append(ip)
    elif name == "hostname":
        if text := plain_name(attributes.get("name", "")):
            _say(host, "dns.name", text)
    elif name == "port":
        number = attributes.get("portid", "")
        usable = attributes.get("protocol") == "tcp" and number.isascii() and number.isdigit()
        host.port = int(number) if usable and len(number) < 6 and 0 < int(number) <= _MAX_PORTS else None
    elif name == "state":
        if host.port is not None and attributes.get("state") == "open" and len(host.ports) < _MAX_PORTS:
            host.ports.append(host.port)
    elif name == "script":
        _script(host, attributes.get("id", ""), attributes.get("output", "").strip())


def _script(host: _Host, name: str, output: str) -> None:
    if name == "ssl-cert":
        # `Subject: commonName=.../organizationName=...`, then `Issuer: ` likewise, a line each.
        for line in output[:_MAX_TEXT].splitlines():
            kind, _, rest = line.strip().partition(": ")
            wanted = {"Subject": "tls.subject", "Issuer": "tls.issuer"}.get(kind)
            short = {"commonName": "CN", "organizationName": "O"}
            parts = [f"{short[key]}={value}" for key, value in _NAME.findall(rest)]
            if wanted and parts:
                _say(host, wanted, ", ".join(parts))
    elif name in _SCRIPTS and output and not output.startswith(_NO_TITLE):
        text = output.splitlines()[0].strip()
        _say(host, _SCRIPTS[name], text)


def _say(host: _Host, name: str, text: str) -> None:
    if len(host.facts) < _MAX_FACTS:
        host.facts[Fact(name, text[:_MAX_TEXT])] = None


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def _mine(head: str) -> bool:
    return "<nmaprun" in head[:65_536]


def _read(lines: Iterable[Line], name: str) -> Iterator[Row | Problem]:
    reader = _Reader()
    fed = 0
    number = 1
    try:
        for number, text in lines:
            data = f"{text}\n".encode("utf-8", "replace")
            fed += len(data)
            reader.parser.Parse(data)
            if fed - reader.parser.CurrentByteIndex > _MAX_TOKEN:
                raise Unreadable("a tag without end", number)
            yield from _rows(reader, name)
        reader.parser.Parse(b"", True)  # noqa: FBT003 - expat takes it by position alone
    except expat.ExpatError as error:
        # What a scan that was stopped has written ends in the middle; hosts before that stand.
        yield Problem(
            f"{name}:{error.lineno}", f"ends or breaks here: {expat.ErrorString(error.code)}", "cut"
        )
    if reader.root not in {"", "nmaprun"}:
        yield Problem(f"{name}:1", "is XML, but not of nmap", "unread")


def _rows(reader: _Reader, name: str) -> Iterator[Row]:
    """The hosts that ended since the last call; the open ports stand with the first address."""
    for host in reader.hosts:
        facts, ports = tuple(host.facts), tuple(dict.fromkeys(host.ports))
        addresses: list[str | None] = [*host.ips] or [None]
        for ip in addresses:
            yield Row("nmap", host.mac, ip, facts, open_ports=ports, at=host.at, via=name, line=host.line)
            facts, ports = (), ()
    reader.hosts.clear()


NMAP_XML: Final = Format("nmap", "nmap XML", _mine, _read, "nmap.dtd 1.05")

"""Reads what somebody pasted from the console of a switch, router or computer.

One text may hold several commands, of several devices: a prompt names the device (else the file's
name does), a heading tells the columns. A line with a MAC and an address is one of an ARP table or
of ``ip neigh``; a line with a MAC alone is one of a MAC address table. The forms after the command
references of Cisco IOS, NX-OS, HPE ProCurve, ArubaOS-CX, Comware, Huawei VRP, Junos, Arista EOS, of
ip-neighbour(8), bridge(8), arp(8).
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from agent.importers.format import Format, Line, plain_name
from agent.tables import Port, Row, unicast_mac
from fingerprints.model import Fact, Problem

__all__ = ["PASTED"]

_H: Final = "[0-9a-fA-F]"
_MAC: Final = re.compile(
    rf"{_H}{{1,2}}(?:([:-]){_H}{{1,2}})(?:\1{_H}{{1,2}}){{4}}"  # 00:11:22:33:44:55, also 0:1:22:...
    rf"|{_H}{{4}}(?:([.-]){_H}{{4}})(?:\2{_H}{{4}})"  # 0011.2233.4455, 0011-2233-4455
    rf"|{_H}{{6}}[-:]{_H}{{6}}"  # 001122-334455
)
_MAC_ANYWHERE: Final = re.compile(rf"(?<![\w:.-])(?:{_MAC.pattern})(?![\w:-])")
_PROMPT: Final = re.compile(
    r"(?:[\w.-]{1,64}@)?[<\[]?([A-Za-z0-9][\w.-]{0,63})(?:\([^)]{0,40}\)|:[~/][^\s#$>]{0,64})?[>#\]$]\s*"
    r"(?:sh|sho|show|dis|disp|display|do sh|do show|arp|ip|bridge|sudo)\b"
)
_COLUMNS: Final = (
    (re.compile(r"(?:mac|hardware|ethernet|l2)[ -]?addr(?:ess)?|lladdr|\bmac\b"), "mac"),
    (re.compile(r"vlan[ -/]?(?:id|name)|vlan/vsi/bd|\bvlans?\b"), "vlan"),
    (re.compile(r"port/nickname|(?:destination|logical|physical) (?:port|interface)s?|learned-from"), "port"),
    (re.compile(r"\b(?:ports?|interfaces?|location)\b"), "port"),
)
_FLAG: Final = re.compile(r"[*+~GCOR]{1,3}|\(R\)")
_PORT: Final = re.compile(
    r"[A-Za-z][A-Za-z._-]{0,30}\d[\w/.:-]{0,40}(?:\([\w.:]{1,40}\))?|\d{1,4}(?:[/:]\d{1,4})+(?:\.\d{1,5})?"
)
_NUMBER: Final = re.compile(r"(?:vl(?:an)?[ -]?)?(\d{1,4})(?:/-/-|\(\w{1,8}\))?", re.IGNORECASE)
_OWN: Final = frozenset({"cpu", "self", "router", "switch", "all", "all-members", "drop", "local", "vpc"})
_OWN_PORT: Final = re.compile(r"sup-eth\d|igmp|nve|vxlan\d", re.IGNORECASE)
_MAX_TOKENS: Final = 64
_MAX_MACS: Final = 2


@dataclass(slots=True)
class _Session:
    """What the lines so far told: whose console it is, which columns come in which order."""

    switch: str
    columns: list[str] = field(default_factory=list)


def _mine(head: str) -> bool:
    return _MAC_ANYWHERE.search(head) is not None


def _read(lines: Iterable[Line], name: str) -> Iterator[Row | Problem]:
    stem = PurePath(name).name.partition(".")[0]
    session = _Session(stem if stem not in {"", "-"} else "switch")
    for number, text in lines:
        prompt = _PROMPT.match(text.strip())
        if prompt:
            session = _Session(prompt[1])
            continue
        tokens = [token.strip("(),;[]") for token in text.replace("|", " ").split(None, _MAX_TOKENS)]
        macs = [at for at, token in enumerate(tokens) if _MAC.fullmatch(token)]
        if not macs:
            heading = _heading(text)
            if heading:
                session.columns = heading
            continue
        if len(macs) > _MAX_MACS:
            yield Problem(f"{name}:{number}", "holds more MACs than a line of a table", "malformed")
            continue
        row = _line(session, text, tokens, macs[0])
        if isinstance(row, str):
            yield Problem(f"{name}:{number}", row, "malformed")
        elif row is not None:
            yield row.from_line(name, number)


def _heading(text: str) -> list[str]:
    """The columns that a heading names, in order; empty for any other line."""
    line = text.lower().replace("|", " ").replace("+", " ")
    for form, word in _COLUMNS:
        line = form.sub(f" {word} ", line)
    columns = line.split()
    return columns if {"mac", "port"} <= set(columns) and len(columns) <= 16 else []


def _line(session: _Session, text: str, tokens: Sequence[str], at: int) -> Row | str | None:
    """The Row of a line whose token `at` is a MAC; None for what is no host, a text for what is wrong."""
    raw = _bytes(tokens[at])
    if len(raw) != 6:
        return f"{tokens[at]!r} is not a MAC address"
    mac = unicast_mac(raw)
    if mac is None:
        return None
    ip = next((ip for token in tokens if (ip := _address(token))), None)
    if ip is not None:
        return _bound(tokens, mac, ip)
    if "dev" in tokens[at + 1 : -1]:
        return _bridge_line(session, tokens, mac)
    cells = [token for place, token in enumerate(tokens) if place >= at or not _FLAG.fullmatch(token)]
    at -= len(tokens) - len(cells)
    if "peer-link" in text.lower():
        return Row(
            "mac-table",
            mac,
            port=Port(session.switch, "vPC Peer-Link", uplink=True),
            vlan=_vlan(session, cells, at),
        )
    port = _port(session, cells, at)
    if port is None:
        own = any(cell.lower() in _OWN or _OWN_PORT.match(cell) for cell in cells)
        return None if own else "names no port"
    if _OWN_PORT.match(port):
        return None
    return Row("mac-table", mac, port=Port(session.switch, port), vlan=_vlan(session, cells, at))


def _bound(tokens: Sequence[str], mac: str, ip: str) -> Row:
    """A line of an ARP table or of ``ip neigh``; the VLAN where its interface is one's."""
    words = [token.lower() for token in tokens]
    vlan = next(
        (
            int(found[1])
            for word in words
            if (found := re.fullmatch(r"(?:vlan|vl|irb\.|br)[.-]?(\d{1,4})(?:\.\d)?", word))
        ),
        None,
    )
    name = tokens[0] if len(tokens) > 2 and tokens[1] == ip and words[2:3] == ["at"] else ""
    name = plain_name(name)
    facts = (Fact("dns.name", name),) if name and not _address(name) else ()
    return Row("arp-table", mac, ip, facts, vlan=vlan if vlan and vlan < 4095 else None)


def _bridge_line(session: _Session, tokens: Sequence[str], mac: str) -> Row | None:
    """A line of ``bridge fdb``: a permanent entry is the bridge's own."""
    if "permanent" in tokens or "self" in tokens:
        return None
    values = dict(itertools.pairwise(tokens))
    vlan = values.get("vlan", "")
    return Row(
        "mac-table",
        mac,
        port=Port(session.switch, values["dev"]),
        vlan=int(vlan) if re.fullmatch(r"\d{1,4}", vlan) else None,
    )


def _port(session: _Session, cells: Sequence[str], at: int) -> str | None:
    """The cell under the heading of ports, else the first one behind the MAC that looks like a port."""
    cell = _cell(session, cells, at, "port")
    if cell is not None:
        whole = len(cells) == len(session.columns)
        if _PORT.fullmatch(cell) or (
            cell.isascii() and cell.isdigit() and (whole or "type" not in session.columns)
        ):
            return cell
        if whole and cell.lower() in _OWN:
            return None
    parts = (part for cell in (*cells[at + 1 :], *cells[:at]) for part in cell.split(","))
    return next(
        (part for part in parts if _PORT.fullmatch(part) and not _is_time(part) and not _is_vlan(part)), None
    )


def _vlan(session: _Session, cells: Sequence[str], at: int) -> int | None:
    cell = _cell(session, cells, at, "vlan")
    if cell is None and not session.columns:
        # Without a heading: a number before the MAC is the VLAN in every form that has one there.
        cell = next((part for part in cells[:at] if _NUMBER.fullmatch(part)), None)
    found = _NUMBER.fullmatch(cell) if cell is not None else None
    number = int(found[1]) if found else 0
    return number if 0 < number < 4095 else None


def _cell(session: _Session, cells: Sequence[str], at: int, column: str) -> str | None:
    """The cell of a column: by its place, or by how far it stands from the MAC where cells are empty."""
    columns = session.columns
    if column not in columns:
        return None
    place = columns.index(column)
    if len(cells) != len(columns):
        place += at - columns.index("mac")
    return cells[place] if 0 <= place < len(cells) else None


def _is_time(text: str) -> bool:
    return re.fullmatch(r"\d{1,3}:\d\d(?::\d\d)?", text) is not None


def _is_vlan(text: str) -> bool:
    return re.fullmatch(r"vl(?:an)?-?\d{1,4}", text, re.IGNORECASE) is not None


def _bytes(text: str) -> bytes:
    parts = re.split(r"[:.-]", text)
    if len(parts) == 6:
        return bytes(int(part, 16) for part in parts)
    return bytes.fromhex("".join(parts))


def _address(text: str) -> str | None:
    if not ("." in text or "::" in text or text.count(":") > 5):
        return None
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None


PASTED: Final = Format(
    "pasted",
    "a pasted MAC, ARP or neighbour table",
    _mine,
    _read,
    "command references of the makers named above",
)

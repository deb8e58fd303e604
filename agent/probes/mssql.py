"""The browser service of Microsoft SQL Server: one byte asks over UDP 1434.

2 asks every server of a link for its instances (MS-SQLR, CLNT_BCAST_EX); the answer is 5, a
length (little-endian), then names and values with semicolons between them, two after each
instance. Beside cameras it explains a recording server. An answer is recorded in
UniversalScanner (julienblitte/UniversalScanner, MSSQL.cs).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.wire import Ask, Probe, Target
from fingerprints.model import Fact

__all__ = ["MSSQL"]

_ALL_INSTANCES: Final = b"\x02"
_ANSWER: Final = b"\x05"
_HEADER: Final = 3
_FIRST: Final = b"ServerName;"
_MOST_VALUES: Final = 512
_KEYS: Final = {
    "ServerName": "discovery.mssql.server-name",
    "InstanceName": "discovery.mssql.instance-name",
    "Version": "discovery.mssql.version",
    "tcp": "discovery.mssql.tcp-port",
}


def _mine(payload: bytes) -> bool:
    return payload.startswith(_ANSWER) and payload[_HEADER:].startswith(_FIRST)


def _hello(_target: Target) -> tuple[Ask, ...]:
    return (Ask(_ALL_INSTANCES, "SQL Server instances"),)


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    end = _HEADER + int.from_bytes(payload[1:_HEADER], "little")
    # What has no semicolon behind it may go on.
    text = payload[_HEADER:end].decode("utf-8", "replace").replace("\0", "").rpartition(";")[0]
    words = iter(text.split(";", _MOST_VALUES)[:_MOST_VALUES])
    said: set[Fact] = set()
    for key in words:
        # An empty name stands between two instances.
        fact = Fact(_KEYS.get(key, ""), next(words, "").strip() if key else "")
        if fact.field and fact.text and fact not in said:
            said.add(fact)
            yield fact


MSSQL: Final = Probe(
    name="mssql",
    transport="udp",
    ports=(1434,),
    fields=tuple(_KEYS.values()),
    mine=_mine,
    dissect=_dissect,
    hello=_hello,
    groups=("255.255.255.255",),
    unicast=False,
    aliases=("ms-sql",),
    order=7,
    source="MS-SQLR; julienblitte/UniversalScanner MSSQL.cs with its recorded answer",
    says="Microsoft SQL Server: names of server and instances, version, port",
)

"""What masscan wrote of a host in a network of the tests' own."""

from __future__ import annotations

import io

from agent.importers import read_rows
from agent.tables import Row
from fingerprints.model import Fact, Problem

# Written by masscan 1.3.2 (-oJ --banners) of a server of the tests; the page title is theirs.
WRITTEN = """[
{   "ip": "10.99.1.7",   "timestamp": "1795442892", "ports": [ {"port": 80, "proto": "tcp", "status": "open", "reason": "syn-ack", "ttl": 64} ] }
,
{   "ip": "10.99.1.7",   "timestamp": "1795442896", "ports": [ {"port": 80, "proto": "tcp", "service": {"name": "http.server", "banner": "App-webs "} } ] }
,
{   "ip": "10.99.1.7",   "timestamp": "1795442896", "ports": [ {"port": 80, "proto": "tcp", "service": {"name": "title", "banner": "web service"} } ] }
,
{   "ip": "10.99.1.7",   "timestamp": "1795442896", "ports": [ {"port": 80, "proto": "tcp", "service": {"name": "http", "banner": "HTTP/1.0 200 OK\\u000d\\u000aServer: App-webs"} } ] }
]
"""


def test_ports_and_banners_are_read() -> None:
    """Open ports and the banners that quote one field; the raw answer is left out."""
    rows = [row for row in read_rows(io.StringIO(WRITTEN), "x") if isinstance(row, Row)]
    assert [(row.ip, row.open_ports, row.line) for row in rows] == [
        ("10.99.1.7", (80,), at) for at in (2, 4, 6, 8)
    ]
    assert [row.facts for row in rows] == [
        (),
        (Fact("http.server", "App-webs"),),
        (Fact("http.title", "web service"),),
        (),
    ]
    assert rows[0].at == 1795442892.0


def test_what_is_no_host_names_its_line() -> None:
    """A line cut short, or one with another address, is a Problem; the others stand."""
    text = WRITTEN.replace('"10.99.1.7",   "timestamp": "1795442896"', '"10.99.1",   "timestamp": "1"', 1)
    items = list(read_rows(io.StringIO(text[:-40]), "x"))
    assert [item.where for item in items if isinstance(item, Problem)] == ["x:4", "x:8"]

"""Logs of Zeek: the fields are those of its reference, the hosts are the tests' own."""

from __future__ import annotations

import io
import json

import pytest

from agent.importers import read_rows
from agent.tables import Row
from fingerprints.model import Fact, Problem

HEAD = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
DHCP = (
    HEAD + "#path\tdhcp\n#fields\tts\tuids\tclient_addr\tserver_addr\tmac\thost_name\tclient_fqdn\tdomain\t"
    "requested_addr\tassigned_addr\tlease_time\tmsg_types\n"
    "1795443000.5\tCx\t-\t10.0.10.1\t44:47:cc:11:22:33\tfront\\x20door\t-\t-\t-\t10.0.10.7\t3600.0\tREQUEST,ACK\n"
)
DNS = (
    HEAD + "#path\tdns\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tquery\tqtype\n"
    "1795443000.5\tCy\t10.0.10.7\t40000\t10.0.10.1\t53\tdev.hik-connect.com\t1\n"
    "1795443001.5\tCz\t10.0.10.7\t40001\t10.0.10.1\t53\tdev.hik-connect.com\t1\n"
)


def rows(text: str) -> list[Row]:
    """The rows of a log that holds nothing else."""
    items = list(read_rows(io.StringIO(text), "x.log"))
    assert all(isinstance(item, Row) for item in items), items
    return [item for item in items if isinstance(item, Row)]


def test_leases_are_read() -> None:
    """MAC, address, name and time of a client, with escapes undone."""
    (row,) = rows(DHCP)
    assert (row.table, row.mac, row.ip, row.at, row.line) == (
        "dhcp-lease",
        "44:47:cc:11:22:33",
        "10.0.10.7",
        1795443000.5,
        7,
    )
    assert row.facts == (Fact("dhcp.hostname", "front door"),)


def test_who_asks_for_a_name_is_told_once() -> None:
    """The same host with the same name is one row, however often it asks."""
    (row,) = rows(DNS)
    assert (row.ip, row.facts) == ("10.0.10.7", (Fact("dns.query", "dev.hik-connect.com"),))


@pytest.mark.parametrize(
    ("record", "facts", "ports"),
    [
        (
            {
                "host": "10.0.10.7",
                "host_p": 80,
                "software_type": "HTTP::SERVER",
                "name": "App-webs",
                "unparsed_version": "App-webs/",
            },
            (Fact("http.server", "App-webs/"),),
            (),
        ),
        (
            {"host": "10.0.10.7", "port_num": 443, "subject": "CN=cam", "issuer_subject": "CN=ca"},
            (Fact("tls.subject", "CN=cam"), Fact("tls.issuer", "CN=ca")),
            (443,),
        ),
        ({"host": "10.0.10.7", "port_num": 554, "port_proto": "tcp", "service": ["RTSP"]}, (), (554,)),
        (
            {"id.orig_h": "10.0.10.7", "server_name": "x.example", "cipher": "y"},
            (Fact("tls.sni", "x.example"),),
            (),
        ),
        ({"host": "10.0.10.7"}, (), ()),
    ],
    ids=["software", "known-certs", "known-services", "ssl", "known-hosts"],
)
def test_json_logs(record: dict[str, object], facts: tuple[Fact, ...], ports: tuple[int, ...]) -> None:
    """What a host said or serves, by the fields of each log."""
    (row,) = rows(json.dumps({"ts": "2026-11-23T14:00:00.000000Z", **record}) + "\n")
    assert (row.ip, row.facts, row.open_ports) == ("10.0.10.7", facts, ports)
    assert row.at == 1795442400.0


def test_other_logs_hold_no_row() -> None:
    """A log that says nothing of who a host is, and a line that is none of the log's, are Problems."""
    (problem,) = read_rows(io.StringIO('{"ts": 1.0, "uid": "C", "proto": "tcp"}\n'), "x.log")
    assert isinstance(problem, Problem)
    assert "holds no row" in problem.what
    items = list(read_rows(io.StringIO(f"{DHCP}too\tfew\n"), "x.log"))
    assert [item.where for item in items if isinstance(item, Problem)] == ["x.log:8"]

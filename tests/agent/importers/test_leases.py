"""Leases as real DHCP servers write them, then as they may be found."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from agent.importers import read_rows
from agent.tables import Row
from fingerprints.model import Fact, Problem
from tests.agent.importers.dhcp_site import CLIENTS, SERVERS, leases_of, missing


def read(text: str) -> tuple[list[Row], list[Problem]]:
    """Rows and Problems of a text."""
    items = list(read_rows(io.StringIO(text), "x"))
    return [row for row in items if isinstance(row, Row)], [row for row in items if isinstance(row, Problem)]


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make network namespaces")
@pytest.mark.parametrize("server", SERVERS)
def test_what_a_real_server_gave_is_read(server: str, tmp_path: Path) -> None:
    """Address, MAC and name of each client are read out of the file that the server wrote."""
    tool = missing(server)
    if tool is not None:
        pytest.skip(f"missing tool: {tool}")
    # A server may give up its rights.
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    tmp_path.chmod(0o777)
    given, path = leases_of(server, tmp_path)
    with path.open(encoding="utf-8") as stream:
        items = list(read_rows(stream, path.name))
    rows = [row for row in items if isinstance(row, Row)]
    assert rows == items
    assert {(row.ip, row.mac) for row in rows} == {(row["ip"], row["mac"]) for row in given}
    names = {row.mac: [fact.text for fact in row.facts if fact.field == "dhcp.hostname"] for row in rows}
    assert names == {mac: [name] if name else [] for mac, name, _ in CLIENTS}
    assert all(row.line for row in rows)
    if server == "isc-dhcpd":
        classes = {row.mac: [f.text for f in row.facts if f.field == "dhcp.vendor-class"] for row in rows}
        assert classes == {mac: [vendor] if vendor else [] for mac, _, vendor in CLIENTS}


def test_the_last_word_of_isc_counts() -> None:
    """A lease that was given back is no more, one that moved is its new owner's; escapes are undone."""
    rows, problems = read(
        "lease 10.0.0.5 {\n  starts 1 2026/11/23 10:00:00;\n  binding state active;\n"
        '  hardware ethernet 00:11:22:33:44:01;\n  client-hostname "old";\n}\n'
        "lease 10.0.0.6 {\n  binding state active;\n  hardware ethernet 00:11:22:33:44:02;\n}\n"
        "lease 10.0.0.6 {\n  binding state free;\n  hardware ethernet 00:11:22:33:44:02;\n}\n"
        "lease 10.0.0.5 {\n  cltt epoch 1795443526; # Mon Nov 23\n  binding state active;\n"
        '  hardware ethernet 00:11:22:33:44:03;\n  uid "\\001\\000\\021\\"";\n  client-hostname "a;b}\\"c";\n}\n'
    )
    assert not problems
    (row,) = rows
    assert (row.ip, row.mac, row.at, row.line) == ("10.0.0.5", "00:11:22:33:44:03", 1795443526.0, 15)
    assert row.facts == (Fact("dhcp.client-id", "01001122"), Fact("dhcp.hostname", 'a;b}"c'))


def test_a_cut_isc_file_says_so() -> None:
    """The lease that is cut is a Problem with its line; those before it stand."""
    rows, problems = read(
        "lease 10.0.0.5 {\n hardware ethernet 00:11:22:33:44:01;\n}\nlease 10.0.0.6 {\n hardware eth"
    )
    assert [row.ip for row in rows] == ["10.0.0.5"]
    assert [problem.where for problem in problems] == ["x:5", "x:5"]


def test_kea_forgets_what_ended() -> None:
    """A later line replaces an earlier one; reclaimed and removed leases are none; escapes are undone."""
    rows, problems = read(
        "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n"
        "10.0.0.5,00:11:22:33:44:01,,3600,1795443526,1,0,0,old,0,\n"
        "10.0.0.5,00:11:22:33:44:02,01:aa,3600,1795447126,1,0,0,a&#x2cb.,0,\n"
        "10.0.0.6,00:11:22:33:44:03,,3600,1795443526,1,0,0,,2,\n"
        "10.0.0.7,00:11:22:33:44:04,,0,1795443526,1,0,0,,0,\n"
        "nonsense\n"
    )
    (row,) = rows
    assert (row.mac, row.at, row.line) == ("00:11:22:33:44:02", 1795443526.0, 3)
    assert row.facts == (Fact("dhcp.hostname", "a,b"), Fact("dhcp.client-id", "01aa"))
    assert [problem.where for problem in problems] == ["x:6"]


def test_kea_v6_names_the_mac() -> None:
    """A lease of DHCPv6 gives the MAC that the server saw, else the one in the client's DUID."""
    head = (
        "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,"
        "fqdn_rev,hostname,hwaddr,state,user_context,hwtype,hwaddr_source\n"
    )
    rows, problems = read(
        f"{head}2001:db8::5,00:03:00:01:00:11:22:33:44:05,3600,1795443526,1,1800,0,1,128,0,0,cam,,0,,,\n"
        "2001:db8::6,00:02:ff,3600,1795443526,1,1800,0,1,128,0,0,,00:11:22:33:44:06,0,,1,2\n"
    )
    assert not problems
    assert [(row.ip, row.mac) for row in rows] == [
        ("2001:db8::5", "00:11:22:33:44:05"),
        ("2001:db8::6", "00:11:22:33:44:06"),
    ]


def test_dnsmasq_leases_of_both_kinds() -> None:
    """IPv6 leases stand behind the server's DUID; a hardware type that is not Ethernet gives no MAC."""
    rows, problems = read(
        "1795443519 00:40:8c:00:00:03 10.0.0.9 axis 01:00:40:8c:00:00:03\n"
        "1795443519 06-00:40:8c:00:00:04 10.0.0.8 * *\n"
        "duid 00:01:00:01:2c:11:22:33:00:16:3e:00:00:01\n"
        "1795443519 7741441 2001:db8::9 axis6 00:01:00:01:2c:11:22:33:00:40:8c:00:00:03\n"
        "what is this\n"
    )
    assert [(row.ip, row.mac) for row in rows] == [
        ("10.0.0.9", "00:40:8c:00:00:03"),
        ("10.0.0.8", None),
        ("2001:db8::9", "00:40:8c:00:00:03"),
    ]
    assert rows[0].facts == (Fact("dhcp.hostname", "axis"), Fact("dhcp.client-id", "0100408c000003"))
    assert [problem.where for problem in problems] == ["x:5"]

"""Switches as a real snmpd serves them: tables built after the MIBs, read by v2c and by v3."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.credentials import Attempts, Credentials, Grant, Secret, SnmpCommunity, SnmpUser
from agent.switches import Bounds, Reading, read_switches
from agent.switches.mibs import COLUMNS, Cells, System, rows_of
from agent.tables import Row
from agent.topology import placed
from fingerprints.model import Fact, Problem
from tests.agent.switches.snmp_site import AUTHENTICATION, COMMUNITY, PRIVACY, USER, Tables, missing, serving

CORE, ACCESS = "127.88.0.1", "127.88.0.2"
CAMERA, SECOND, PHONE = "44:47:cc:00:00:07", "bc:ad:28:00:00:08", "00:04:f2:00:00:09"
CORE_MAC, ACCESS_MAC = "00:1b:d4:00:00:01", "00:1b:d4:00:00:02"
HOSTS = (ipaddress.ip_network("127.88.0.0/24"),)
PATIENT = Bounds(wait=10.0, tries=2)
QUICK = Bounds(wait=1.0, tries=1)


def site() -> dict[str, Tables]:
    """A core that routes two VLANs, an access switch with two cameras and a phone behind its uplink."""
    core, access = Tables(), Tables()
    core.interface(101, "Te1/1/1", alias="to hall", mac=CORE_MAC, bridge_port=1)
    core.interface(210, "Vlan10")
    for mac in (CAMERA, SECOND, PHONE, ACCESS_MAC):
        core.learned(mac, 1, vlan=10)
    core.neighbour(210, "10.0.10.7", CAMERA)
    core.neighbour(210, "10.0.10.8", SECOND)
    core.neighbour(210, "fe80::4647:ccff:fe00:7", CAMERA)
    access.interface(1, "Gi1/0/7", alias="camera gate", mac=ACCESS_MAC, bridge_port=7)
    access.interface(2, "Gi1/0/8", bridge_port=8)
    access.interface(3, "Te1/1/8", bridge_port=52)
    access.learned(CAMERA, 7, vlan=10)
    access.learned(SECOND, 8, vlan=10)
    access.learned(PHONE, 8, vlan=10)
    access.learned(CORE_MAC, 52, vlan=10)
    access.learned(ACCESS_MAC, 7, vlan=10, status=4)
    access.lldp(8, PHONE, "phone", capabilities=0x24, description="a phone that bridges")
    access.lldp(52, CORE_MAC, "sw-core", capabilities=0x28)
    access.power(1, 7)
    access.power(1, 8, status=2)
    access.number("1.3.6.1.4.1.9.9.402.1.2.1.9", (1, 7), 6300)
    return {CORE: core, ACCESS: access}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The site, served."""
    if missing():
        pytest.skip("missing tool: snmpd")
    with serving(site(), tmp_path_factory.mktemp("snmp")) as number:
        yield number


def community(text: str = COMMUNITY) -> Grant:
    """SNMP v2c."""
    return SnmpCommunity("v2", HOSTS, Secret(text))


def user(password: str = AUTHENTICATION) -> Grant:
    """SNMP v3, signed and encrypted."""
    return SnmpUser("v3", HOSTS, USER, "sha256", Secret(password), "aes", Secret(PRIVACY))


def ask(port: int, grant: Grant, *hosts: str, bounds: Bounds = PATIENT) -> tuple[Reading, list[Problem]]:
    """Read these hosts with one credential."""
    problems: list[Problem] = []
    reading = asyncio.run(
        read_switches(
            hosts or (CORE, ACCESS), Credentials((grant,)), problems.append, bounds=bounds, port=port
        )
    )
    return reading, problems


def said(rows: tuple[Row, ...]) -> Mapping[str, dict[str, str]]:
    """By MAC, what its placed rows say."""
    found: dict[str, dict[str, str]] = {}
    for row in placed(rows):
        if row.mac is not None:
            found.setdefault(row.mac, {}).update({fact.field: fact.text for fact in row.facts})
    return found


@pytest.mark.parametrize("grant", [community(), user()], ids=["v2c", "v3"])
def test_each_device_gets_its_port(port: int, grant: Grant) -> None:
    """The camera is on the access port with its description, VLAN and watts; not on the core's uplink."""
    reading, problems = ask(port, grant)
    assert problems == []
    found = said(reading.rows)
    assert found[CAMERA] == {
        "switch.name": f"sw-{ACCESS}",
        "switch.port": "Gi1/0/7",
        "switch.port-description": "camera gate",
        "switch.vlan": "10",
        "switch.macs": "1",
        "switch.poe-watts": "6.3",
        "switch.poe-class": "3",
    }
    assert (found[SECOND]["switch.port"], found[SECOND]["switch.macs"]) == ("Gi1/0/8", "2")
    assert "switch.poe-class" not in found[SECOND]
    assert found[PHONE]["lldp.system-name"] == "phone"
    assert found[PHONE]["lldp.capabilities"] == "bridge,telephone"
    assert [row["name"] for row in reading.coverage] == [f"sw-{CORE}", f"sw-{ACCESS}"]


def test_the_router_tells_addresses(port: int) -> None:
    """IPv4 and IPv6 neighbours come with MAC and the VLAN of the interface; the switch is a host itself."""
    rows = ask(port, community(), CORE)[0].rows
    assert {(row.ip, row.mac, row.vlan) for row in rows if row.table == "arp-table"} == {
        ("10.0.10.7", CAMERA, 10),
        ("10.0.10.8", SECOND, 10),
        ("fe80::4647:ccff:fe00:7", CAMERA, 10),
    }
    (itself,) = (row for row in rows if row.table == "snmp")
    assert itself.ip == CORE
    assert Fact("snmp.sysname", f"sw-{CORE}") in itself.facts
    assert Fact("snmp.sysdescr", "a lab switch") in itself.facts


def test_uplinks_are_known(port: int) -> None:
    """By LLDP, and by the other switch's own MAC, if both were read; a phone that bridges is an edge."""
    rows = ask(port, community())[0].rows
    uplinks = {(row.port.switch, row.port.name): row.port.uplink for row in rows if row.port}
    assert uplinks == {
        (f"sw-{CORE}", "Te1/1/1"): True,
        (f"sw-{ACCESS}", "Te1/1/8"): True,
        (f"sw-{ACCESS}", "Gi1/0/7"): False,
        (f"sw-{ACCESS}", "Gi1/0/8"): False,
    }


def test_the_older_bridge_table_serves(tmp_path: Path) -> None:
    """A switch without tables by VLAN gives MAC and port; two of one name are told apart."""
    if missing():
        pytest.skip("missing tool: snmpd")
    table = Tables()
    table.interface(5, "port5", bridge_port=5)
    table.learned(CAMERA, 5)
    with serving({"127.88.1.1": table}, tmp_path) as port:
        grant = SnmpCommunity("v2", (ipaddress.ip_network("127.88.1.0/24"),), Secret(COMMUNITY))
        reading, problems = ask(port, grant, "127.88.1.1")
    assert problems == []
    assert [(row.mac, row.port.name, row.vlan) for row in reading.rows if row.port] == [
        (CAMERA, "port5", None)
    ]


def test_a_catalyst_is_asked_vlan_by_vlan(tmp_path: Path) -> None:
    """Where a switch keeps a table for each VLAN behind ``community@VLAN``, each VLAN it names is asked."""
    if missing():
        pytest.skip("missing tool: snmpd")
    table = Tables(vlan_instance=10)
    table.interface(10107, "Gi1/0/7", bridge_port=7)
    table.number("1.3.6.1.2.1.2.2.1.3", (10107,), 6)
    table.learned(CAMERA, 7)
    table.power(1, 7)
    for vlan in (10, 1002):
        table.number("1.3.6.1.4.1.9.9.46.1.3.1.1.2", (1, vlan), 1)
    with serving({"127.88.2.1": table}, tmp_path) as port:
        grant = SnmpCommunity("v2", (ipaddress.ip_network("127.88.2.0/24"),), Secret(COMMUNITY))
        reading, problems = ask(port, grant, "127.88.2.1")
    assert problems == []
    (row,) = (row for row in reading.rows if row.port)
    assert row.port is not None
    assert (row.mac, row.vlan, row.port.name, row.port.poe_class) == (CAMERA, 10, "Gi1/0/7", 3)


def test_a_neighbour_that_gives_its_mac_as_text() -> None:
    """ArubaOS-CX shows the MACs of LLDP neighbours as texts (seen in a published walk of an 8325)."""
    oid = (5, 8, 3)
    tables: dict[str, Cells] = {
        "ifName": {(8,): b"1/1/8"},
        "lldpRemChassisIdSubtype": {oid: 4},
        "lldpRemChassisId": {oid: CAMERA.encode()},
        "lldpRemSysDesc": {oid: b"a camera"},
        "lldpLocPortId": {(8,): b"1/1/8"},
    }
    row = next(row for row in rows_of(System("10.0.0.1", "cx"), tables) if row.table == "lldp-table")
    assert (row.mac, row.port and row.port.name) == (CAMERA, "1/1/8")
    assert row.facts == (Fact("lldp.system-description", "a camera"),)


CELLS = st.dictionaries(
    st.lists(st.integers(0, 300), max_size=12).map(tuple),
    st.binary(max_size=20) | st.integers(-1, 2**32),
    max_size=6,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([column.name for column in COLUMNS]), CELLS))
def test_no_table_breaks_the_reader(tables: dict[str, Cells]) -> None:
    """Whatever a switch says: rows come out, with MACs of single hosts alone."""
    for row in rows_of(System("10.0.0.1", "switch"), tables):
        assert row.mac is None or not int(row.mac[:2], 16) & 1


@pytest.mark.parametrize(
    ("grant", "says"),
    [(community("wrong"), "does not answer"), (user("wrong-password"), "refuses")],
    ids=["v2c", "v3"],
)
def test_wrong_credentials_are_said_once(port: int, grant: Grant, says: str) -> None:
    """A Problem names switch and credential, never the secret; the host gets no second attempt."""
    problems: list[Problem] = []
    attempts = Attempts()
    for _ in range(2):
        asyncio.run(
            read_switches(
                [CORE], Credentials((grant,)), problems.append, attempts=attempts, bounds=QUICK, port=port
            )
        )
    (problem,) = problems
    assert problem.where == CORE
    assert says in problem.what
    assert grant.name in problem.what
    assert "wrong" not in problem.what


def test_bounds_end_a_walk(port: int) -> None:
    """Rows, bytes and seconds end it, and the Problem says which; what was read stands."""
    for bounds, name in (
        (Bounds(wait=10.0, rows=1), "rows"),
        (Bounds(wait=10.0, bytes=10), "bytes"),
        (Bounds(wait=10.0, seconds=0.0), "seconds"),
    ):
        reading, problems = ask(port, community(), CORE, bounds=bounds)
        assert [problem.what.rpartition(" ")[2] for problem in problems] == [name]
        assert len(reading.coverage) == 1


def test_a_host_without_credentials_is_not_asked() -> None:
    """It is named as one that needs them."""
    problems: list[Problem] = []
    reading = asyncio.run(read_switches(["10.0.0.1"], Credentials(), problems.append))
    assert reading.rows == ()
    assert [problem.kind for problem in problems] == ["no-credentials"]


def test_a_cell_without_an_index_is_no_cell() -> None:
    """A column's cell at the column itself names no interface."""
    tables: dict[str, Cells] = {"ifName": {(): b"x", (1,): b"port1"}, "dot1dBasePortIfIndex": {(1,): 1}}
    tables["dot1dTpFdbPort"] = {tuple(bytes.fromhex(CAMERA.replace(":", ""))): 1}
    rows = [row for row in rows_of(System("10.0.0.1", "switch"), tables) if row.port]
    assert [(row.mac, row.port.name) for row in rows if row.port] == [(CAMERA, "port1")]

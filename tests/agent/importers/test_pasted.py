"""Tables as the consoles of switches, routers and computers print them.

The layouts are those of the makers' command references, with MACs and addresses of our own.
"""

from __future__ import annotations

import io

import pytest

from agent.importers import read_rows
from agent.tables import Port, Row
from fingerprints.model import Fact, Problem

MAC = "44:47:cc:11:22:33"

IOS = """sw-core-1#show mac address-table
          Mac Address Table
-------------------------------------------

Vlan    Mac Address       Type        Ports
----    -----------       --------    -----
 All    0100.0ccc.cccc    STATIC      CPU
  10    4447.cc11.2233    DYNAMIC     Gi1/0/7
Total Mac Addresses for this criterion: 2
"""
IOS_LEARN = """  vlan   mac address     type    learn     age              ports
------+----------------+--------+-----+----------+--------------------------
*   10  4447.cc11.2233   dynamic  Yes        5   Gi1/1
*   11  001b.d4b4.aaab    static  No          -   Router
"""
NXOS = """n9k-1# show mac address-table
Legend:
        * - primary entry, G - Gateway MAC, (R) - Routed MAC, O - Overlay MAC
   VLAN     MAC Address      Type      age     Secure NTFY Ports
---------+-----------------+--------+---------+------+----+------------------
*   10     4447.cc11.2233   dynamic  0         F      F    Eth1/1
G    -     0050.56b3.12ff   static   -         F      F    sup-eth1(R)
"""
PROCURVE = """HP-2530# show mac-address

 Status and Counters - Port Address Table

  MAC Address   Port  VLAN
  ------------- ----- ----
  4447cc-112233 7     10
"""
AOS_CX = """6300# show mac-address-table
MAC age-time            : 300 seconds
Number of MAC addresses : 1

MAC Address          VLAN     Type                      Port
--------------------------------------------------------------
44:47:cc:11:22:33    10       dynamic                   1/1/7
44:47:cc:11:22:44    10       evpn                      vxlan1(10.0.0.1)
"""
JUNOS = """admin@ex4300-1> show ethernet-switching table
Ethernet switching table : 1 entries, 1 learned
Routing instance : default-switch
    Vlan                MAC                 MAC         Age   GBP    Logical                NH        RTR
    name                address             flags             Tag    interface              Index     ID
    vlan10              44:47:cc:11:22:33   D             -          ge-0/0/7.0             0         0
"""
JUNOS_OLD = """admin@ex4200> show ethernet-switching table
  VLAN              MAC address       Type         Age Interfaces
  default           *                 Flood          - All-members
  default           44:47:cc:11:22:33 Learn          0 ge-0/0/7.0
"""
COMWARE = """<H3C> display mac-address
MAC Address      VLAN ID    State            Port/Nickname            Aging
4447-cc11-2233   10         Learned          GE1/0/7                  Y
"""
VRP = """<S5720>display mac-address
MAC Address    VLAN/VSI/BD                       Learned-From        Type
4447-cc11-2233 10/-/-                            GE0/0/7             dynamic
"""
EOS = """arista#show mac address-table
Vlan    Mac Address       Type        Ports      Moves   Last Move
----    -----------       ----        -----      -----   ---------
  10    4447.cc11.2233    DYNAMIC     Et7        1       0:12:34 ago
"""
FDB = """root@bridge:~# bridge fdb show
44:47:cc:11:22:33 dev swp7 vlan 10 master br0
33:33:00:00:00:01 dev eth3 self permanent
"""
NO_HEADING = "  10    4447.cc11.2233    DYNAMIC     Gi1/0/7\n"


def read(text: str, name: str = "pasted.txt") -> list[Row | Problem]:
    """Everything that is read in a text."""
    return list(read_rows(io.StringIO(text), name))


@pytest.mark.parametrize(
    ("text", "switch", "port", "vlan"),
    [
        (IOS, "sw-core-1", "Gi1/0/7", 10),
        (IOS_LEARN, "pasted", "Gi1/1", 10),
        (NXOS, "n9k-1", "Eth1/1", 10),
        (PROCURVE, "HP-2530", "7", 10),
        (AOS_CX, "6300", "1/1/7", 10),
        (JUNOS, "ex4300-1", "ge-0/0/7.0", 10),
        (JUNOS_OLD, "ex4200", "ge-0/0/7.0", None),
        (COMWARE, "H3C", "GE1/0/7", 10),
        (VRP, "S5720", "GE0/0/7", 10),
        (EOS, "arista", "Et7", 10),
        (FDB, "bridge", "swp7", 10),
        (NO_HEADING, "pasted", "Gi1/0/7", 10),
    ],
    ids=[
        "ios",
        "ios-learn",
        "nxos",
        "procurve",
        "aos-cx",
        "junos",
        "junos-old",
        "comware",
        "vrp",
        "eos",
        "fdb",
        "bare",
    ],
)
def test_mac_tables(text: str, switch: str, port: str, vlan: int | None) -> None:
    """One host with its port and VLAN; groups, the switch's own entries and tunnels are no hosts."""
    (row,) = read(text)
    assert isinstance(row, Row)
    assert (row.table, row.mac, row.port, row.vlan) == ("mac-table", MAC, Port(switch, port), vlan)
    assert (
        text.splitlines()[(row.line or 0) - 1]
        .lower()
        .replace(".", "")
        .replace("-", "")
        .replace(":", "")
        .count(MAC.replace(":", ""))
    )


@pytest.mark.parametrize(
    ("text", "ip", "vlan"),
    [
        ("Internet  10.0.10.7              5   4447.cc11.2233  ARPA   Vlan10\n", "10.0.10.7", 10),
        ("10.0.10.7       00:05:10  4447.cc11.2233  Vlan10\n", "10.0.10.7", 10),
        ("  10.0.10.7        4447cc-112233     dynamic 1\n", "10.0.10.7", None),
        ("44:47:cc:11:22:33 10.0.10.7   cam.example irb.10 [ge-0/0/7.0]   none\n", "10.0.10.7", 10),
        ("10.0.10.7 dev eth0 lladdr 44:47:cc:11:22:33 REACHABLE\n", "10.0.10.7", None),
        ("fe80::7 dev eth0 lladdr 44:47:cc:11:22:33 router STALE\n", "fe80::7", None),
        ("? (10.0.10.7) at 44:47:cc:11:22:33 [ether] on eth0\n", "10.0.10.7", None),
        ("  10.0.10.7             44-47-cc-11-22-33     dynamic\n", "10.0.10.7", None),
        ("10.0.10.7        0x1         0x2         44:47:cc:11:22:33     *        br0\n", "10.0.10.7", None),
    ],
    ids=["ios", "nxos", "procurve", "junos", "ip-neigh", "ip-6-neigh", "arp-a", "windows", "proc-net-arp"],
)
def test_arp_tables(text: str, ip: str, vlan: int | None) -> None:
    """MAC and address of a host, with the VLAN of its interface where that is one."""
    (row,) = read(text)
    assert isinstance(row, Row)
    assert (row.table, row.mac, row.ip, row.vlan, row.port) == ("arp-table", MAC, ip, vlan, None)


def test_a_name_beside_an_address_is_kept() -> None:
    """``arp -a`` looks names up; octets of one digit are read, too."""
    (row,) = read("cam7.example (10.0.10.7) at 44:47:cc:1:2:3 on en0 ifscope [ethernet]\n")
    assert isinstance(row, Row)
    assert (row.mac, row.facts) == ("44:47:cc:01:02:03", (Fact("dns.name", "cam7.example"),))


def test_one_text_of_two_switches() -> None:
    """Each prompt names the switch of what follows it; incomplete entries say nothing."""
    rows = read(f"{IOS}{PROCURVE}HP-2530# show arp\n 10.0.10.9  -  Incomplete  ARPA\n")
    assert [row.port.switch for row in rows if isinstance(row, Row) and row.port] == ["sw-core-1", "HP-2530"]
    assert len(rows) == 2


def test_what_cannot_be_used_names_its_line() -> None:
    """A line with a MAC and no port is a Problem, as is a file without any table."""
    assert [
        row.where for row in read(f"{IOS}  10    4447.cc11.2244    DYNAMIC\n") if isinstance(row, Problem)
    ] == ["pasted.txt:10"]
    (problem,) = read("Dear all,\nplease find the switch tables attached.\n")
    assert isinstance(problem, Problem)
    assert problem.kind == "unread"
    assert "ISC dhcpd leases" in problem.what

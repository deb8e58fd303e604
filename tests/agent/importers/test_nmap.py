"""What nmap writes, by the real program on a loopback of its own, then by hand where it finds no such thing there."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.importers import read_rows
from agent.tables import Row
from fingerprints.model import Fact, Problem

_SCAN = """
import http.server, subprocess, sys, threading
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

class Camera(http.server.BaseHTTPRequestHandler):
    server_version, sys_version = "App-webs", ""
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<title>web service</title>")
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 80), Camera)
threading.Thread(target=server.serve_forever, daemon=True).start()
subprocess.run(
    ["nmap", "-n", "-Pn", "-p", "80,81", "--script", "http-title,http-server-header", "-oX", sys.argv[1], "127.0.0.1"],
    check=True, stdout=subprocess.DEVNULL,
)
"""

WRITTEN = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<nmaprun scanner="nmap" args="nmap -oX - 192.0.2.0/24" start="1795443000" version="7.93" xmloutputversion="1.05">
<host starttime="1795443001" endtime="1795443009"><status state="up" reason="arp-response" reason_ttl="0"/>
<address addr="192.0.2.7" addrtype="ipv4"/>
<address addr="44:47:CC:11:22:33" addrtype="mac" vendor="Hangzhou Hikvision Digital Technology"/>
<hostnames><hostname name="cam7.example" type="PTR"/></hostnames>
<ports><port protocol="tcp" portid="443"><state state="open" reason="syn-ack" reason_ttl="64"/>
<service name="https" product="somebody's conclusion" method="probed" conf="10"/>
<script id="ssl-cert" output="Subject: commonName=cam7/organizationName=Acme/countryName=DE&#xa;Issuer: commonName=Acme CA"/>
</port><port protocol="tcp" portid="23"><state state="closed" reason="reset" reason_ttl="64"/></port>
<port protocol="udp" portid="161"><state state="open" reason="udp-response" reason_ttl="64"/>
<script id="snmp-sysdescr" output="camera&#xa;  System uptime: 3d"/></port></ports>
</host>
<host><status state="down" reason="no-response" reason_ttl="0"/><address addr="192.0.2.8" addrtype="ipv4"/></host>
"""


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make network namespaces")
def test_what_the_real_program_wrote_is_read(tmp_path: Path) -> None:
    """Open ports, title and Server header of a host that nmap scanned."""
    if shutil.which("nmap") is None:
        pytest.skip("missing tool: nmap")
    path = tmp_path / "out.xml"
    subprocess.run(["unshare", "--net", sys.executable, "-c", _SCAN, str(path)], check=True, timeout=100)
    with path.open(encoding="utf-8") as stream:
        (row,) = read_rows(stream, "out.xml")
    assert isinstance(row, Row)
    assert (row.table, row.ip, row.open_ports) == ("nmap", "127.0.0.1", (80,))
    assert set(row.facts) == {Fact("http.server", "App-webs"), Fact("http.title", "web service")}


def test_what_a_host_says_is_kept_and_what_nmap_concludes_is_not() -> None:
    """MAC, name, open TCP ports, certificate, system description; a scan that was stopped ends with a Problem."""
    row, problem = read_rows(io.StringIO(WRITTEN), "x")
    assert isinstance(row, Row)
    assert (row.mac, row.ip, row.at, row.line) == ("44:47:cc:11:22:33", "192.0.2.7", 1795443009.0, 4)
    assert row.open_ports == (443,)
    assert row.facts == (
        Fact("dns.name", "cam7.example"),
        Fact("tls.subject", "CN=cam7, O=Acme"),
        Fact("tls.issuer", "CN=Acme CA"),
        Fact("snmp.sysdescr", "camera"),
    )
    assert isinstance(problem, Problem)
    assert problem.kind == "cut"

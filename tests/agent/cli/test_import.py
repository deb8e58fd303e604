"""Tests of ``camcensus import``, with tables that scans and replays take along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.app import run
from tests.agent.importers.test_pasted import IOS, MAC
from tests.places import REPO

ARP = "Internet  10.0.10.7              5   4447.cc11.2233  ARPA   Vlan10\n"
LEASES = f"1795443519 {MAC} 10.0.10.7 front-door *\n"


def write(folder: Path, **texts: str) -> list[str]:
    """Files of these names and texts."""
    paths = []
    for name, text in texts.items():
        path = folder / f"{name}.txt"
        path.write_text(text)
        paths.append(str(path))
    return paths


def ran(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON report of a command line."""
    code = run([*words, "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


def test_tables_become_one_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """MAC table, ARP table and leases tell of one camera: maker, address, name, switch and port."""
    files = write(tmp_path, mac=IOS, arp=ARP, leases=LEASES)
    code, report = ran(capsys, "import", *files)
    assert code == 0
    (device,) = report["devices"]
    assert (device["manufacturer"], device["finding"]) == ("Hikvision", "flagged")
    assert (device["addresses"], device["macs"], device["hostnames"]) == (
        ["10.0.10.7"],
        [MAC],
        ["front-door"],
    )
    place = device["location"]
    assert (place["switch"], place["port"], place["vlan"], place["macs"]) == ("sw-core-1", "Gi1/0/7", 10, 1)
    assert report["coverage"]["tables"]["taken"] == {"arp-table": 1, "dhcp-lease": 1, "mac-table": 1}


def test_no_table_is_no_empty_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is something else, and one that is missing, give Problems and exit 4."""
    code, report = ran(capsys, "import", *write(tmp_path, x="hello\n"), str(tmp_path / "none.txt"))
    assert code == 4
    assert {problem["kind"] for problem in report["problems"]} == {"unread", "unreadable"}


def test_a_bad_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The Problem names file and line; the other lines count."""
    (path,) = write(tmp_path, mac=f"{IOS}  10    4447.cc11.2244    DYNAMIC\n")
    code, report = ran(capsys, "import", path)
    assert (code, len(report["devices"])) == (4, 1)
    assert report["problems"][0]["where"] == f"{path}:10"


def test_a_capture_takes_a_table_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A device that the capture shows gets the switch port that the table has for its MAC."""
    capture = str(REPO / "pcaps" / "hikvision.pcap")
    _, report = ran(capsys, "replay", capture)
    known = {device["id"]: device for device in report["devices"]}
    mac = next(
        device["macs"][0]
        for device in known.values()
        if device["manufacturer"] == "Hikvision" and device["macs"]
    )
    (table,) = write(tmp_path, sw9=f"10 {mac} DYNAMIC Gi1/0/3\n")
    code, report = ran(capsys, "replay", capture, "--with", table)
    assert code == 0
    assert {device["id"] for device in report["devices"]} == set(known)
    placed = {device["id"]: device["location"] for device in report["devices"] if device["location"]}
    assert [(row["switch"], row["port"]) for row in placed.values()] == [("sw9", "Gi1/0/3")]


def test_a_scan_takes_what_is_in_its_scope(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A silent host of the scope is listed out of the router's table; one outside it is counted only."""
    (table,) = write(
        tmp_path,
        arp=f"127.0.0.77 dev eth0 lladdr {MAC} REACHABLE\n10.0.99.9 dev eth0 lladdr 44:47:cc:11:22:99 STALE\n",
    )
    _, report = ran(
        capsys,
        "scan",
        "127.0.0.77",
        "--interface",
        "lo",
        "--ports",
        "9",
        "--no-ping",
        "--quiet",
        "--with",
        table,
    )
    (device,) = report["devices"]
    assert (device["addresses"], device["manufacturer"]) == (["127.0.0.77"], "Hikvision")
    assert report["coverage"]["tables"]["out_of_scope"] == 1

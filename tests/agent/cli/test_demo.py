"""Tests of ``camcensus demo``."""

from __future__ import annotations

import contextlib
import json
import socket

import pytest

from agent.cli.app import run
from simulator.site import Host, Site


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """The devices that a demonstration reports, by address."""
    path = tmp_path_factory.mktemp("demo") / "report.json"
    assert run(["demo", "--format", "json", "--output", str(path), "--quiet"]) == 0
    return {row["addresses"][0]: row for row in json.loads(path.read_text())["devices"]}


def test_every_device_is_found_and_nobody_else(demonstrated: dict[str, dict[str, object]]) -> None:
    """The report has exactly the addresses where simulated devices stand."""
    assert set(demonstrated) == {host.address for host in Site().hosts}


@pytest.mark.parametrize("host", Site().hosts, ids=lambda host: host.device.id)
def test_makers_are_named_right(host: Host, demonstrated: dict[str, dict[str, object]]) -> None:
    """The maker is the true one; a device of unknown make is neither flagged nor suspected."""
    device = host.device
    said = demonstrated[host.address]
    if device.manufacturer is None:
        assert said["finding"] in {"clear", "unidentified"}
    else:
        assert said["manufacturer"] == device.manufacturer


def test_the_list_shows_truth_beside_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """--list has a line for each device, with a mark where the scan is wrong."""
    assert run(["demo", "--list"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert len(lines) == 1 + len(Site().hosts)
    assert all(len(line) <= 80 for line in lines)
    wrong = sum(line.endswith(" NO") for line in lines)
    assert f"{len(Site().hosts) - wrong} of {len(Site().hosts)} were called what they are" in said.err


def test_fail_on_holds_for_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    """With --fail-on the exit is 3, because flagged devices stand there."""
    assert run(["demo", "--list", "--quiet", "--fail-on", "flagged"]) == 3
    assert capsys.readouterr().err == ""


def test_a_site_that_cannot_stand_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Where other programs have every port a device could use, the demo fails in one line."""
    address = Site().hosts[0].address
    with contextlib.ExitStack() as taken:
        for port in (8080, 18080, 28080):
            taken.enter_context(socket.create_server((address, port)))
        assert run(["demo", "--quiet"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "in use" in said.err

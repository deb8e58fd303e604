"""Tests of the comparison with other tools."""

from __future__ import annotations

import json
import sys

import pytest

from bench.camera_network import Planted
from bench.passive import found_by_us, main, named
from bench.processes import Command, against, run

CAMERA = Planted("x", "28:57:be:00:00:01", "10.20.0.1", None, "Hikvision", flagged=True)
PYTHON = (sys.executable, "-I", "-S", "-c")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("10.20.0.1 Server: hikvision-webs", 1),
        ("28:57:BE:00:00:01 Hangzhou Hikvision Digital Technology", 1),
        ("10.20.0.12 hikvision", 0),
        ("10.20.0.1 nginx\nhikvision", 0),
    ],
)
def test_evidence_is_maker_and_address_in_one_line(text: str, count: int) -> None:
    """A tool has found a device if one line names it with its maker, however the maker is spelled."""
    assert named(text, [CAMERA]) == count


def test_our_report_is_read() -> None:
    """Ours counts where the right maker is named, not where the device is listed."""
    rows = [{"mac": CAMERA.mac, "manufacturer": "Hikvision"}]
    assert found_by_us(json.dumps({"devices": rows}), [CAMERA]) == 1
    assert found_by_us(json.dumps({"devices": [{**rows[0], "manufacturer": None}]}), [CAMERA]) == 0


def test_a_pair_is_measured() -> None:
    """A command that sleeps half a second took at least that; the one that holds more has the higher peak."""
    quick = Command("quick", (*PYTHON, "import time; time.sleep(0.05)"), {})
    slow = Command("slow", (*PYTHON, "import time; data = bytearray(b'x' * 60_000_000); time.sleep(0.5)"), {})
    pair = against(quick, slow, 1, lambda _: None)
    assert pair.peer.wall >= 0.5
    assert pair.peer.peak > pair.ours.peak + 40


def test_what_fails_is_no_measurement() -> None:
    """A command that fails gives no figure."""
    with pytest.raises(RuntimeError, match="broken"):
        run(Command("broken", (*PYTHON, "raise SystemExit(3)"), {}))


def test_the_figures_come_out_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One object of name to value, unit, peer and command; a tool that is missing has no figure."""
    monkeypatch.setattr("bench.passive.installed", lambda command: command.argv[0] == "tcpdump")
    assert (
        main(["--only", "replay,hard", "--size", "500k", "--hard-size", "200k", "--rounds", "1", "--json"])
        == 0
    )
    said = capsys.readouterr()
    figures = json.loads(said.out)
    assert set(figures) == {
        "replay.tcpdump_over_ours_1thread",
        "replay.tcpdump_over_ours_threads",
        "replay.pcapng_tcpdump_over_ours",
        "replay.peak_mib",
    }
    assert all(set(figure) == {"value", "unit", "peer", "command"} for figure in figures.values())
    assert figures["replay.peak_mib"]["value"] > 1
    assert "missing" in said.err

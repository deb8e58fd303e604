"""The table says in few lines what was not seen and who calls home."""

from __future__ import annotations

import io

import pytest

from fingerprints.model import CloudContact, Device, Finding, Report, Verdict
from reporters.table import write

CAMERA = Device("28:57:be:00:00:01", Verdict("Hikvision"), Finding("flagged"), ("192.0.2.7",))


def lines(report: Report) -> list[str]:
    """The table, by lines."""
    out = io.StringIO()
    write(report, out)
    return out.getvalue().splitlines()


def spot(number: int) -> dict[str, object]:
    """A blind spot with a long step."""
    return {"kind": f"k{number}", "count": 1, "what": f"what {number}", "step": "do this " * 8}


def test_each_blind_spot_stands_with_its_step() -> None:
    """What was not seen, and what to do about it."""
    row = {"kind": "x", "count": 2, "what": "2 hosts hidden", "step": "open the door"}
    assert "  2 hosts hidden; open the door" in lines(Report((CAMERA,), {"blind_spots": [row]}))


def test_coverage_is_short() -> None:
    """However much was not covered, it takes some fifteen lines; the rest is counted."""
    coverage = {
        "blind_spots": [spot(number) for number in range(30)],
        **{f"count{at}": at + 1 for at in range(30)},
    }
    shown = lines(Report((CAMERA,), coverage))
    at = shown.index("Coverage")
    section = shown[at + 1 : shown.index("", at)]
    assert len(section) <= 16
    assert "  and 25 more (--format json has all)" in section
    assert "  and 25 more counts (--format json has all)" in section


def test_calls_home_are_grouped() -> None:
    """A line for each device and maker: the name called most, how many more, how often."""
    rows = tuple(
        CloudContact(CAMERA.id, "Hikvision", name, count=count)
        for name, count in (("dev.hik-connect.test", 7), ("api.hik-connect.test", 2))
    )
    shown = lines(Report((CAMERA,), phone_home=rows))
    assert "Calls to makers' clouds" in shown
    assert "  192.0.2.7: Hikvision, dev.hik-connect.test and 1 more, 9 times" in shown


@pytest.mark.parametrize(
    ("sent", "received", "words"),
    [
        (None, None, "1 time"),
        (800, 12, "1 time, 812 bytes"),
        (34_000, 999, "1 time, 34 kB"),
        (5_000_000, 600_000, "1 time, 5.6 MB"),
        (7_800_000_000, 0, "1 time, 7.8 GB"),
    ],
)
def test_bytes_sent_home_are_told_where_known(sent: int | None, received: int | None, words: str) -> None:
    """Both directions together; nothing is said of what is not known."""
    row = CloudContact(CAMERA.id, "Hikvision", "hik-connect.test", bytes_sent=sent, bytes_received=received)
    assert f"  192.0.2.7: Hikvision, hik-connect.test, {words}" in lines(Report((CAMERA,), phone_home=(row,)))


def test_what_a_device_called_cannot_play_tricks() -> None:
    """Names come from the network: no control character of theirs is shown."""
    row = CloudContact("\x1b[2J", "A\u202e", "evil\nname\x1b[31m")
    assert all(line.isprintable() for line in lines(Report((CAMERA,), phone_home=(row,))))


def test_coverage_of_any_shape_is_shown_or_left_out() -> None:
    """A report from a file may hold anything under these keys."""
    for wrong in (7, "x", [7], [{"what": None}], {"what": "x"}):
        assert lines(Report((CAMERA,), {"blind_spots": wrong}))

"""Tests of what every reporter promises: it takes a finished report and writes all of it, safely."""

from __future__ import annotations

import csv
import io
import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerprints.codec import report_from_json, report_to_json, schema
from fingerprints.model import Device, Evidence, Finding, PolicyMatch, Problem, Report, Verdict
from reporters import REPORTERS
from reporters.csv import COLUMNS
from reporters.text import fitted, visible, width

RUN = {
    "knowledge": "4711abcd",
    "oui": {"source": "test", "date": "2026-09"},
    "policies": [{"id": "uk-2022-sensitive-sites", "in_force_from": "2022-11-24"}],
}
FLAGGED = Device(
    id="28:57:be:00:00:01",
    verdict=Verdict(
        "Hikvision",
        "Annke",
        "camera",
        "I61DR",
        "V5.6.2",
        "DS-2CD0001",
        "28:57:be:00:00:01",
        0.9987,
        "confirmed",
        (
            Evidence(
                "hikvision.sadp.answer",
                "discovery",
                "sadp.types",
                "inquiry",
                {"manufacturer": "Hikvision"},
                8,
            ),
        ),
    ),
    finding=Finding("flagged", (PolicyMatch("uk-2022-sensitive-sites", "Hikvision", "named", "2022-11-24"),)),
    addresses=("192.0.2.7", "fe80::1"),
    macs=("28:57:be:00:00:01",),
    ports=(80, 554),
    first_seen=1_700_000_000.0,
)
CLEAR = Device(
    "192.0.2.9",
    Verdict("Axis", "Axis", "camera", "M2036-LE", confidence=0.6, level="possible"),
    Finding("clear"),
    ("192.0.2.9",),
)
UNKNOWN = Device("192.0.2.3", Verdict(), Finding("unidentified"), ("192.0.2.3",))


def report(*devices: Device, **more: object) -> Report:
    return Report(devices, {"incomplete": False}, (), RUN) if not more else Report(devices, **more)  # type: ignore[arg-type]


def written(form: str, what: Report) -> str:
    out = io.StringIO(newline="")
    REPORTERS[form](what, out)
    assert not out.closed
    return out.getvalue()


def saying(text: str) -> Device:
    """A device that puts `text` wherever a device can put one."""
    return Device(
        text,
        Verdict("Hikvision", text, "camera", text, text, text, None, 0.99, "confirmed"),
        Finding("flagged"),
        (text,),
        hostnames=(text,),
        site=text,
        problems=(Problem(text, text),),
    )


def test_json_is_what_the_schema_says() -> None:
    """The JSON report validates, and reads back as the same devices."""
    document = json.loads(written("json", report(FLAGGED, CLEAR, UNKNOWN)))
    jsonschema.validate(document, schema())
    assert document == report_to_json(report(FLAGGED, CLEAR, UNKNOWN))
    assert [device.id for device in report_from_json(document).devices] == [
        FLAGGED.id,
        CLEAR.id,
        UNKNOWN.id,
    ]


def test_jsonl_has_one_device_a_line() -> None:
    """Every line is the device object of the JSON report, in its order."""
    lines = written("jsonl", report(FLAGGED, UNKNOWN)).splitlines()
    assert [json.loads(line) for line in lines] == report_to_json(report(FLAGGED, UNKNOWN))["devices"]


def test_csv_has_a_row_a_device_under_its_header() -> None:
    """Cells stand under their names; lists are one cell; what the report rests on is in every row."""
    rows = list(csv.DictReader(io.StringIO(written("csv", report(FLAGGED, UNKNOWN)))))
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["manufacturer"] == "Hikvision"
    assert rows[0]["addresses"] == "192.0.2.7 fe80::1"
    assert rows[0]["ports"] == "80 554"
    assert rows[0]["rules"] == "hikvision.sadp.answer"
    assert (rows[1]["rules_version"], rows[1]["oui_date"]) == ("4711abcd", "2026-09")
    assert rows[1]["policy_dates"] == "uk-2022-sensitive-sites (in force from 2022-11-24)"


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", " =1", "\t=1", "\r=1", "\uff1d1"]
)
def test_csv_neutralises_formulas(text: str) -> None:
    """No cell that a device wrote begins as a formula does."""
    for row in csv.DictReader(io.StringIO(written("csv", report(saying(text))))):
        for cell in row.values():
            assert not cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\t", "\r"))


def test_the_table_fits_eighty_columns() -> None:
    """Each line of a table that goes to a file fits, and says maker, badge, model, finding."""
    lines = written("table", report(CLEAR, UNKNOWN, FLAGGED)).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["192.0.2.7", "Hikvision", "(Annke)", "I61DR", "camera", "FLAGGED", "99.8%"]
    assert lines[2].split() == ["192.0.2.9", "Axis", "M2036-LE", "camera", "clear", "60%"]
    assert lines[3].split() == ["192.0.2.3", "-", "-", "-", "unidentified"]
    assert "3 devices: 1 flagged, 1 clear, 1 unidentified." in lines
    assert "4711abcd; MAC registry of 2026-09" in lines[-2]


def test_an_empty_result_that_failed_is_not_called_empty() -> None:
    """Where nothing was found because much was not covered, the table says so."""
    text = written(
        "table",
        report(coverage={"incomplete": True}, problems=(Problem("eth0", "is down", "interface"),), run=RUN),
    )
    assert "INCOMPLETE" in text
    assert "eth0: is down" in text


def test_nothing_is_certain() -> None:
    """A confidence that would round to 100 % is shown below it."""
    sure = Device("x", Verdict("Axis", confidence=0.99999, level="confirmed"), Finding("clear"))
    assert "clear 99.9%" in written("table", report(sure))


def test_colour_is_for_terminals() -> None:
    """What is not a terminal gets no escape sequence; a terminal does."""
    assert "\x1b" not in written("table", report(FLAGGED))

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    REPORTERS["table"](report(FLAGGED), out)
    assert "\x1b[1;31mFLAGGED" in out.getvalue()


@given(text=st.text(max_size=60))
def test_whatever_a_device_says_is_harmless(text: str) -> None:
    """No control, direction or line-breaking character of a device reaches the table or the CSV."""
    table = written("table", report(saying(text)))
    assert all(line.isprintable() for line in table.split("\n"))
    rows = csv.reader(io.StringIO(written("csv", report(saying(text)))))
    assert all(cell.isprintable() for row in rows for cell in row)


@given(text=st.text(max_size=40), columns=st.integers(1, 30))
def test_cells_are_exactly_as_wide_as_asked(text: str, columns: int) -> None:
    """A fitted text takes its columns: wide letters count two, combining marks none."""
    assert width(fitted(text, columns)) == columns


def test_escapes_are_readable() -> None:
    """Unprintable characters appear as the escapes that Python would write."""
    assert visible("a\x1b[31m\u202eb\u00e9") == "a\\x1b[31m\\u202eb\u00e9"

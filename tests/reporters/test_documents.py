"""Tests of the documents that are handed over: a page, a workbook, nmap's XML."""

from __future__ import annotations

import io
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]  # it has no types
from openpyxl import load_workbook

from agent.importers import read_rows
from agent.tables import Row
from fingerprints.model import Attachment, CloudContact, Device, Finding, Location, Problem, Report, Verdict
from reporters.csv import COLUMNS
from reporters.documents import BOOKS, TEXTS
from tests.reporters.test_reporters import CLEAR, FLAGGED, RUN, UNKNOWN, report, saying, written

DTD = Path("/usr/share/nmap/nmap.dtd")
EMPTY = {"br", "meta"}
HIDDEN = Device(
    "recorder:1",
    Verdict("Dahua", "Dahua", "camera", confidence=0.97, level="confirmed"),
    Finding("suspected"),
    behind=(Attachment("192.0.2.7", ("3",)),),
    location=Location("core-1", "ge-0/0/7", poe_watts=4.5),
)


class _Page(HTMLParser):
    """The elements of a page, balanced or not, with its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: Counter[str] = Counter()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - as the parser calls it
        self.elements[tag] += 1
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(what: Report) -> _Page:
    out = io.StringIO()
    TEXTS["html"](what, out)
    shown = _Page(out.getvalue())
    assert shown.open == []
    return shown


def test_the_page_says_what_matters_first() -> None:
    """The answer, the makers with their badges, each device with its reason, and where to walk to."""
    text = page(report(CLEAR, UNKNOWN, FLAGGED, HIDDEN)).text
    assert text.index("1 of 4 devices is flagged.") < text.index("Hikvision (Annke)") < text.index("M2036-LE")
    assert "sadp.types: \u201cinquiry\u201d" in text
    assert "core-1 port ge-0/0/7, draws 4.5 W" in text
    assert "behind 192.0.2.7, channel 3" in text
    assert "Rules 4711abcd; MAC registry of 2026-09; policies: uk-2022-sensitive-sites" in text
    assert "No blind spot is known." in text


def test_the_page_says_what_was_not_seen() -> None:
    """Blind spots stand with their steps, clouds with their callers, and an incomplete report says so."""
    spot = {"what": "VLAN 30 was not asked", "step": "connect it to a trunk"}
    shown = page(
        Report(
            (FLAGGED,),
            {"incomplete": True, "blind_spots": [spot, "odd"]},
            (Problem("eth0", "went down"),),
            RUN,
            phone_home=(CloudContact(FLAGGED.id, "Hikvision", "litedev.hik-connect.com", count=7),),
        )
    )
    assert "Incomplete: not everything" in shown.text
    assert "VLAN 30 was not askedconnect it to a trunk" in shown.text
    assert "eth0: went down" in shown.text
    assert "192.0.2.7Hikvisionlitedev.hik-connect.com7not known" in shown.text


def test_the_page_of_nothing() -> None:
    """No device makes no table of devices, and does not claim that all is well."""
    shown = page(report(coverage={"incomplete": True}, run={}))
    assert "No device was seen." in shown.text
    assert "Incomplete" in shown.text


@given(text=st.text(min_size=1, max_size=60))
def test_no_markup_gets_in(text: str) -> None:
    """Whatever devices say, the page has the elements that it has when they say nothing much."""
    for what in (text, f"</td><script>{text}", f'"><img src=x onerror=1>{text}', "<!--"):
        elements = page(report(saying(what))).elements
        del elements["br"]
        usual = page(report(saying("x"))).elements
        del usual["br"]
        assert elements == usual


def test_the_page_loads_nothing() -> None:
    """There is no script, no link, no image, and a policy that forbids them."""
    elements = page(report(FLAGGED, CLEAR)).elements
    assert not elements & Counter(("script", "link", "img", "iframe", "object", "form"))
    assert "default-src 'none'" in written_as("html", report(FLAGGED))


def written_as(form: str, what: Report) -> str:
    out = io.StringIO()
    TEXTS[form](what, out)
    return out.getvalue()


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "@SUM(1)", "-2", "\t=1", "a\x1b[31m", "x" * 40_000])
def test_a_workbook_holds_texts(text: str) -> None:
    """Every sheet opens, rows stand under their heads, and no text of a device is a formula."""
    out = io.BytesIO()
    BOOKS["xlsx"](report(saying(text), FLAGGED), out)
    book = load_workbook(io.BytesIO(out.getvalue()))
    assert book.sheetnames == ["Devices", "Not seen", "Problems", "About"]
    heads, first, second = book["Devices"].iter_rows()
    assert tuple(cell.value for cell in heads) == COLUMNS
    assert {cell.data_type for cell in first} <= {"s", "inlineStr", "n"}
    assert first[0].value
    assert dict(zip(COLUMNS, (cell.value for cell in second), strict=True))["ports"] == "80 554"
    assert book["About"]["B6"].value == "yes"


@pytest.mark.skipif(not DTD.exists(), reason="nmap is not installed: its DTD is missing")
@given(text=st.text(max_size=40))
def test_nmaps_own_grammar_accepts_the_xml(text: str) -> None:
    """The document is valid by the DTD that nmap ships, whatever devices say."""
    with DTD.open(encoding="utf-8") as stream:
        grammar = etree.DTD(stream)
    shown = etree.fromstring(written_as("nmap-xml", report(FLAGGED, saying(text), HIDDEN)).encode())
    assert grammar.validate(shown), grammar.error_log


def test_nmaps_xml_reads_back() -> None:
    """Our own importer finds the hosts of the document, with their MACs."""
    rows = list(read_rows(io.StringIO(written_as("nmap-xml", report(FLAGGED, UNKNOWN, HIDDEN))), "r.xml"))
    hosts = {row.ip: row for row in rows if isinstance(row, Row)}
    assert set(hosts) == {"192.0.2.7", "fe80::1", "192.0.2.3"}
    assert hosts["192.0.2.7"].mac == "28:57:be:00:00:01"
    text = written_as("nmap-xml", report(FLAGGED, HIDDEN))
    assert "1 devices without an address are left out" in text
    assert 'output="Hikvision (Annke) I61DR: FLAGGED 99.8%"' in text


def test_the_plain_forms_are_there_too() -> None:
    """What other commands write is written the same here."""
    assert written_as("json", report(FLAGGED)) == written("json", report(FLAGGED))

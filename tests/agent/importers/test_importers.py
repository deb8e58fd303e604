"""Whatever a file holds: lines, rows and Problems are bounded, nothing is raised."""

from __future__ import annotations

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import importers
from agent.importers import MAX_LINE, read_rows
from agent.tables import Row
from fingerprints.model import Problem

HEADS = (
    "",
    "lease 10.0.0.5 {\n",
    "address,hwaddr,client_id,valid_lifetime,expire\n",
    "duid 00:01\n",
    '<?xml version="1.0"?><nmaprun>',
    "44:47:cc:11:22:33 Gi1/0/1\n",
    '[\n{ "ip": "10.0.0.1", "timestamp": "1", "ports": ',
    "#separator \\x09\n#fields\tts\thost\n",
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(HEADS),
    st.text(alphabet=st.sampled_from('lease{};"\\,:.-0a1f \n<>/&#x|*+()[]'), max_size=400),
)
def test_no_text_breaks_a_reader(head: str, text: str) -> None:
    """Rows and Problems come out of any text, each with its place."""
    for item in read_rows(io.StringIO(head + text), "x"):
        assert isinstance(item, Row | Problem)
        assert (item.via if isinstance(item, Row) else item.where).startswith("x")


def test_a_line_without_end_is_cut() -> None:
    """A line of a megabyte is a Problem with its number, and the next line is still read."""
    text = f"44:47:cc:11:22:33 Gi1/0/1\n{'x' * 1_000_000}\n44:47:cc:11:22:34 Gi1/0/2\n"
    items = list(read_rows(io.StringIO(text), "x"))
    assert [item.line for item in items if isinstance(item, Row)] == [1, 3]
    assert [(item.where, item.kind) for item in items if isinstance(item, Problem)] == [("x:2", "oversize")]
    assert len("x" * 1_000_000) > MAX_LINE


def test_rows_without_end_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at a number of rows, and says so; Problems end at a number, too."""
    monkeypatch.setattr(importers, "MAX_ROWS", 3)
    text = "".join(f"44:47:cc:11:22:{number:02x} Gi1/0/{number}\n" for number in range(9))
    *rows, problem = read_rows(io.StringIO(text), "x")
    assert len(rows) == 3
    assert isinstance(problem, Problem)
    assert problem.kind == "oversize"
    bad = list(read_rows(io.StringIO(text + "44:47:cc:11:22:33\n" * 500), "x"))
    assert sum(isinstance(item, Problem) for item in bad) <= 52


def test_entities_are_refused() -> None:
    """XML that declares entities is left at that line: nothing of it is expanded."""
    text = '<?xml version="1.0"?>\n<!DOCTYPE nmaprun [\n<!ENTITY a "aaaa">\n]>\n<nmaprun>&a;</nmaprun>\n'
    (problem,) = read_rows(io.StringIO(text), "x")
    assert isinstance(problem, Problem)
    assert problem.where == "x:3"
    assert "entities" in problem.what

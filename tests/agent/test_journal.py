"""Tests that what a scan has learned survives whatever ends it, and that rubbish is refused by name."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.journal import Journal, JournalError, named, newest, read_journal
from agent.wire import Message
from fingerprints.model import Speaker

SAID = Message(
    "udp",
    b"<ProbeMatch>\x00\xff",
    Speaker("192.0.2.7", "28:57:be:00:00:07", 37020),
    Speaker(),
    b"<Probe>",
    "sadp",
    1_700_000_000.5,
    "scan",
    whole=False,
)


def never(error: OSError) -> None:
    raise AssertionError(error)


def test_everything_comes_back(tmp_path: Path) -> None:
    """Messages, hosts that are done and marks are read as they were written."""
    path = tmp_path / "a.scan"
    with Journal(path, never, {"settings": {"targets": ["192.0.2.0/24"]}}) as journal:
        journal.message(SAID)
        journal.done("192.0.2.7")
        journal.marks({"syn": (1, 500)})
        journal.marks({"syn": (2, 30)})
    stopped = read_journal(path)
    assert stopped.begin["settings"] == {"targets": ["192.0.2.0/24"]}
    assert list(stopped.messages()) == [SAID]
    assert stopped.met == {"192.0.2.7": "28:57:be:00:00:07"}
    assert (stopped.done, stopped.marks) == ({"192.0.2.7"}, {"syn": (2, 30)})
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("lost", [1, 5, 40])
def test_a_line_cut_by_a_crash(tmp_path: Path, lost: int) -> None:
    """The line that a crash cut is left out, and what is written when the scan goes on stands alone."""
    path = tmp_path / "a.scan"
    with Journal(path, never, {}) as journal:
        journal.done("192.0.2.1")
        journal.message(SAID)
    path.write_bytes(path.read_bytes()[:-lost])
    with Journal(path, never, None) as journal:
        journal.done("192.0.2.2")
    stopped = read_journal(path)
    assert stopped.done == {"192.0.2.1", "192.0.2.2"}
    assert len(list(stopped.messages())) == (1 if lost == 1 else 0)


@pytest.mark.parametrize(
    ("text", "named_in_it"),
    [
        ("", "holds no scan"),
        ("rubbish\n", "is not the journal"),
        ('{"done": "192.0.2.1"}\n', "line 1"),
        ('{"begin": {"version": 99}}\n', "line 1"),
        ('{"begin": {"version": 1}}\n{"message": {"transport": "smoke"}}\n', "line 2"),
        ('{"begin": {"version": 1}}\n{"message": {"transport": "udp", "payload": "%%"}}\n', "line 2"),
        ('{"begin": {"version": 1}}\n{"mark": {"syn": ["x", 1]}}\n', "line 2"),
        ('{"begin": {"version": 1}}\n' + "x" * 300_000, "line 2"),
    ],
    ids=["empty", "rubbish", "headless", "version", "transport", "base64", "mark", "long"],
)
def test_what_is_no_journal(tmp_path: Path, text: str, named_in_it: str) -> None:
    """It is refused with the file and the line."""
    path = tmp_path / "b.scan"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(JournalError, match=named_in_it) as refused:
        read_journal(path)
    assert str(path) in str(refused.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(lines=st.lists(st.binary(max_size=80), max_size=5), value=st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["message", "mark", "payload", "at", "transport"]), inner, max_size=3),
    max_leaves=8,
))  # fmt: skip
def test_any_lines(tmp_path: Path, lines: list[bytes], value: object) -> None:
    """Whatever stands in the file, nothing but JournalError escapes."""
    path = tmp_path / "c.scan"
    head = b'{"begin":{"version":1}}'
    entries = [json.dumps({kind: value}).encode() for kind in ("message", "mark", "done", "other")]
    path.write_bytes(b"\n".join([head, *lines, *entries]))
    with contextlib.suppress(JournalError):
        list(read_journal(path).messages())


def test_a_running_scan_is_not_gone_on_with(tmp_path: Path) -> None:
    """While its scan runs, a journal is nobody else's; afterwards the newest is found."""
    older, newer = tmp_path / "1.scan", tmp_path / "2.scan"
    with Journal(older, never, {}):
        pass
    with Journal(newer, never, {}) as journal:
        assert newest(tmp_path) == older
        with pytest.raises(JournalError, match="still running"):
            Journal(newer, never, None)
        journal.done("192.0.2.1")
    assert newest(tmp_path) == newer
    assert newest(tmp_path / "nowhere") is None


def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    """What cannot be written is told, the scan goes on, and nothing is raised."""
    told: list[OSError] = []
    path = tmp_path / "full.scan"
    path.symlink_to("/dev/full")
    with Journal(path, told.append, {}) as journal:
        for _ in range(3):
            journal.message(SAID)
    assert [error.errno for error in told] == [28]


def test_finished_scans_leave_nothing(tmp_path: Path) -> None:
    """A scan that came to its end removes its journal."""
    path = named(tmp_path, 1_700_000_000)
    with Journal(path, never, {}) as journal:
        journal.discard()
    assert list(tmp_path.iterdir()) == []

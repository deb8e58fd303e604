"""Tests of the SQL Server browser."""

from __future__ import annotations

import pytest

from agent.probes.mssql import MSSQL
from agent.wire import Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways

ONE = "ServerName;NVR-SQL;InstanceName;VMS;IsClustered;No;Version;15.0.2000.5;tcp;1433;;"
TWO = "ServerName;NVR-SQL;InstanceName;LOG;IsClustered;No;Version;15.0.2000.5;;"


def answer(text: str) -> bytes:
    """An answer in the layout of the recorded one."""
    return b"\5" + len(text).to_bytes(2, "little") + text.encode()


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(MSSQL, payload)
    return [(fact.field.removeprefix("discovery.mssql."), fact.text) for fact in found]


def test_every_instance_is_read() -> None:
    """What a second instance says anew is told; what it repeats is told once."""
    assert facts(answer(ONE + TWO)) == [
        ("server-name", "NVR-SQL"),
        ("instance-name", "VMS"),
        ("version", "15.0.2000.5"),
        ("tcp-port", "1433"),
        ("instance-name", "LOG"),
    ]
    three_ways(MSSQL, answer(ONE + TWO))


def test_what_stands_behind_the_stated_length_is_not_said() -> None:
    """The length bounds the text."""
    assert facts(answer(ONE) + b"ServerName;OTHER;;") == facts(answer(ONE))


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(MSSQL, answer(ONE + TWO))


@pytest.mark.parametrize("payload", [b"", b"\2", b"\5", b"\5\3\0abc", answer(ONE)[1:]])
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """The question, and another text behind the same mark, say nothing."""
    assert facts(payload) == []
    assert not MSSQL.mine(payload)


def test_the_only_question_is_for_the_list() -> None:
    """The one request built here is 2 (CLNT_BCAST_EX), which lists; the one for the admin port is not built."""
    assert MSSQL.hello is not None
    (ask,) = MSSQL.hello(Target("255.255.255.255", 1434))
    assert ask.payload == b"\2"


@needs_shared
def test_recorded_answer() -> None:
    """The recorded answer gives the names, the version and the port."""
    payload = (SHARED / "replies" / "mssql.bin").read_bytes()
    assert facts(payload) == [
        ("server-name", "Server123456"),
        ("instance-name", "MSSQL"),
        ("version", "1.2.3.4"),
        ("tcp-port", "1433"),
    ]
    three_ways(MSSQL, payload)

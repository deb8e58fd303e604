"""What several censuses know, put together in any order and grouping, is what one would have known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.census import Tally
from agent.wire import OPEN_PORT, SIGHTING, Malformed, Message, Probe
from fingerprints.codec import report_to_json
from fingerprints.judge import Judge
from fingerprints.matcher import Matchers
from fingerprints.model import Fact, Problem, Speaker
from fingerprints.oui import Registry
from tests.small_knowledge import small_knowledge


def read_lines(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    """``field=text`` a line, ``>`` about the listener; ``!`` is broken."""
    for line in payload.decode().splitlines():
        if line == "!":
            raise Malformed("broken", 3)
        field, _, text = line.lstrip(">").partition("=")
        yield Fact(field, text, "listener" if line.startswith(">") else "speaker")


PROBES = (
    Probe("lines", "tcp", (), (), lambda _: True, read_lines),
    Probe("arp", "ethernet", (), (), lambda _: False, read_lines),
)
MACS = ("28:57:be:00:00:01", "28:57:be:00:00:02", "00:11:22:33:44:55", None)
TEXTS = (
    "http.server=acme-webs",
    "onvif.serial=F1234567X",
    "onvif.serial=G7654321Y\nonvif.scope=/name/Badge",
    ">http.title=Acme AC-100T",
    "dns.query=dev.acme-cloud.test",
    "tls.sni=dev.acme-cloud.test",
    "ip.address=10.0.0.3",
    "http.server=other\n!",
    "sadp.ipv4-address=192.168.1.64",
)
TIMES = (None, 12.0, 1_700_000_000.0, 1_700_000_060.0, 1_700_090_000.0, 9e12)
SPEAKERS = st.builds(
    Speaker,
    ip=st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "203.0.113.9"]),
    mac=st.sampled_from(MACS),
    port=st.sampled_from([80, 554, None]),
    vlan=st.sampled_from([(), (10,)]),
)
MESSAGES = st.builds(
    Message,
    transport=st.just("tcp"),
    payload=st.sampled_from([text.encode() for text in TEXTS]),
    sender=SPEAKERS,
    receiver=SPEAKERS,
    asked=st.sampled_from([b"", b"GET"]),
    protocol=st.sampled_from(["lines", "lines", "arp", SIGHTING, OPEN_PORT]),
    at=st.sampled_from(TIMES),
    via=st.sampled_from(["a.pcap", "b.pcap", "scan"]),
    frame=st.integers(1, 4),
    moved=st.sampled_from([None, None, (7, 1_000)]),
)

REPEATED = st.lists(
    st.tuples(MESSAGES, st.lists(st.tuples(st.sampled_from(TIMES), st.integers(1, 9)), max_size=3)),
    max_size=8,
).map(
    lambda rows: [
        message
        for first, again in rows
        for message in (first, *(replace(first, at=at, frame=frame) for at, frame in again))
    ]
)
"""Messages, some of which are heard again at other times."""


def maker_of(name: str) -> SimpleNamespace | None:
    """The one cloud of these tests."""
    return SimpleNamespace(maker="Acme") if name.endswith("acme-cloud.test") else None


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """A judge over the small knowledge."""
    folder: Path = tmp_path_factory.mktemp("knowledge")
    return Judge(Matchers(small_knowledge(folder)), Registry.packaged())


def tally(judge: Judge, messages: list[Message]) -> Tally:
    """A census of these messages."""
    made = Tally(judge, (), PROBES, maker_of=maker_of)
    for message in messages:
        made.feed(message)
    return made


def shown(made: Tally) -> dict[str, Any]:
    """The whole report as JSON."""
    return report_to_json(made.report())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), messages=REPEATED)
def test_order_and_grouping_do_not_matter(judge: Judge, data: st.DataObject, messages: list[Message]) -> None:
    """Any order, any division among workers, merged in any order through JSON: the same report."""
    whole = shown(tally(judge, messages))
    order = data.draw(st.permutations(messages))
    assert shown(tally(judge, order)) == whole
    cut, other = sorted((data.draw(st.integers(0, len(order))), data.draw(st.integers(0, len(order)))))
    parts = [
        json.loads(json.dumps(tally(judge, part).state(), allow_nan=False))
        for part in (order[:cut], order[cut:other], order[other:])
    ]
    merged = Tally(judge, (), PROBES, maker_of=maker_of)
    nested = Tally(judge, (), PROBES, maker_of=maker_of)
    first, second, third = data.draw(st.permutations(parts))
    nested.merge(second)
    nested.merge(third)
    merged.merge(nested.state())
    merged.merge(first)
    assert shown(merged) == whole


def test_more_than_is_kept_is_the_same_whoever_reads_first(judge: Judge) -> None:
    """Where a host says more than is kept, what it said first stays, whatever the order."""
    messages = [
        Message(
            "tcp",
            f"dns.query=n{number}".encode(),
            Speaker("10.0.0.1", MACS[0]),
            Speaker(),
            protocol="lines",
            at=1_700_000_000.0 + number,
        )
        for number in range(300)
    ]
    whole = tally(judge, messages)
    halves = Tally(judge, (), PROBES, maker_of=maker_of)
    halves.merge(tally(judge, messages[::-2]).state())
    halves.merge(tally(judge, messages[-2::-2]).state())
    assert shown(halves) == shown(whole) == shown(tally(judge, messages[::-1]))
    (device,) = whole.report().devices
    kept = [row.fact.text for row in device.observations if row.fact.field == "dns.query"]
    assert kept == [f"n{number}" for number in range(64)]


def test_problems_and_counts_are_carried(judge: Judge) -> None:
    """A worker's Problems and sums arrive with its devices."""
    worker = tally(
        judge, [Message("tcp", b"!", Speaker("10.0.0.1"), Speaker(), protocol="lines", via="a.pcap", frame=3)]
    )
    worker.note(Problem("a.pcap", "cut", "truncated"))
    made = Tally(judge, (), PROBES)
    made.merge(worker.state())
    made.merge(worker.state())
    report = made.report()
    assert report.coverage["messages_malformed"] == {"lines": 2}
    assert [problem.where for problem in report.problems] == ["a.pcap frame 3, 10.0.0.1", "a.pcap"]


@pytest.mark.parametrize("state", [{}, {"census": 1}, {"census": 2}, {"census": 2, "hosts": [[1]]}])
def test_what_is_no_state_is_refused(judge: Judge, state: dict[str, Any]) -> None:
    """Anything else than a state is a ValueError, and changes nothing."""
    made = Tally(judge, (), PROBES)
    with pytest.raises(ValueError, match="not the state"):
        made.merge(state)
    assert made.report().devices == ()

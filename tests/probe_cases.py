"""What every dissector must bear: its payload whole, cut anywhere, with a tail, and rubbish."""

from __future__ import annotations

import random
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.wire import MAX_PAYLOAD, Malformed, Probe
from fingerprints.model import MAX_TEXT, Fact

__all__ = ["facts_of", "only_malformed", "three_ways"]

_EVERY_CUT: Final = 1_500
_OPEN_ENDED: Final = frozenset({"http.body", "rtsp.sdp", "http.favicon.mmh3", "onvif.fault"})
"""Texts that a tail may honestly lengthen, because nothing but the end of the stream ends them."""


def facts_of(probe: Probe, payload: bytes, asked: bytes = b"") -> tuple[list[Fact], bool]:
    """The facts that come before a break, with whether there was one; anything else escapes."""
    facts: list[Fact] = []
    broken = False
    try:
        for fact in probe.dissect(payload, asked):
            facts.append(fact)  # noqa: PERF402 - what came before the break counts
    except Malformed as error:
        broken = True
        # XML that had to be mended is read from a longer copy, so its offset may lie past the end.
        assert 0 <= error.offset <= len(payload) + MAX_PAYLOAD  # noqa: PT017 - the facts before it count, too
    for fact in facts:
        assert fact.field in probe.fields, fact
        assert len(fact.text) <= MAX_TEXT
        assert "\0" not in fact.text
    return facts, broken


def three_ways(probe: Probe, payload: bytes, asked: bytes = b"") -> None:
    """Whole, cut at every byte, with a tail: no text that is not certain, nothing lost, nothing raised."""
    whole, broken = facts_of(probe, payload, asked)
    assert not broken, "a real payload is not malformed"
    assert (whole, broken) == facts_of(probe, payload, asked), "the same bytes give the same facts"
    known = {(fact.field, fact.text, fact.about) for fact in whole}
    cuts = list(range(len(payload)))
    if len(payload) > _EVERY_CUT:
        cuts = random.Random(len(payload)).sample(cuts, _EVERY_CUT)  # noqa: S311 - a seeded sample
    for at in cuts:
        some, _ = facts_of(probe, payload[:at], asked)
        strange = {(fact.field, fact.text, fact.about) for fact in some} - known
        strange = {fact for fact in strange if fact[0] not in _OPEN_ENDED}
        assert not strange, f"cut at {at}: {strange}"
    for tail in (b"\0" * 7, b'\xff\xfe junk <x> {"y": 1}\r\n\r\n'):
        more, broken = facts_of(probe, payload + tail, asked)
        kept = {(fact.field, fact.text, fact.about) for fact in more}
        lost = {fact for fact in known - kept if fact[0] not in _OPEN_ENDED}
        assert broken or not lost, f"a tail loses {lost}"


def only_malformed(probe: Probe, *payloads: bytes) -> None:
    """Random bytes, and the given payloads with bytes changed: nothing but Malformed escapes."""
    starts = [b"", *probe.prefixes]

    @settings(max_examples=120, deadline=None)
    @given(st.sampled_from(starts), st.binary(max_size=400), st.binary(max_size=40))
    def random_bytes(start: bytes, rest: bytes, asked: bytes) -> None:
        probe.mine(start + rest)
        facts_of(probe, start + rest, asked)

    random_bytes()
    if not payloads:
        return

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(payloads), st.data())
    def changed(payload: bytes, data: st.DataObject) -> None:
        damaged = bytearray(payload)
        for _ in range(data.draw(st.integers(1, 6))):
            if damaged:
                damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        end = data.draw(st.integers(0, len(damaged)))
        probe.mine(bytes(damaged[:end]))
        facts_of(probe, bytes(damaged[:end]))

    changed()

"""Fragments are put together in any order, within bounds."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.capture.decode import Fragment, _Link
from agent.capture.fragments import Fragments


def piece(data: bytes, offset: int, *, more: bool, key: object = 1) -> Fragment:
    """A fragment of a UDP packet."""
    return Fragment((key,), offset, more, 17, data, _Link(), (b"\x0a\0\0\1", b"\x0a\0\0\2"))


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=600), st.randoms(use_true_random=False))
def test_any_order(data: bytes, chance: random.Random) -> None:
    """Pieces of eight bytes and their multiples, shuffled and repeated, give the packet once."""
    cuts = list(range(0, len(data), 16))
    pieces = [piece(data[at : at + 16], at, more=at + 16 < len(data)) for at in cuts]
    chance.shuffle(pieces)
    fragments = Fragments()
    wholes = [whole for part in pieces for whole in [fragments.add(part)] if whole is not None]
    assert [whole for whole, _ in wholes] == [data]


def test_what_came_first_is_kept() -> None:
    """A second piece at the same place does not replace the first."""
    fragments = Fragments()
    assert fragments.add(piece(b"realreal", 0, more=True)) is None
    assert fragments.add(piece(b"FAKEFAKE", 0, more=True)) is None
    found = fragments.add(piece(b"end", 8, more=False))
    assert found is not None
    assert found[0] == b"realrealend"


def test_bounds() -> None:
    """Too many packets in waiting, and packets longer than any may be, are dropped and counted."""
    fragments = Fragments()
    for key in range(2_000):
        fragments.add(piece(b"x" * 8, 0, more=True, key=key))
    assert fragments.dropped == 2_000 - 1_024
    assert fragments.add(piece(b"x" * 8, 65_530, more=False, key="long")) is None
    assert fragments.dropped == 2_000 - 1_024 + 2


def test_overlaps_keep_what_came_first() -> None:
    """A piece that overlaps an earlier one brings only what was missing, wherever it begins."""
    fragments = Fragments()
    assert fragments.add(piece(b"realtail", 8, more=False)) is None
    assert fragments.add(piece(b"lower...", 4, more=True)) is None
    found = fragments.add(piece(b"head", 0, more=True))
    assert found is not None
    assert found[0] == b"headlowerealtail"


def test_a_longer_repetition_fills_the_rest() -> None:
    """A piece at a known place that is longer adds what the first did not have."""
    fragments = Fragments()
    assert fragments.add(piece(b"real", 0, more=True)) is None
    assert fragments.add(piece(b"FAKEtail", 0, more=True)) is None
    found = fragments.add(piece(b".", 8, more=False))
    assert found is not None
    assert found[0] == b"realtail."


def test_the_end_and_the_sender_that_came_first_stay() -> None:
    """A second last piece does not cut the packet; a repeated first piece does not change who sent it."""
    fragments = Fragments()
    first = piece(b"12345678", 0, more=True)
    assert fragments.add(piece(b"end", 16, more=False)) is None
    assert fragments.add(piece(b"e", 8, more=False)) is None
    assert fragments.add(first) is None
    assert fragments.add(piece(b"12345678", 0, more=True)) is None
    found = fragments.add(piece(b"e2345678", 8, more=True))
    assert found is not None
    assert found[0] == b"12345678e2345678end"
    assert found[1] is first


def test_a_hole_waits() -> None:
    """Without its first, a middle or its last piece nothing comes out."""
    parts = [piece(b"a" * 8, 0, more=True), piece(b"b" * 8, 8, more=True), piece(b"c", 16, more=False)]
    for missing in range(3):
        fragments = Fragments()
        assert [fragments.add(part) for number, part in enumerate(parts) if number != missing] == [None, None]


def test_a_packet_in_crumbs_is_given_up() -> None:
    """More pieces than any sender makes are dropped and counted; repetitions do not count as pieces."""
    fragments = Fragments()
    for _ in range(200):
        assert fragments.add(piece(b"x" * 8, 0, more=True)) is None
    assert fragments.dropped == 0
    for number in range(1, 65):
        fragments.add(piece(b"x" * 8, number * 16, more=True))
    assert fragments.dropped == 1


def test_memory_is_bounded_by_packets_not_by_pieces() -> None:
    """Pieces that overlap again and again do not make a packet larger than a packet can be."""
    fragments = Fragments()
    for number in range(60):
        fragments.add(piece(bytes(65_000 - number * 8), number * 8, more=True))
    (parts,) = fragments._waiting.values()
    assert len(parts.data) <= 65_535

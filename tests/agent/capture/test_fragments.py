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

"""Tests of the tolerant JSON reader."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.json import MAX_DEPTH, leaves
from agent.wire import Malformed

Leaves = list[tuple[tuple[str, ...], str]]


def read(payload: bytes) -> tuple[Leaves, Malformed | None]:
    found: Leaves = []
    try:
        found.extend(leaves(payload))
    except Malformed as error:
        return found, error
    return found, None


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            b'{"a": 1, "b": {"c": "x", "d": [true, -2.5e3, {"e": "y"}]}}',
            [("a", "1"), ("b/c", "x"), ("b/d", "true"), ("b/d", "-2.5e3"), ("b/d/e", "y")],
        ),
        (b'\xef\xbb\xbf {"a": null, "b": "", "c": "fe80::1\\/64"}\n\0', [("c", "fe80::1/64")]),
        (b'"a": 1, "b": {"c": 2}}, ', [("a", "1"), ("b/c", "2")]),
        (b'{"a": 1, "b": "unfinis', [("a", "1")]),
        (b'{"a": 1, "b": 12', [("a", "1")]),
        (b'{"a": 1, "b": "x"', [("a", "1")]),
        (b'{"a": "\\ud800 \\u00e9 \\x"}', [("a", "\\ud800 \\u00e9 \\x")]),
        (b'{"a": "\\ud800"}', [("a", "\ufffd")]),
        (b'{"a": 1}{"b": 2}', [("a", "1")]),
        (b"[[1], 2]", [("", "1"), ("", "2")]),
        (b"", []),
    ],
)
def test_scalars_come_with_their_keys(payload: bytes, expected: list[tuple[str, str]]) -> None:
    """Documents, fragments and cuts give what is certain."""
    found, error = read(payload)
    assert [("/".join(path), text) for path, text in found] == expected
    assert error is None


@pytest.mark.parametrize(
    ("payload", "offset"),
    [
        (b'{"a": 1, "b": "1.0, "c": 2}', 21),
        (b'{"a": 1, "b": nonsense, ', 14),
        (b'{"a": 1]', 7),
        (b'{"a": 1 2}', 8),
        (b'{"a": 1, <b>', 8),
        (b"[" * (MAX_DEPTH + 1), MAX_DEPTH),
    ],
)
def test_broken_text_is_named_with_its_offset(payload: bytes, offset: int) -> None:
    """What was certain before the broken place is given, then the place is named."""
    found, error = read(payload)
    assert found == ([(("a",), "1")] if payload.startswith((b'{"a": 1, ', b'{"a": 1]')) else [])
    assert error is not None
    assert error.offset == offset


_VALUES = st.recursive(
    st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    lambda inner: st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=4), inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=4), _VALUES, max_size=4))
def test_valid_json_is_read_in_full(value: dict[str, object]) -> None:
    """Everything that a real encoder writes is read back, and a cut gives a beginning of it."""

    def flat(path: tuple[str, ...], item: object) -> Leaves:
        if isinstance(item, dict):
            return [leaf for key, inner in item.items() for leaf in flat((*path, key), inner)]
        return [(path, item if isinstance(item, str) else json.dumps(item))]

    payload = json.dumps(value).encode()
    found, error = read(payload)
    assert (found, error) == (flat((), value), None)
    for length in range(len(payload)):
        cut, error = read(payload[:length])
        assert error is None
        assert found[: len(cut)] == cut


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([b"{", b"}", b"[", b"]", b":", b",", b'"a"', b"1", b'"', b"\\", b"null"])
        | st.binary(max_size=3),
        max_size=30,
    ).map(b"".join)
)
def test_only_malformed_escapes(payload: bytes) -> None:
    """No bytes raise anything but Malformed, and a cut never invents."""
    found, _ = read(payload)
    for length in range(len(payload)):
        cut, _ = read(payload[:length])
        assert found[: len(cut)] == cut

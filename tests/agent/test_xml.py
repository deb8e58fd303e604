"""Tests of the tolerant XML reader."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.wire import MAX_PAYLOAD, Malformed
from agent.xml import MAX_DEPTH, MAX_ELEMENTS, looks_like, read

PIECES = (
    b"<a>",
    b"</a>",
    b"<b:c d='e'>",
    b"</b:c>",
    b"<e/>",
    b"&amp;",
    b"&x;",
    b"&",
    b"text",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"-->",
    b"<?xml ?>",
    b"<!DOCTYPE a",
    b"[",
    b">",
    b"\xff",
    b"\0",
)


def pairs(payload: bytes) -> list[tuple[str, str]]:
    return [("/".join(leaf.path), leaf.text) for leaf in read(payload).leaves]


def test_leaves_come_with_their_paths() -> None:
    """Elements without children and attributes are leaves, under local names, in order."""
    payload = b'<?xml version="1.0"?>\n<p:a xmlns:p="urn:x" xmlns="urn:y"><b c="1"> two </b><d/><e></e><f>x<g>3</g></f></p:a>'
    document = read(payload)
    assert pairs(payload) == [("a/b/@c", "1"), ("a/b", "two"), ("a/f/g", "3")]
    assert document.namespaces == (("p", "urn:x"), ("", "urn:y"))
    assert document.namespace("p") == "urn:x"
    assert document.namespace("q") is None
    assert document.broken is None


@pytest.mark.parametrize(
    ("payload", "leaves"),
    [
        (b"<a>1</a><b>2</b>", [("a", "1"), ("b", "2")]),
        (b"noise before<a>1</a>noise after\0\0", [("a", "1")]),
        (b"\xef\xbb\xbf<?xml version='1.0'?><a>1</a>", [("a", "1")]),
        (b"\xff\xfe" + "<a>\u00fc</a>".encode("utf-16-le"), [("a", "\u00fc")]),
        (b"ription>half</Description><a>1</a></root><b>2</b>", [("a", "1"), ("b", "2")]),
        (b"<q:a>1</q:a>", [("a", "1")]),
        (b"<a >1</a ><b>2<c></b>", [("a", "1")]),
        (b"<a>Bar & Grill &nbsp;</a>", [("a", "Bar & Grill &nbsp;")]),
        (b"<a><![CDATA[1 & <2>]]></a>", [("a", "1 & <2>")]),
        (b"<a>&lt;&#65;&#x42;</a>", [("a", "<AB")]),
        (b"<a>\xff</a>", [("a", "\ufffd")]),
        (b"<a>1\x002\x01</a>", [("a", "1 2")]),
        (b"<a>1</a><?xml version='1.0'?><a>2</a>", [("a", "1"), ("a", "2")]),
        (b"<!DOCTYPE root><a>1</a>", [("a", "1")]),
        (b'<?xml version="1.0" encoding="GB2312"?><a>\xd6\xd0</a>', [("a", "\u4e2d")]),
        (b"<a>1</a><b>unfinis", [("a", "1")]),
        (b"<a><b>1</b><c>2", [("a/b", "1")]),
    ],
)
def test_what_devices_send_is_read(payload: bytes, leaves: list[tuple[str, str]]) -> None:
    """Fragments, cuts, several roots, stray characters: read as far as they go, and no complaint."""
    assert pairs(payload) == leaves
    read(payload).finish()


def test_elements_left_open_are_closed_by_their_parent() -> None:
    """An end tag ends the nearest element of its name, so that later paths are right."""
    assert pairs(b"<r><a><x>1</a><b>2</b></r>") == [("r/b", "2")]


def test_no_entity_is_ever_declared() -> None:
    """A document type with an internal subset ends the reading before anything expands."""
    document = read(
        b'<!DOCTYPE a [<!ENTITY x "boom"><!ENTITY f SYSTEM "file:///etc/hostname">]><a>&x;&f;</a>'
    )
    assert document.leaves == ()
    with pytest.raises(Malformed):
        document.finish()


def test_broken_text_keeps_what_was_before_it() -> None:
    """Leaves before the broken place stand, and the offset points at it."""
    document = read(b"<a>1</a><b <c>2</c>")
    assert [leaf.text for leaf in document.leaves] == ["1"]
    with pytest.raises(Malformed) as caught:
        document.finish()
    assert caught.value.offset == 11


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (b"<a>" * (MAX_DEPTH + 1), "nested too deeply"),
        (b"<a/>" * (MAX_ELEMENTS + 1), "too many elements"),
        (b"</a>" * 1000, "too many end tags without a start"),
    ],
)
def test_depth_and_counts_are_bounded(payload: bytes, what: str) -> None:
    """Too much of anything ends the reading."""
    document = read(payload)
    assert document.broken is not None
    assert document.broken[0] == what


def test_only_the_allowed_length_is_read() -> None:
    """What stands behind MAX_PAYLOAD is not looked at."""
    assert read(b" " * MAX_PAYLOAD + b"<a>1</a>").leaves == ()


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"<Probe>", True),
        (b"\xef\xbb\xbf <?xml version='1.0'?><!-- x --><!-- y --><p:Probe a='b'", True),
        (b"<ProbeMatch>", False),
        (b"Probe", False),
        (b"", False),
        (b"<!---->" * 300, False),
    ],
)
def test_the_first_element_tells_what_it_is(payload: bytes, expected: bool) -> None:
    """The root is recognised behind declaration and comments, in bounded time."""
    assert looks_like(payload, b"Probe") is expected


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=40).map(b"".join))
def test_a_cut_never_invents(payload: bytes) -> None:
    """No bytes raise, and every leaf of a beginning is a leaf of the whole, in the same order."""
    whole = read(payload).leaves
    for length in range(len(payload)):
        cut = read(payload[:length]).leaves
        assert whole[: len(cut)] == cut

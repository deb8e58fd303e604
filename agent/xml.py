"""Tolerant reading of XML that an attacker may have written.

Discovery answers come as documents, as fragments out of logs, cut by a capture, with
undeclared prefixes, with a bare ``&`` in a name. `read` goes as far as the text makes
sense, then says where it stopped.

How it stays safe: the text is read by expat as the *content* of an element, where the
grammar knows no document type, so no entity can ever be declared; depth, elements and
restarts are counted; nothing is fetched. Elements are known by their local names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

from agent.wire import MAX_PAYLOAD, Malformed

__all__ = ["MAX_DEPTH", "MAX_ELEMENTS", "Document", "Leaf", "looks_like", "read"]

MAX_DEPTH: Final = 32
"""Deepest nesting that is read."""

MAX_ELEMENTS: Final = 4_096
"""Most elements with their attributes that are read."""

_MAX_RESTARTS: Final = 64
_WRAPPER: Final = b"<_>"

_DECLARATION: Final = re.compile(rb"<\?xml\b[^<>]{0,256}\?>")
_ENCODING: Final = re.compile(rb"""<\?xml\b[^<>]{0,128}?\bencoding\s*=\s*["']([\w.-]{1,32})["']""")
_DOCTYPE: Final = re.compile(rb"\s*<!DOCTYPE[^\[<>]{0,512}>")
_LEAD: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+"
    rb"(?:(?:<\?[^<>]{0,256}\?>|<!DOCTYPE[^\[<>]{0,512}>|<!--(?:(?!-->).){0,512}-->)\s*+)*+"
    rb"<([\w:.-]{1,128})",
    re.DOTALL,
)
_STRAY_AMPERSAND: Final = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)")
# Characters that XML 1.0 has no place for (section 2.2); NUL padding is the common one.
_CONTROLS: Final = bytes.maketrans(bytes([*range(9), 11, 12, *range(14, 32)]), b" " * 29)

# Declared encodings that devices use beside UTF-8; every other name is read as UTF-8.
_CODECS: Final = {
    "big5": "big5",
    "euc-kr": "euc_kr",
    "gb18030": "gb18030",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "shift_jis": "shift_jis",
    "windows-1251": "cp1251",
    "windows-1252": "cp1252",
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """The text of an element that has ended without children, or of an attribute.

    `path` holds local names from the outermost element that was seen; an attribute's
    last name starts with ``@``. `text` is stripped and never empty.
    """

    path: tuple[str, ...]
    text: str

    @property
    def name(self) -> str:
        """The local name of the element or attribute."""
        return self.path[-1]


@dataclass(frozen=True, slots=True)
class Document:
    """What could be read: leaves in order, prefixes with their namespaces, where it broke.

    `broken` is (what, offset in bytes) when the text stopped making sense, None when it
    was read to its end, even if that end is a cut. The offset is exact unless characters
    had to be mended before it.
    """

    leaves: tuple[Leaf, ...]
    namespaces: tuple[tuple[str, str], ...]
    broken: tuple[str, int] | None

    def namespace(self, prefix: str) -> str | None:
        """The namespace that `prefix` (empty for the default one) was first bound to."""
        return next((uri for name, uri in self.namespaces if name == prefix), None)

    def texts(self, *tail: str) -> tuple[str, ...]:
        """Texts of the leaves whose path ends with `tail`."""
        return tuple(leaf.text for leaf in self.leaves if leaf.path[-len(tail) :] == tail)

    def finish(self) -> None:
        """Raise `Malformed` if the text broke; a dissector calls it after its last Fact."""
        if self.broken is not None:
            raise Malformed(*self.broken)


def looks_like(payload: bytes, *roots: bytes) -> bool:
    """Whether the first element of `payload`, prefix aside, is one of `roots`."""
    found = _LEAD.match(payload[:2048])
    return found is not None and found.group(1).rpartition(b":")[2] in roots


def read(payload: bytes) -> Document:
    """Read a document, several, a fragment or the beginning of one. Never raises."""
    text = _content(payload[:MAX_PAYLOAD])
    shift = len(payload[:MAX_PAYLOAD]) - len(text) if payload.startswith(b"\xef\xbb\xbf") else 0
    tree = _Tree()
    at = 0
    for _ in range(_MAX_RESTARTS):
        stop = tree.take(text[at:])
        if stop is None:
            return tree.document(None)
        what, index, is_end_tag = stop
        if not is_end_tag:
            return tree.document((what, max(0, at + index + shift)))
        close = text.find(b">", at + index)
        tree.close(text[at + index : close].strip())
        at = close + 1
    return tree.document(("too many end tags without a start", at))


class _Stop(Exception):  # noqa: N818 - ends a parse inside a callback, never leaves this file
    pass


class _Tree:
    """Leaves gathered from one expat parser after the other."""

    def __init__(self) -> None:
        self._open: list[tuple[str, list[str], bool]] = []
        self._leaves: list[Leaf] = []
        self._namespaces: dict[tuple[str, str], None] = {}
        self._count = 0
        self._inside = False

    def take(self, text: bytes) -> tuple[str, int, bool] | None:
        """Read on; gives what stopped it, at which byte, and whether that is a stray end tag."""
        parser = expat.ParserCreate("utf-8")
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        self._inside = False
        try:
            parser.Parse(_WRAPPER + text, False)  # noqa: FBT003 - expat takes it by position
        except expat.ExpatError as error:
            mismatch = error.code == expat.errors.codes[expat.errors.XML_ERROR_TAG_MISMATCH]
            return expat.ErrorString(error.code), parser.ErrorByteIndex - len(_WRAPPER), mismatch
        except _Stop as stop:
            return str(stop), parser.CurrentByteIndex - len(_WRAPPER), False
        return None

    def close(self, name: bytes) -> None:
        """Take an end tag that does not fit: it ends the nearest element of its name, if any is open."""
        local = _local(name.decode("utf-8", "replace"))
        for depth in range(len(self._open) - 1, -1, -1):
            if self._open[depth][0] == local:
                del self._open[depth + 1 :]
                self._end(local)
                return

    def document(self, broken: tuple[str, int] | None) -> Document:
        return Document(tuple(self._leaves), tuple(self._namespaces), broken)

    def _start(self, name: str, attributes: list[str]) -> None:
        if not self._inside:
            self._inside = True
            return
        self._count += 1 + len(attributes) // 2
        if self._count > MAX_ELEMENTS:
            raise _Stop("too many elements")
        if len(self._open) >= MAX_DEPTH:
            raise _Stop("nested too deeply")
        if self._open:
            parent, _, _ = self._open[-1]
            self._open[-1] = (parent, [], True)
        self._open.append((_local(name), [], False))
        for key, value in zip(attributes[::2], attributes[1::2], strict=True):
            prefix, _, local = key.rpartition(":")
            if "xmlns" in (prefix, key):
                self._namespaces.setdefault((local if prefix else "", value.strip()))
            elif value.strip():
                self._leaf(f"@{local}", value)

    def _end(self, _name: str) -> None:
        if not self._open:
            return
        name, texts, has_children = self._open.pop()
        text = "".join(texts)
        if not has_children and text.strip():
            self._leaf(name, text)

    def _text(self, text: str) -> None:
        if self._open and not self._open[-1][2]:
            self._open[-1][1].append(text)

    def _leaf(self, name: str, text: str) -> None:
        self._leaves.append(Leaf((*(opened for opened, _, _ in self._open), name), text.strip()))


def _content(payload: bytes) -> bytes:
    """The payload as UTF-8 element content that expat can take, of the same length where possible."""
    if payload[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = payload.decode("utf-16", "replace").encode("utf-8", "replace")
    else:
        declared = _ENCODING.search(payload[:512])
        codec = _CODECS.get(declared.group(1).decode("ascii", "replace").lower()) if declared else None
        text = (
            payload.removeprefix(b"\xef\xbb\xbf")
            .decode(codec or "utf-8", "replace")
            .encode("utf-8", "replace")
        )
    text = _DECLARATION.sub(_blank, text)
    text = _DOCTYPE.sub(_blank, text, count=1) if _DOCTYPE.match(text) else text
    text = text.translate(_CONTROLS)
    first, *others = text.split(b"<![CDATA[")
    return b"<![CDATA[".join([_mended(first), *map(_mended_after_cdata, others)])


def _mended(text: bytes) -> bytes:
    return _STRAY_AMPERSAND.sub(b"&amp;", text)


def _mended_after_cdata(text: bytes) -> bytes:
    inside, end, after = text.partition(b"]]>")
    return inside + end + _mended(after)


def _blank(found: re.Match[bytes]) -> bytes:
    return b" " * len(found.group())


def _local(name: str) -> str:
    return name.rpartition(":")[2]

"""Lists the formats of documents that are handed over: loaded by the one command that makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import BinaryIO, Final

from fingerprints.model import Report
from reporters import REPORTERS, Write, html, nmap_xml, xlsx

__all__ = ["BOOKS", "TEXTS"]

TEXTS: Final[Mapping[str, Write]] = MappingProxyType(
    {**REPORTERS, "html": html.write, "nmap-xml": nmap_xml.write}
)
"""Every format that is text."""
BOOKS: Final[Mapping[str, Callable[[Report, BinaryIO], None]]] = MappingProxyType({"xlsx": xlsx.write})
"""Those that are not."""

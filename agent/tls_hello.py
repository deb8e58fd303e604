"""TLS hellos taken apart, so that the software of either side can be told again by a fingerprint.

Hellos after RFC 8446 section 4.1 and RFC 5246 section 7.4.1. Fingerprints are JA3 with JA3S
(salesforce/ja3, README) and JA4 (FoxIO-LLC/ja4, technical_details/JA4.md); values that are only
there to keep servers tolerant (GREASE, RFC 8701) are left out of all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["SERVER_NAME", "Hello", "client", "ja3", "ja3s", "ja4", "server"]

SERVER_NAME: Final = 0
_GROUPS: Final = 10
_POINT_FORMATS: Final = 11
_SIGNATURES: Final = 13
_ALPN: Final = 16
_VERSIONS: Final = 43
_MAX_EXTENSIONS: Final = 256
_VERSION_NAMES: Final = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2"}
_HASH_LENGTH: Final = 12
_NOTHING: Final = "0" * _HASH_LENGTH


@dataclass(frozen=True, slots=True)
class Hello:
    """What one side offers (or chose, as a server): version, cipher suites, extensions in their order.

    `version` is the one of the hello itself; that of the extension may be higher.
    """

    version: int
    ciphers: tuple[int, ...]
    extensions: Mapping[int, bytes]


def client(body: bytes) -> Hello | None:
    """The ClientHello of a handshake message without its header; None where a field goes over the end."""
    at = _after(body, 34, 1)
    if at is None:
        return None
    end = _after(body, at, 2)
    compressions = None if end is None else _after(body, end, 1)
    if end is None or compressions is None:
        return None
    extensions = _extensions(body, compressions)
    if extensions is None:
        return None
    return Hello(int.from_bytes(body[:2]), _numbers(body[at + 2 : end]), extensions)


def server(body: bytes) -> Hello | None:
    """The ServerHello of a handshake message without its header; None where a field goes over the end."""
    at = _after(body, 34, 1)
    if at is None or at + 3 > len(body):
        return None
    extensions = _extensions(body, at + 3)
    if extensions is None:
        return None
    return Hello(int.from_bytes(body[:2]), _numbers(body[at : at + 2]), extensions)


def _after(body: bytes, at: int, width: int) -> int | None:
    """Where a field ends whose length stands before it in `width` bytes."""
    if at + width > len(body):
        return None
    end = at + width + int.from_bytes(body[at : at + width])
    return end if end <= len(body) else None


def _extensions(body: bytes, at: int) -> dict[int, bytes] | None:
    """The extensions by number; none at all where the hello ends before them, as old ones do."""
    if at == len(body):
        return {}
    end = _after(body, at, 2)
    if end is None:
        return None
    found: dict[int, bytes] = {}
    at += 2
    while at + 4 <= end and len(found) < _MAX_EXTENSIONS:
        after = _after(body[:end], at + 2, 2)
        if after is None:
            return None
        found.setdefault(int.from_bytes(body[at : at + 2]), body[at + 4 : after])
        at = after
    return found


def _numbers(raw: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(raw[at : at + 2]) for at in range(0, len(raw) - 1, 2))


def _is_grease(number: int) -> bool:
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF


def _plain(numbers: Iterable[int]) -> list[int]:
    return [number for number in numbers if not _is_grease(number)]


def _list_of(hello: Hello, extension: int) -> list[int]:
    """The numbers of an extension that is a list of them behind its length in bytes."""
    raw = hello.extensions.get(extension, b"")
    return _plain(_numbers(raw[2 : 2 + int.from_bytes(raw[:2])]))


def ja3(hello: Hello) -> str:
    """JA3 of a client: MD5, in hex, over version, ciphers, extensions, groups and point formats."""
    formats = hello.extensions.get(_POINT_FORMATS, b"")
    parts = (
        _plain(hello.ciphers),
        _plain(hello.extensions),
        _list_of(hello, _GROUPS),
        formats[1 : 1 + formats[0]] if formats else (),
    )
    return _md5(",".join([str(hello.version), *("-".join(map(str, part)) for part in parts)]))


def ja3s(hello: Hello) -> str:
    """JA3S of a server: MD5, in hex, over version, cipher and extensions."""
    parts = (hello.ciphers, _plain(hello.extensions))
    return _md5(",".join([str(hello.version), *("-".join(map(str, part)) for part in parts)]))


def ja4(hello: Hello) -> str:
    """JA4 of a client over TCP: three parts that can be compared apart."""
    ciphers, extensions = _plain(hello.ciphers), _plain(hello.extensions)
    offered = hello.extensions.get(_VERSIONS, b"")
    versions = _plain(_numbers(offered[1 : 1 + offered[0]])) if offered else []
    first = "".join(
        (
            "t",
            _VERSION_NAMES.get(max(versions, default=hello.version), "00"),
            "d" if SERVER_NAME in hello.extensions else "i",
            f"{min(len(ciphers), 99):02d}",
            f"{min(len(extensions), 99):02d}",
            _first_protocol(hello.extensions.get(_ALPN, b"")),
        )
    )
    named = _hexes(sorted(number for number in extensions if number not in {SERVER_NAME, _ALPN}))
    signatures = _hexes(_list_of(hello, _SIGNATURES))
    third = f"{named}_{signatures}" if signatures else named
    return f"{first}_{_short_hash(_hexes(sorted(ciphers)))}_{_short_hash(third) if extensions else _NOTHING}"


def _first_protocol(alpn: bytes) -> str:
    """First and last character of the first protocol offered; of its bytes in hex, if it is no word."""
    name = alpn[3 : 3 + alpn[2]] if len(alpn) > 2 else b""
    if not name:
        return "00"
    text = name.decode("latin-1")
    if text[0].isascii() and text[0].isalnum() and text[-1].isascii() and text[-1].isalnum():
        return text[0] + text[-1]
    return name.hex()[0] + name.hex()[-1]


def _hexes(numbers: Iterable[int]) -> str:
    return ",".join(f"{number:04x}" for number in numbers)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:_HASH_LENGTH] if text else _NOTHING


def _md5(text: str) -> str:
    return hashlib.md5(text.encode("ascii"), usedforsecurity=False).hexdigest()

"""Finds the secrets in bytes that hosts said to each other: passwords, what proves one, sessions.

A span is ``(start, end, fill)``: the byte values in it are to be replaced by `fill`. A value that
may go on behind the end of the bytes counts up to there. Sources: RFC 7235, 7617, 7616 and 6265
(headers), RFC 3986 (user information), WS-Security UsernameToken 1.1, RFC 1157 and 3414 (SNMP),
RFC 4568 (keys of media); names of parameters as recorded clients and devices write them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["LOGIN_PORTS", "Span", "client_header", "in_snmp", "in_text", "redacted"]

Span = tuple[int, int, int]

LOGIN_PORTS: Final = frozenset(
    {20, 21, 23, 25, 88, 110, 119, 139, 143, 389, 445, 512, 513, 514, 587, 636, 1080, 1433, 1521, 1812, 1813}
    | {1883, 1985, 2323, 3306, 3389, 5222, 5432, 5672, 5900, 6379, 27017}
)
"""Ports of protocols that carry logins, and of which nothing is ever read here."""

_CLIENT_HEADERS: Final = {8000: 8, 9000: 24, 9999: 0, 37777: 8, 37778: 8}
_X, _ONE = b"x1"

_HEADER: Final = re.compile(
    rb"(?im)^(?:(?:proxy-)?authorization|(?:proxy-)?authentication-info|x-wsse|sessiontag"
    rb"|x-[a-z0-9-]{0,40}(?:token|key|auth|session|secret|passw|csrf)[a-z0-9-]{0,40})[ \t]*:[ \t]*"
    rb"(?:(?:basic|digest|bearer|ntlm|negotiate|usernametoken)[ \t]+)?"
    rb"([^\r\n]{1,8192}(?:\r?\n[ \t][^\r\n]{0,8192}){0,8})"
)
_BASIC: Final = re.compile(rb"(?i)\bbasic[ \t]+(?!realm)([a-z0-9+/]{4,2048}={0,2})(?![a-z])")
_COOKIES: Final = re.compile(rb"(?im)^cookie[ \t]*:([^\r\n]{1,8192})")
_SET_COOKIE: Final = re.compile(rb"(?im)^set-cookie[ \t]*:[^=;\r\n]{1,256}=([^;\r\n]{1,8192})")
_COOKIE: Final = re.compile(rb"=([^;]{1,8192})")
_SESSION: Final = re.compile(rb"(?im)^session[ \t]*:[ \t]*([^;\r\n]{1,1024})")
_LOGIN_OF_URL: Final = re.compile(rb"(?i)\b[a-z][a-z0-9+.-]{1,15}://([^\s/\"'<>]{1,512})@")
_SECRET: Final = (
    rb"(?:passw(?:or)?ds?|passwort|passphrase|passkey|pswd|psw|pwd|secret|session_?id|session_?key|api_?key"
    rb"|credentials?|(?:auth|access|session|csrf|login|refresh)[_-]?token|private_?key|psk)"
)
# `user=a&password=b&channel=1`, `user=a_password=b_channel=1`, `loginuse=a&loginpas=b` (recorded)
_PARAMETER: Final = re.compile(
    rb"(?i)(?:(?<=[?&_/])|(?<=\n\n)|(?<=\r\n\r\n)|\A)[a-z0-9.-]{0,24}"
    rb"(?:user|usr|login|pass|pas|pwd|psw|auth|token|sess|sid|secret|ticket|key)[a-z]{0,12}="
    rb"((?:(?![_/?][a-z]{2,20}=)[^&;#\s\"'<>]){1,2048})"
)
_LINE: Final = re.compile(
    rb"(?im)^[\w.\[\]-]{0,160}" + _SECRET + rb"[ \t]*=[ \t]*[\"']?([^\r\n\"';]{1,1024})"
)
_SCRIPT: Final = re.compile(
    rb"(?im)^[ \t]*var[ \t]+\w{0,64}" + _SECRET + rb"[ \t]*=[ \t]*[\"']([^\r\n\"']{1,1024})"
)
_JSON_TEXT: Final = re.compile(
    rb"(?i)\"[\w.-]{0,64}(?:" + _SECRET + rb"|session|token|pass)\"\s{0,8}:\s{0,8}\"((?:[^\"\\]|\\.){1,8192})"
)
_JSON_NUMBER: Final = re.compile(
    rb"(?i)\"[\w.-]{0,64}(?:" + _SECRET + rb"|session|token|pass|pin)\"\s{0,8}:\s{0,8}(\d{1,32})"
)
_ELEMENT: Final = re.compile(
    rb"(?i)<(?:[\w.-]{1,64}:)?[\w.-]{0,64}(?:" + _SECRET + rb"|communityname|community)(?:\s[^<>]{0,1024})?>"
    rb"\s{0,64}(?!(?:true|false)\s{0,64}<)([^<>\s][^<>]{0,8191})"
)
_ATTRIBUTE: Final = re.compile(
    rb"(?i)\s(?:[\w.-]{1,64}:)?[\w.-]{0,64}" + _SECRET + rb"\s?=\s?\"([^\"<>]{1,1024})"
)
_MEDIA_KEY: Final = re.compile(rb"(?i)\binline:([a-z0-9+/=]{8,512})|(?m:^k=)([^\r\n]{1,512})")

_TEXTS: Final = (
    _HEADER,
    _BASIC,
    _SET_COOKIE,
    _SESSION,
    _LOGIN_OF_URL,
    _PARAMETER,
    _LINE,
    _SCRIPT,
    _JSON_TEXT,
    _ELEMENT,
    _ATTRIBUTE,
    _MEDIA_KEY,
)


def in_text(data: bytes) -> Iterator[Span]:
    """Secrets in headers, URLs, forms, JSON and XML, wherever they stand in `data`."""
    for pattern in _TEXTS:
        for found in pattern.finditer(data):
            which = found.lastindex or 0
            yield found.start(which), found.end(which), _X
    for cookies in _COOKIES.finditer(data):
        for found in _COOKIE.finditer(data, cookies.start(1), cookies.end(1)):
            yield found.start(1), found.end(1), _X
    for found in _JSON_NUMBER.finditer(data):
        # A number stays a number, so that what reads the document still can.
        yield found.start(1), found.end(1), _ONE


def redacted(text: str) -> str:
    """A text that a device said, its secrets replaced by as many bytes; most texts have none."""
    data = text.encode("utf-8", "surrogateescape")
    spans = list(in_text(data))
    if not spans:
        return text
    new = bytearray(data)
    for start, end, fill in spans:
        new[start:end] = bytes((fill,)) * (end - start)
    return new.decode("utf-8", "replace")


def client_header(port: int) -> int | None:
    """How many bytes say nothing secret in what a client says to a maker's own port; None for other ports.

    Dahua's, Hikvision's, Reolink's and TP-Link's own protocols log in with hashes that a known or weak
    cipher covers. Nothing behind the header of a client's message is ever read here.
    """
    return _CLIENT_HEADERS.get(port)


def in_snmp(data: bytes) -> Iterator[Span]:
    """The community of SNMP v1 and v2c; user, signature and salt of v3. Nothing where `data` is no SNMP."""
    try:
        tag, at, _ = _element(data, 0)
        if tag != 0x30:
            return
        tag, start, at = _element(data, at)
        if tag != 0x02 or data[start:at] not in {b"\0", b"\1", b"\3"}:
            return
        if data[start] != 3:
            tag, start, end = _element(data, at)
            if tag == 0x04:
                yield start, min(end, len(data)), _X
            return
        _, _, at = _element(data, at)
        tag, at, _ = _element(data, at)
        tag, at, _ = _element(data, at)
        for number in range(6):  # engine, boots, time, user, signature, salt
            tag, start, at = _element(data, at)
            if number >= 3 and tag == 0x04:
                yield start, min(at, len(data)), _X
    except IndexError:
        return


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of the BER element at `at`; raises IndexError behind the end of the data."""
    tag, length, start = data[at], data[at + 1], at + 2
    if length >= 0x80:
        size = length & 0x7F
        length = int.from_bytes(data[start : start + size])
        start += size
    if start > len(data):
        raise IndexError
    return tag, start, start + length

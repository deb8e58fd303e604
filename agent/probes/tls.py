"""TLS: whose certificate a server shows, which name a client asks for.

The payload is a certificate in DER, as a connection of ours received it, or the records of a
handshake as captured (RFC 5246 up to TLS 1.2; in TLS 1.3 the certificate is encrypted). Names
are written most specific first, ``CN=..,OU=..,O=..``, as in RFC 4514. What either side offers
is kept as fingerprints of its software (`agent.tls_hello`), on which nothing is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent import tls_hello
from agent.wire import Malformed, Probe
from fingerprints.model import Fact

__all__ = ["TLS"]

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_HELLO: Final = 2
_CERTIFICATE: Final = 11
_MAX_RECORDS: Final = 64
_MAX_CERTIFICATE: Final = 32_768
_NAME: Final = re.compile(rb"[A-Za-z0-9_.-]{1,255}")
_SHORT: Final = {
    "2.5.4.3": "CN",
    "2.5.4.5": "SERIALNUMBER",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "EMAIL",
}


def _mine(payload: bytes) -> bool:
    if payload[:1] == b"\x30":
        return payload[1:2] == b"\x82" and payload[4:5] == b"\x30"
    return payload[:2] == b"\x16\x03" and payload[5:6] in {b"\1", b"\2", b"\x0b"}


def _dissect(payload: bytes, _asked: bytes) -> Iterator[Fact]:
    if not _mine(payload):
        return
    if payload[:1] == b"\x30":
        length = 4 + int.from_bytes(payload[2:4])
        if length <= len(payload):
            yield from _certificate(payload[:length], 0)
        return
    stream = _joined(payload)
    at = 0
    while at + 4 <= len(stream):
        kind, length = stream[at], int.from_bytes(stream[at + 1 : at + 4])
        body = stream[at + 4 : at + 4 + length]
        if kind == _CERTIFICATE:
            yield from _first_certificate(body, length, at)
            return
        if len(body) < length:
            return
        if kind == _CLIENT_HELLO:
            yield from _client_hello(body, at + 4)
        elif kind == _SERVER_HELLO:
            yield from _server_hello(body)
        at += 4 + length


def _joined(payload: bytes) -> bytes:
    """Handshake records put together; the first that is something else ends them."""
    parts = []
    at = 0
    for _ in range(_MAX_RECORDS):
        if payload[at : at + 1] != bytes([_HANDSHAKE]) or payload[at + 1 : at + 2] != b"\3":
            break
        length = int.from_bytes(payload[at + 3 : at + 5])
        parts.append(payload[at + 5 : at + 5 + length])
        at += 5 + length
    return b"".join(parts)


def _first_certificate(body: bytes, length: int, offset: int) -> Iterator[Fact]:
    """The host's own certificate, which stands first; the rest of the chain may be cut."""
    if length < 6:
        # A client that was asked for a certificate and has none sends an empty list.
        return
    size = int.from_bytes(body[3:6])
    if size > length - 6 or size > _MAX_CERTIFICATE:
        raise Malformed("a TLS certificate longer than its list", offset)
    if len(body) >= 6 + size:
        yield from _certificate(body[6 : 6 + size], offset)


def _client_hello(body: bytes, offset: int) -> Iterator[Fact]:
    """The server name of a ClientHello (RFC 6066 section 3), with the client's fingerprints."""
    hello = tls_hello.client(body)
    if hello is None:
        raise Malformed("a TLS ClientHello that its fields do not fill", offset)
    name = hello.extensions.get(tls_hello.SERVER_NAME, b"")
    size = int.from_bytes(name[3:5])
    if len(name) >= 5 + size and _NAME.fullmatch(name[5 : 5 + size]):
        yield Fact("tls.sni", name[5 : 5 + size].decode("ascii"))
    yield Fact("tls.ja3", tls_hello.ja3(hello))
    yield Fact("tls.ja4", tls_hello.ja4(hello))


def _server_hello(body: bytes) -> Iterator[Fact]:
    hello = tls_hello.server(body)
    if hello is not None:
        yield Fact("tls.ja3s", tls_hello.ja3s(hello))


def _certificate(der: bytes, offset: int) -> Iterator[Fact]:
    import hashlib  # noqa: PLC0415 - only where a certificate came
    import warnings  # noqa: PLC0415 - only where a certificate came

    from cryptography import x509  # noqa: PLC0415 - heavy

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(der)
            subject, issuer = _named(certificate.subject), _named(certificate.issuer)
    except Exception as error:  # noqa: BLE001 - a certificate is written by an attacker, the parser by others
        raise Malformed(f"a certificate that cannot be read ({type(error).__name__})", offset) from None
    if subject:
        yield Fact("tls.subject", subject)
    if issuer:
        yield Fact("tls.issuer", issuer)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            texts = [str(name.value) for name in list(names)[:16]]
    except Exception:  # noqa: BLE001 - the extensions of old cameras are often wrong; the names stand
        texts = []
    for text in texts:
        if text.strip("\0 "):
            yield Fact("tls.san", text.replace("\0", "").strip()[:255])
    yield Fact("tls.fingerprint", hashlib.sha256(der).hexdigest())


def _named(name: object) -> str:
    """A distinguished name as text, the last attribute of the certificate first."""
    parts = []
    for attribute in list(name)[:32]:  # type: ignore[call-overload]
        value = attribute.value
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        text = text.replace("\0", "").strip()
        if text:
            parts.append(f"{_SHORT.get(attribute.oid.dotted_string, attribute.oid.dotted_string)}={text}")
    return ",".join(reversed(parts))


TLS: Final = Probe(
    name="tls",
    transport="tcp",
    ports=(443, 8443, 9443),
    fields=(
        "tls.subject",
        "tls.issuer",
        "tls.san",
        "tls.fingerprint",
        "tls.sni",
        "tls.ja3",
        "tls.ja4",
        "tls.ja3s",
    ),
    mine=_mine,
    dissect=_dissect,
    prefixes=(b"\x16\x03",),
    unicast=False,
    source="RFC 5246, RFC 5280, RFC 6066; recorded certificates",
    says="subject, issuer and names of a server certificate; server name and fingerprints of a client",
)

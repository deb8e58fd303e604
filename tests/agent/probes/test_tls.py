"""Tests of TLS certificates with server names."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import ssl
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.probes.tls import TLS
from agent.wire import Malformed
from tests.frames import streams
from tests.places import SHARED, needs_shared
from tests.probe_cases import facts_of, only_malformed, three_ways

SUBJECT = "CN=192.0.2.7,OU=DVRNVR,O=HIKVISION,L=HangZhou,C=CN"


@cache
def signed() -> tuple[bytes, bytes]:
    """A self-signed certificate (DER) with its key (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.LOCALITY_NAME, "HangZhou"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "HIKVISION"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "DVRNVR"),
            x509.NameAttribute(NameOID.COMMON_NAME, "192.0.2.7"),
        ]
    )
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    others = x509.SubjectAlternativeName(
        [x509.DNSName("camera.example"), x509.IPAddress(ipaddress.ip_address("192.0.2.7"))]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36500))
        .add_extension(others, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.DER), pem


def handshake(folder: Path, version: ssl.TLSVersion) -> tuple[bytes, bytes]:
    """What OpenSSL's client and server say first in a handshake of this version."""
    der, key = signed()
    (folder / "pem").write_bytes(ssl.DER_cert_to_PEM_cert(der).encode() + key)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(folder / "pem")
    server_side.maximum_version = version
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.check_hostname = False
    client_side.verify_mode = ssl.CERT_NONE
    upward, downward = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(downward, upward, server_hostname="dev.hik-connect.com")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = upward.read()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(hello)
    server = server_side.wrap_bio(incoming, outgoing, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    return hello, outgoing.read()


def record(kind: int, body: bytes) -> bytes:
    """A handshake message in a record of its own."""
    message = bytes([kind]) + len(body).to_bytes(3) + body
    return b"\x16\x03\x03" + len(message).to_bytes(2) + message


def chain(*certificates: bytes) -> bytes:
    """The body of a Certificate message."""
    listed = b"".join(len(der).to_bytes(3) + der for der in certificates)
    return len(listed).to_bytes(3) + listed


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in TLS.dissect(payload, b"")]


def expected() -> list[tuple[str, str]]:
    return [
        ("tls.subject", SUBJECT),
        ("tls.issuer", SUBJECT),
        ("tls.san", "camera.example"),
        ("tls.san", "192.0.2.7"),
        ("tls.fingerprint", hashlib.sha256(signed()[0]).hexdigest()),
    ]


def test_a_certificate_gives_its_names() -> None:
    """Subject and issuer read from the most specific part on; the fingerprint is of the whole."""
    der, _ = signed()
    assert TLS.mine(der)
    assert facts(der) == expected()
    three_ways(TLS, der)


def test_a_handshake_gives_the_server_name_then_the_certificate(tmp_path: Path) -> None:
    """Up to TLS 1.2 both directions of a real handshake speak in clear."""
    hello, reply = handshake(tmp_path, ssl.TLSVersion.TLSv1_2)
    assert TLS.mine(hello)
    assert TLS.mine(reply)
    assert [field for field, _ in facts(hello)] == ["tls.sni", "tls.ja3", "tls.ja4"]
    assert facts(hello)[0] == ("tls.sni", "dev.hik-connect.com")
    assert facts(reply)[0][0] == "tls.ja3s"
    assert facts(reply)[1:] == expected()
    three_ways(TLS, hello)
    three_ways(TLS, reply)


def test_tls_1_3_hides_the_certificate(tmp_path: Path) -> None:
    """Where the certificate is encrypted, nothing is said of it."""
    hello, reply = handshake(tmp_path, ssl.TLSVersion.TLSv1_3)
    assert ("tls.sni", "dev.hik-connect.com") in facts(hello)
    assert [field for field, _ in facts(reply)] == ["tls.ja3s"]


def test_the_first_certificate_counts_though_the_chain_is_cut() -> None:
    """The host's own certificate is certain as soon as it is whole."""
    der, _ = signed()
    reply = record(2, bytes(38)) + record(11, chain(der, b"\x30" * 500))
    assert facts(reply) == facts(reply[:-400])
    assert facts(reply)[1:] == expected()
    three_ways(TLS, reply)


def test_a_message_in_several_records_is_put_together() -> None:
    """A certificate larger than a record goes on in the next (RFC 5246 section 6.2.1)."""
    whole = record(11, chain(signed()[0]))[5:]
    parts = [whole[at : at + 100] for at in range(0, len(whole), 100)]
    assert facts(b"".join(b"\x16\x03\x01" + len(part).to_bytes(2) + part for part in parts)) == expected()


@pytest.mark.parametrize(
    "payload",
    [
        record(11, chain()),
        record(2, bytes(34)),
        b"\x17\x03\x03\0\x05hello",
        b"\x30\x82\x01\0\x02\1\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"",
    ],
    ids=["a client without a certificate", "a server hello cut short", "data", "SNMP", "HTTP", "empty"],
)
def test_what_names_nobody_says_nothing(payload: bytes) -> None:
    """An empty certificate list, data and other protocols give no fact."""
    assert facts(payload) == []


@pytest.mark.parametrize(
    "payload",
    [
        b"\x30\x82\x00\x06\x30\x04\x02\x02\x01\x01",
        record(11, (20).to_bytes(3) + (4000).to_bytes(3) + bytes(20)),
        record(11, chain(b"\x30" * 300)),
        record(1, bytes(10)),
    ],
    ids=["DER that is no certificate", "longer than its list", "not DER", "hello without a session"],
)
def test_what_cannot_be_read_is_malformed(payload: bytes) -> None:
    """A certificate or message that makes no sense raises Malformed, whatever the parser threw."""
    with pytest.raises(Malformed):
        facts(payload)


def test_only_malformed_escapes(tmp_path: Path) -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(TLS, signed()[0], *handshake(tmp_path, ssl.TLSVersion.TLSv1_2))


@needs_shared
def test_a_recorded_camera_shows_its_certificate() -> None:
    """A D-Link camera's own certificate was issued by its maker's device authority."""
    capture = SHARED / "pcaps" / "pos-dlink-dcs8000lh-wlan.pcap"
    found = [facts_of(TLS, said) for said in streams(capture, 443, 8081) if TLS.mine(said)]
    said = {(fact.field, fact.text) for facts, _ in found for fact in facts}
    assert ("tls.subject", "CN=37060683,O=D-LINK CORPORATION,ST=Taiwan,C=TW") in said
    assert ("tls.issuer", "CN=mydlink Device CA,O=D-LINK CORPORATION,ST=Taiwan,C=TW") in said
    assert ("tls.sni", "mp-eu-fwd.auto.mydlink.com") in said
    assert not any(broken for _, broken in found)

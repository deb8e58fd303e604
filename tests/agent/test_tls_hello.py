"""Tests of the fingerprints of TLS hellos."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from agent import tls_hello
from agent.tls_hello import Hello
from tests.places import SHARED, needs_shared

CIPHERS = (
    *(0x1A1A, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030),
    *(0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x009C, 0x009D, 0x002F, 0x0035),
)
EXTENSIONS = (
    *(0x0A0A, 0x0000, 0x0017, 0xFF01, 0x000A, 0x000B, 0x0023, 0x0010, 0x0005),
    *(0x000D, 0x0012, 0x0033, 0x002D, 0x002B, 0x001B, 0x4469, 0xFAFA, 0x0015),
)
SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)


def listed(*numbers: int) -> bytes:
    """Numbers of two bytes behind the length of all."""
    return (2 * len(numbers)).to_bytes(2) + b"".join(number.to_bytes(2) for number in numbers)


def extended(extensions: dict[int, bytes]) -> bytes:
    """Extensions as they stand at the end of a hello."""
    parts = [number.to_bytes(2) + len(raw).to_bytes(2) + raw for number, raw in extensions.items()]
    return len(b"".join(parts)).to_bytes(2) + b"".join(parts)


def client_body(ciphers: tuple[int, ...], tail: bytes, version: int = 0x0303) -> bytes:
    """A ClientHello without the header of its message."""
    return version.to_bytes(2) + bytes(32) + b"\x02ab" + listed(*ciphers) + b"\x01\0" + tail


def browser() -> dict[int, bytes]:
    """The extensions of the browser that JA4's description fingerprints."""
    extensions = dict.fromkeys(EXTENSIONS, b"")
    extensions[0x000D] = listed(*SIGNATURES)
    extensions[0x0010] = b"\0\x0c\2h2\x08http/1.1"
    extensions[0x002B] = b"\x06\x2a\x2a\x03\x04\x03\x03"
    return extensions


def test_ja4_is_the_published_one() -> None:
    """The example of JA4's own description has this value, whatever the order of what is offered."""
    expected = "t13d1516h2_8daaf6152771_e5627efa2ab1"
    hello = tls_hello.client(client_body(CIPHERS, extended(browser())))
    assert hello is not None
    assert tls_hello.ja4(hello) == expected
    shuffled = list(browser().items())
    random.Random(4).shuffle(shuffled)  # noqa: S311 - a seeded order
    assert tls_hello.ja4(Hello(hello.version, hello.ciphers[::-1], dict(shuffled))) == expected


@pytest.mark.parametrize(
    ("ciphers", "extensions", "expected"),
    [
        (
            (47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4),
            {0: b"", 10: listed(23, 24, 25), 11: b"\1\0"},
            "ada70206e40642a3e4461f35503241d5",
        ),
        ((4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99), {}, "de350869b8c85de67a350c8d186f11e6"),
    ],
    ids=["with extensions", "without"],
)
def test_ja3_is_the_published_one(
    ciphers: tuple[int, ...], extensions: dict[int, bytes], expected: str
) -> None:
    """Both examples of JA3's own description have these values."""
    tail = extended(extensions) if extensions else b""
    hello = tls_hello.client(client_body(ciphers, tail, 769))
    assert hello is not None
    assert tls_hello.ja3(hello) == expected


def test_what_only_tests_servers_is_left_out() -> None:
    """Reserved numbers (GREASE) change from connection to connection, the fingerprints do not."""
    plain = Hello(0x0303, (0x1301,), {0: b"", 10: listed(29)})
    greased = Hello(0x0303, (0x2A2A, 0x1301), {0xDADA: b"", 0: b"", 10: listed(0x4A4A, 29)})
    assert tls_hello.ja3(plain) == tls_hello.ja3(greased)
    assert tls_hello.ja4(plain) == tls_hello.ja4(greased)


@pytest.mark.parametrize(
    ("alpn", "letters"),
    [(b"", "00"), (b"\0\3\2h2", "h2"), (b"\0\x09\x08http/1.1", "h1"), (b"\0\3\2\xab\xcd", "ad")],
)
def test_the_first_protocol_is_two_letters(alpn: bytes, letters: str) -> None:
    """First and last letter of the protocol offered first; hex digits where it is no word."""
    first = tls_hello.ja4(Hello(0x0303, (0x1301,), {16: alpn} if alpn else {})).partition("_")[0]
    assert first == f"t12i010{int(bool(alpn))}{letters}"


def test_a_hello_without_extensions() -> None:
    """Where nothing is offered the hashes are noughts."""
    assert tls_hello.ja4(Hello(0x0301, (), {})) == "t10i000000_000000000000_000000000000"


def test_a_server_is_told_by_what_it_chose() -> None:
    """JA3S is the MD5 of version, cipher and extensions in their order."""
    body = b"\x03\x01" + bytes(32) + b"\0" + b"\0\x2f\0" + extended({65281: b"\0", 0: b"", 11: b"\1\0"})
    hello = tls_hello.server(body)
    assert hello is not None
    expected = hashlib.md5(b"769,47,65281-0-11", usedforsecurity=False).hexdigest()
    assert tls_hello.ja3s(hello) == expected


def test_a_hello_cut_anywhere_is_none() -> None:
    """Only a whole hello is one, or an old one that ends before its extensions."""
    tail = extended(browser())
    body = client_body(CIPHERS, tail)
    old = len(body) - len(tail)
    assert [at for at in range(len(body)) if tls_hello.client(body[:at]) is not None] == [old]
    chosen = b"\x03\x03" + bytes(32) + b"\0" + b"\x13\x01\0" + extended({43: b"\x03\x04"})
    assert [at for at in range(len(chosen)) if tls_hello.server(chosen[:at]) is not None] == [38]


@needs_shared
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize(
    "file", ["pos-yi-camera-setup-lan.pcap", "pos-360-camera.pcap", "neg-hue-bridge-lan.pcap"]
)
def test_tshark_finds_the_same(file: str) -> None:
    """JA3 and JA3S of each recorded hello that stands whole in a segment are those of another reader."""
    theirs: Counter[str] = Counter()
    ours: Counter[str] = Counter()
    for kind, body, expected in hellos(SHARED / "pcaps" / file):
        hello = tls_hello.client(body) if kind == 1 else tls_hello.server(body)
        assert hello is not None
        ours[(tls_hello.ja3 if kind == 1 else tls_hello.ja3s)(hello)] += 1
        theirs[expected] += 1
    assert ours
    assert ours == theirs


def hellos(capture: Path) -> list[tuple[int, bytes, str]]:
    """Hellos whole in their segment: type, body, and the fingerprint tshark has for them."""
    names = ("tcp.payload", "tls.handshake.ja3", "tls.handshake.ja3s")
    fields = [word for name in names for word in ("-e", name)]
    wanted = "tls.handshake.ja3 || tls.handshake.ja3s"
    argv = ["tshark", "-r", str(capture), "-Y", wanted, "-T", "fields", *fields]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    found = []
    for line in done.stdout.splitlines():
        text, client, server = line.split("\t")
        raw = bytes.fromhex(text)
        length = int.from_bytes(raw[6:9])
        if raw[:1] == b"\x16" and raw[5] in {1, 2} and len(raw) >= 9 + length:
            found.append((raw[5], raw[9 : 9 + length], client if raw[5] == 1 else server))
    return found

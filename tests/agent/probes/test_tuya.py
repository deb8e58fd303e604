"""Tests of Tuya's announcements."""

from __future__ import annotations

import hashlib
import json

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from agent.probes.tuya import TUYA
from agent.wire import Malformed
from tests.probe_cases import facts_of, only_malformed, three_ways

TOLD = {
    "ip": "192.0.2.31",
    "gwId": "bf000000000000000001",
    "active": 2,
    "productKey": "key00001",
    "version": "3.3",
}
CLEAR = json.dumps(TOLD).encode()


def frame(body: bytes) -> bytes:
    """An announcement in the layout that the source describes."""
    head = bytes.fromhex("000055aa 00000000 00000013") + (len(body) + 12).to_bytes(4) + bytes(4)
    return head + body + bytes(4) + bytes.fromhex("0000aa55")


def hidden(body: bytes) -> bytes:
    """A body under the key that every device has, padded to blocks."""
    fill = 16 - len(body) % 16
    key = hashlib.md5(b"yGAdlopoPVldABfn", usedforsecurity=False).digest()
    writing = Cipher(algorithms.AES128(key), modes.ECB()).encryptor()  # noqa: S305 - as the devices do
    return writing.update(body + bytes([fill]) * fill)


def facts(payload: bytes) -> list[tuple[str, str]]:
    found, _ = facts_of(TUYA, payload)
    return [(fact.field.removeprefix("discovery.tuya."), fact.text) for fact in found]


@pytest.mark.parametrize("body", [CLEAR, hidden(CLEAR)], ids=["clear", "encrypted"])
def test_both_forms_say_the_same(body: bytes) -> None:
    """What port 6667 carries under the common key is read like what port 6666 carries in clear."""
    assert facts(frame(body)) == [
        ("ipv4-address", "192.0.2.31"),
        ("id", "bf000000000000000001"),
        ("product-key", "key00001"),
        ("protocol-version", "3.3"),
    ]


def test_three_ways() -> None:
    """Whole and cut, an announcement never tells more than it says."""
    three_ways(TUYA, frame(CLEAR))


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(TUYA, frame(CLEAR), frame(hidden(CLEAR)))


def test_another_key_s_body_is_malformed() -> None:
    """A body that is no JSON under the common key is broken there."""
    with pytest.raises(Malformed) as caught:
        list(TUYA.dissect(frame(bytes(range(1, 33))), b""))
    assert caught.value.offset == 20


@pytest.mark.parametrize("payload", [b"", frame(b""), frame(CLEAR)[:-1], b"\0" + frame(CLEAR)])
def test_what_is_not_an_announcement_says_nothing(payload: bytes) -> None:
    """Without both its marks, or with nothing between them, a datagram says nothing."""
    assert facts(payload) == []
    assert not TUYA.mine(payload)


def test_nothing_is_asked() -> None:
    """Announcements are heard; commands of the same form switch things, and none is built here."""
    assert TUYA.hello is None

"""Tests of Reolink's protocol."""

from __future__ import annotations

import json
import struct

import pytest

from agent.probes.baichuan import BAICHUAN
from agent.wire import Malformed
from tests.frames import streams
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways

PATTERN = bytes.fromhex("1f2d3c4b5a6978ff")
SETTINGS = (
    b'<?xml version="1.0" encoding="UTF-8" ?>\n<body>\n<VersionInfo version="1.1">\n<name>Yard</name>\n'
    b"<serialNumber>00000000000000</serialNumber>\n<hardwareVersion>IPC_3816M</hardwareVersion>\n"
    b"<cfgVersion>v2.0.0.0</cfgVersion>\n<firmwareVersion>v2.0.0.889</firmwareVersion>\n"
    b"</VersionInfo>\n</body>\n"
)
SAID = [
    ("discovery.reolink.name", "Yard"),
    ("discovery.reolink.serial", "00000000000000"),
    ("discovery.reolink.hardware-version", "IPC_3816M"),
    ("discovery.reolink.config-version", "v2.0.0.0"),
    ("discovery.reolink.firmware-version", "v2.0.0.889"),
]
ANSWERED = ("discovery.reolink.answer", "Baichuan")


def hidden(text: bytes, shift: int = 0) -> bytes:
    """A text as it is before a key was agreed on."""
    return bytes(byte ^ PATTERN[(shift + at) % 8] ^ shift for at, byte in enumerate(text))


def message(number: int, body: bytes, status: int, kind: int, channel: int = 0) -> bytes:
    """A message in the form that neolink's source describes, with the long header where its class has it."""
    head = b"\xf0\xde\xbc\x0a" + struct.pack("<IIIHH", number, len(body), channel, status, kind)
    return head + (bytes(4) if kind in {0x6414, 0} else b"") + body


LOGIN = message(1, b"\x21" * 72, 0xDC12, 0x6514)
NONCE = b'<?xml version="1.0" encoding="UTF-8" ?>\n<body><Encryption><nonce>0-a</nonce></Encryption></body>'
AGREED = message(1, hidden(NONCE), 0xDD12, 0x6614)
VERSIONS = message(80, hidden(SETTINGS), 200, 0)


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in BAICHUAN.dissect(payload, b"")]


def test_a_device_answers() -> None:
    """The agreement on encryption shows that a device speaks; nothing of it is told but that."""
    assert BAICHUAN.mine(AGREED)
    assert facts(AGREED) == [ANSWERED]
    three_ways(BAICHUAN, AGREED)


def test_settings_that_nothing_but_the_pattern_hides_are_read() -> None:
    """Name, serial and versions, in the clear or hidden, on any channel."""
    for payload in (
        AGREED + VERSIONS,
        message(80, SETTINGS, 200, 0),
        message(80, hidden(SETTINGS, 3), 200, 0, 3),
    ):
        assert facts(payload) == [ANSWERED, *SAID]
        three_ways(BAICHUAN, payload)


def test_encrypted_settings_are_not_guessed() -> None:
    """Behind the agreement a body is noise: only that the device answered is told."""
    assert facts(message(80, bytes(range(100)), 200, 0)) == [ANSWERED]


def test_a_client_is_no_device() -> None:
    """A login, and a request with the header of an answer, say nothing of who sends them."""
    assert BAICHUAN.mine(LOGIN)
    assert facts(LOGIN) == facts(message(80, b"", 0, 0x6414)) == facts(message(3, b"", 0, 0)) == []
    three_ways(BAICHUAN, LOGIN)


def test_broken_settings_are_malformed() -> None:
    """XML that breaks raises Malformed in its message, after what was read before."""
    broken = SETTINGS.replace(b"<cfgVersion>", b"<<<").replace(b"</body>", b"</bod&<")
    reading = BAICHUAN.dissect(message(80, hidden(broken), 200, 0), b"")
    assert [next(reading).text for _ in range(3)] == ["Baichuan", "Yard", "00000000000000"]
    with pytest.raises(Malformed) as caught:
        list(reading)
    assert caught.value.offset >= 24


@pytest.mark.parametrize("payload", [b"", AGREED[:18] + b"\x14\x67", AGREED[:19], b"{}"])
def test_what_is_no_message_says_nothing(payload: bytes) -> None:
    """The magic alone does not make one: an unknown class is another's."""
    assert not BAICHUAN.mine(payload)
    assert facts(payload) == []


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(BAICHUAN, AGREED + VERSIONS, LOGIN, b'{"Firmware Ver": "1"}')


@needs_shared
def test_a_recorded_log_names_its_device() -> None:
    """What a client logged of a Swann recorder gives its versions."""
    corpus = (SHARED / "corpus" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in corpus if '"reolink-baichuan"' in line]
    said = [
        facts(observation["payload"].encode())
        for row in rows
        for observation in row["observations"]
        if observation["protocol"] == "reolink-baichuan"
    ]
    assert said == [
        [
            ("discovery.reolink.hardware-version", "IPC_36S8M"),
            ("discovery.reolink.config-version", "v2.0.0.0"),
            ("discovery.reolink.firmware-version", "1029_16061700"),
        ]
    ]


@needs_shared
def test_a_recorded_login_shows_the_device_alone() -> None:
    """Of a recorded encrypted login the camera's side answers; the client's says nothing."""
    capture = SHARED / "pcaps" / "pos-reolink-baichuan-login.pcapng"
    said = [facts(stream) for stream in streams(capture, 9000) if BAICHUAN.mine(stream)]
    assert [ANSWERED] in said
    assert [field for found in said for field, _ in found] == ["discovery.reolink.answer"]

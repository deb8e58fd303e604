"""Tests of TP-Link's device discovery."""

from __future__ import annotations

import json
import zlib

import pytest

from agent.probes.tplink_tdp import TPLINK_TDP
from agent.wire import Malformed, Target
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways

RESULT = {
    "device_type": "SMART.IPCAMERA",
    "device_model": "C100",
    "firmware_version": "1.3.14 Build 240513 Rel.43631n(5553)",
    "hardware_version": "4.0",
    "mac": "F0-A7-31-00-00-01",
    "mgt_encrypt_schm": {"is_support_https": True},
}
BODY = json.dumps({"result": RESULT, "error_code": 0}).encode()
HEADER = bytes.fromhex("02000001") + len(BODY).to_bytes(2) + bytes.fromhex("1100 00000000 00000000")
SAID = [
    ("discovery.tplink-tdp.device-type", "SMART.IPCAMERA"),
    ("discovery.tplink-tdp.device-model", "C100"),
    ("discovery.tplink-tdp.firmware-version", "1.3.14 Build 240513 Rel.43631n(5553)"),
    ("discovery.tplink-tdp.hardware-version", "4.0"),
    ("discovery.tplink-tdp.mac", "F0-A7-31-00-00-01"),
]


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in TPLINK_TDP.dissect(payload, b"")]


@pytest.mark.parametrize(
    "payload",
    [HEADER + BODY, BODY, json.dumps(RESULT).encode()],
    ids=["datagram", "document", "result alone"],
)
def test_an_answer_names_the_device(payload: bytes) -> None:
    """With or without the header, whole or the inner object alone, the answer gives what it says in clear."""
    assert TPLINK_TDP.mine(payload)
    assert facts(payload) == SAID
    three_ways(TPLINK_TDP, payload)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(TPLINK_TDP, HEADER + BODY, BODY)


def test_broken_json_keeps_what_was_certain() -> None:
    """Facts before the broken place stand, then Malformed is raised with an offset in the payload."""
    broken = HEADER + BODY.replace(b'"hardware_version":', b"]")
    reading = TPLINK_TDP.dissect(broken, b"")
    assert [next(reading).text for _ in range(2)] == ["SMART.IPCAMERA", "C100"]
    with pytest.raises(Malformed) as caught:
        list(reading)
    assert broken[caught.value.offset :].startswith(b"]")


@pytest.mark.parametrize(
    "payload", [HEADER, b'{"method": "x"}', b"\xd0\xf2\x81\xf8\x8b\xff\x9a\xf7", b"", b'["device_type"]']
)
def test_what_is_not_an_answer_says_nothing(payload: bytes) -> None:
    """A question, other JSON and the older obscured protocol give no fact."""
    assert facts(payload) == []


def test_the_question_is_a_bare_header() -> None:
    """Sixteen bytes whose checksum is right and which carry nothing."""
    assert TPLINK_TDP.hello is not None
    (ask,) = TPLINK_TDP.hello(Target("192.0.2.7", 20002))
    assert len(ask.payload) == 16
    assert int.from_bytes(ask.payload[12:]) == zlib.crc32(ask.payload[:12] + bytes.fromhex("5a6b7c8d"))
    assert facts(ask.payload) == []


@needs_shared
def test_recorded_answers() -> None:
    """Every recorded answer gives the type and the model of its device."""
    with (SHARED / "corpus" / "train.jsonl").open(encoding="utf-8") as lines:
        rows = [row for line in lines for row in json.loads(line)["observations"]]
    payloads = [row["payload"].encode() for row in rows if row.get("protocol") == "tplink-tdp"]
    assert len(payloads) >= 20
    for payload in payloads:
        said = dict(facts(payload))
        assert said["discovery.tplink-tdp.device-model"]
        assert said["discovery.tplink-tdp.device-type"].startswith(("SMART.", "IOT."))
        three_ways(TPLINK_TDP, payload)

"""Tests of Xiongmai's network settings."""

from __future__ import annotations

import json

import pytest

from agent.probes.xiongmai import XIONGMAI
from agent.wire import Malformed
from tests.places import SHARED, needs_shared
from tests.probe_cases import only_malformed, three_ways

BODY = (
    b'{ "NetWork.NetCommon" : { "BuildDate" : "2020-11-24 16:47:14", "ChannelNum" : 1, "DeviceType" : 24, '
    b'"HostIP" : "0x0702A8C0", "HostName" : "camera", "HttpPort" : 80, "MAC" : "00:12:41:00:00:01", '
    b'"SN" : "0000000000000001", "TCPPort" : 34567, "Version" : "V5.00.R02" }, "Ret" : 100 }\n\0'
)
HEADER = b"\xff\1\0\0" + bytes(12) + len(BODY).to_bytes(4, "little")
SAID = [
    ("discovery.xiongmai.build-date", "2020-11-24 16:47:14"),
    ("discovery.xiongmai.channel-num", "1"),
    ("discovery.xiongmai.device-type", "24"),
    ("discovery.xiongmai.host-ip", "192.168.2.7"),
    ("discovery.xiongmai.host-name", "camera"),
    ("discovery.xiongmai.http-port", "80"),
    ("discovery.xiongmai.mac", "00:12:41:00:00:01"),
    ("discovery.xiongmai.serial", "0000000000000001"),
    ("discovery.xiongmai.tcp-port", "34567"),
    ("discovery.xiongmai.version", "V5.00.R02"),
]


def facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in XIONGMAI.dissect(payload, b"")]


@pytest.mark.parametrize("payload", [HEADER + BODY, BODY], ids=["message", "document"])
def test_settings_name_the_device(payload: bytes) -> None:
    """With or without the header, the settings are facts; the address is readable."""
    assert XIONGMAI.mine(payload)
    assert facts(payload) == SAID
    three_ways(XIONGMAI, payload)


def test_only_malformed_escapes() -> None:
    """No bytes raise anything but Malformed."""
    only_malformed(XIONGMAI, HEADER + BODY, BODY)


def test_broken_json_is_malformed() -> None:
    """Settings that break are read up to there."""
    broken = HEADER + BODY.replace(b'"HostIP" :', b"]")
    reading = XIONGMAI.dissect(broken, b"")
    assert [next(reading).text for _ in range(2)] == ["2020-11-24 16:47:14", "1"]
    with pytest.raises(Malformed) as caught:
        list(reading)
    assert broken[caught.value.offset :].startswith(b"]")


def test_an_address_in_another_form_stands_as_it_is() -> None:
    """Only eight hexadecimal digits are an address written backwards."""
    assert ("discovery.xiongmai.host-ip", "192.0.2.7") in facts(BODY.replace(b"0x0702A8C0", b"192.0.2.7"))


@pytest.mark.parametrize(
    "payload", [b"", HEADER, b'{"Name": "OPMonitor"}', b"\xff" * 60, b"NetWork.NetCommon"]
)
def test_other_messages_say_nothing(payload: bytes) -> None:
    """Questions and other messages of the same protocol give no fact."""
    assert facts(payload) == []


@needs_shared
def test_recorded_settings() -> None:
    """The recorded settings of a Besder camera give version, MAC, serial and address."""
    with (SHARED / "corpus" / "train.jsonl").open(encoding="utf-8") as lines:
        rows = [row for line in lines for row in json.loads(line)["observations"]]
    payloads = [row["payload"].encode() for row in rows if row.get("protocol") == "xiongmai"]
    assert payloads
    for payload in payloads:
        said = dict(facts(payload))
        assert {"discovery.xiongmai.version", "discovery.xiongmai.build-date"} <= said.keys()
        three_ways(XIONGMAI, payload)

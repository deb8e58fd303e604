"""Tests of Xiongmai's network settings."""

from __future__ import annotations

import json

import pytest

from agent.probes.xiongmai import XIONGMAI, XIONGMAI_TCP
from agent.wire import Malformed, Target
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


def test_the_only_question_is_the_search() -> None:
    """The one request built here is message 1530, the search, without a body; 1532, which sets, is not built."""
    assert XIONGMAI.hello is not None
    (ask,) = XIONGMAI.hello(Target("255.255.255.255", 34569))
    assert ask.payload == b"\xff" + bytes(13) + (1530).to_bytes(2, "little") + bytes(4)


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


INFORMATION = (
    b'{ "Name" : "SystemInfo", "Ret" : 100, "SessionID" : "0x7", "SystemInfo" : { "AlarmInChannel" : 1, '
    b'"BuildTime" : "2016-12-20 18:50:36", "HardWare" : "50H20L_18EV200_S38", '
    b'"SerialNo" : "0000000000000001", "SoftWareVersion" : "V4.02.R12.00018520", "UpdataTime" : "" } }\n\0'
)
"""In the form of the texts that client authors published."""


def message(body: bytes, number: int, sender: int = 1) -> bytes:
    """A message of a device, or of a client (0)."""
    return (
        bytes([255, sender, 0, 0])
        + bytes(10)
        + number.to_bytes(2, "little")
        + len(body).to_bytes(4, "little")
        + body
    )


def stream_facts(payload: bytes) -> list[tuple[str, str]]:
    return [(fact.field, fact.text) for fact in XIONGMAI_TCP.dissect(payload, b"")]


def test_a_session_names_the_device() -> None:
    """Answers one behind another: that it answered, then what it states of itself."""
    login = message(b'{ "AliveInterval" : 20, "Ret" : 100, "SessionID" : "0x7" }\n\0', 1001)
    whole = login + message(INFORMATION, 1021) + message(BODY, 1043)
    assert XIONGMAI_TCP.mine(whole)
    assert stream_facts(whole) == [
        ("discovery.xiongmai.answer", "Sofia"),
        ("discovery.xiongmai.build-date", "2016-12-20 18:50:36"),
        ("discovery.xiongmai.hardware", "50H20L_18EV200_S38"),
        ("discovery.xiongmai.serial", "0000000000000001"),
        ("discovery.xiongmai.version", "V4.02.R12.00018520"),
        *SAID,
    ]
    three_ways(XIONGMAI_TCP, whole)
    only_malformed(XIONGMAI_TCP, whole)


def test_a_client_and_video_say_nothing() -> None:
    """A login, video behind the same header and a header alone are no device's word."""
    for payload in (
        message(b'{ "UserName" : "admin" }', 1000, 0),
        message(b"\0\0\1\xfc", 1412),
        message(b"", 1),
    ):
        assert not XIONGMAI_TCP.mine(payload)
        assert stream_facts(payload) == []
